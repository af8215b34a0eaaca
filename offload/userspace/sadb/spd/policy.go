package spd

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/classify"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/dump"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/lifetime"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// Policy is an installed policy. It is immutable but for its time of use: an
// update puts another in its place. Safe for concurrent use.
type Policy struct {
	table *Table
	conf  *netlinkx.Policy
	rule  classify.Rule[Policy]
	tmpls []Template

	useTime atomic.Int64 // Unix seconds, 0 never

	// Guarded by the Table's lock.
	dead  bool
	timer *time.Timer
	place *dump.Entry[*Policy]
}

// Conf returns what the policy is, usage aside: borrowed, immutable.
func (p *Policy) Conf() *netlinkx.Policy { return p.conf }

// Report returns what GETPOLICY answers. The caller owns the value, but
// shares its templates.
func (p *Policy) Report() *netlinkx.Policy {
	c := *p.conf
	c.Usage.UseTime = uint64(p.useTime.Load())
	return &c
}

// Moved makes a policy like p, with its times and other templates, which become
// the policy's. It is not in the Table yet: Put it in the place of p.
func (t *Table) Moved(p *Policy, tmpls []netlinkx.Template) *Policy {
	c := *p.conf
	c.Templates = tmpls
	m := t.Make(&c)
	m.conf.Usage = p.conf.Usage
	m.useTime.Store(p.useTime.Load())
	return m
}

// used notes that a packet met the policy.
func (p *Policy) used() {
	if t := lifetime.Now(); p.useTime.Load() != t {
		p.useTime.Store(t)
	}
}

// Templates returns the policy's templates: borrowed, immutable.
func (p *Policy) Templates() []Template { return p.tmpls }

// Dead reports whether the policy was removed. The caller holds the lock.
func (p *Policy) Dead() bool { return p.dead }

// Make makes a policy of a request that was checked. It is not in the Table
// yet. r is borrowed for the call.
func (t *Table) Make(r *netlinkx.Policy) *Policy {
	c := *r
	c.Mark.Value &= c.Mark.Mask
	c.Type = netlinkx.Some(c.Type.V)
	c.Usage = netlinkx.Usage{AddTime: uint64(lifetime.Now())}
	c.Share, c.SecCtx, c.Offload = 0, nil, nil // the kernel does not keep the share
	rules.FillPrefixes(&c.Selector)
	c.Templates = append([]netlinkx.Template(nil), c.Templates...)
	p := &Policy{table: t, conf: &c}
	for i := range c.Templates {
		tmpl := &c.Templates[i]
		tmpl.Family = rules.TemplateFamily(tmpl, c.Selector.Family)
		p.tmpls = append(p.tmpls, compile(tmpl, c.IfID))
	}
	s := &c.Selector
	p.rule = classify.Rule[Policy]{
		Bin: classify.Bin{Dir: c.Dir, Type: c.Type.V, Family: s.Family, IfID: c.IfID},
		Dst: prefixOf(s.Dst), Src: prefixOf(s.Src), Priority: c.Priority, Item: p,
		Match: classify.Match{SrcPort: s.SrcPort, DstPort: s.DstPort, Proto: s.Proto, IfIndex: uint32(s.IfIndex), Mark: c.Mark},
	}
	return p
}

func prefixOf(p netip.Prefix) classify.Prefix {
	return classify.Prefix{Addr: xaddr.Of(p.Addr()), Bits: uint8(max(p.Bits(), 0))}
}
