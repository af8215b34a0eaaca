package sadb

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/classify"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/dump"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/lifetime"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// Policy is an installed policy. It is immutable but for its time of use: an
// update puts another in its place. Safe for concurrent use.
type Policy struct {
	db    *DB
	conf  *netlinkx.Policy
	rule  classify.Rule[Policy]
	tmpls []template
	mark  uint32 // that its SAs must fit

	useTime atomic.Int64 // Unix seconds, 0 never

	// Guarded by the DB's lock.
	dead  bool
	timer *time.Timer
	place *dump.Entry[*Policy]
}

// template is a template in the form in which it is looked up.
type template struct {
	want      sad.Want // of a transport-mode template without its addresses
	spi       netlinkx.SPI
	auths     uint32 // integrity algorithms allowed
	all       bool   // all algorithms are
	tunnel    bool
	optional  bool
	anySource bool // a tunnel's source is chosen by route
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

// used notes that a packet met the policy.
func (p *Policy) used() {
	if t := lifetime.Now(); p.useTime.Load() != t {
		p.useTime.Store(t)
	}
}

// newPolicy makes a policy of a request that was checked.
func (db *DB) newPolicy(r *netlinkx.Policy) *Policy {
	c := *r
	c.Mark.Value &= c.Mark.Mask
	c.Type = netlinkx.Some(c.Type.V)
	c.Usage = netlinkx.Usage{AddTime: uint64(lifetime.Now())}
	c.Share, c.SecCtx, c.Offload = 0, nil, nil // the kernel does not keep the share
	fixPrefixes(&c.Selector)
	c.Templates = append([]netlinkx.Template(nil), c.Templates...)
	p := &Policy{db: db, conf: &c, mark: c.Mark.Value}
	for i := range c.Templates {
		t := &c.Templates[i]
		t.Family = rules.TemplateFamily(t, c.Selector.Family)
		p.tmpls = append(p.tmpls, compile(t, c.IfID))
	}
	s := &c.Selector
	p.rule = classify.Rule[Policy]{
		Bin: classify.Bin{Dir: c.Dir, Type: c.Type.V, Family: s.Family, IfID: c.IfID},
		Dst: prefixOf(s.Dst), Src: prefixOf(s.Src), Priority: c.Priority, Item: p,
		Match: classify.Match{SrcPort: s.SrcPort, DstPort: s.DstPort, Proto: s.Proto, IfIndex: uint32(s.IfIndex), Mark: c.Mark},
	}
	return p
}

// fixPrefixes gives a selector without prefixes empty ones of its family.
func fixPrefixes(s *netlinkx.Selector) {
	all := netip.PrefixFrom(s.Family.Unspecified(), 0)
	if !s.Dst.IsValid() {
		s.Dst = all
	}
	if !s.Src.IsValid() {
		s.Src = all
	}
}

func prefixOf(p netip.Prefix) classify.Prefix {
	return classify.Prefix{Addr: xaddr.Of(p.Addr()), Bits: uint8(max(p.Bits(), 0))}
}

func compile(t *netlinkx.Template, ifID uint32) template {
	c := template{
		want:     sad.Want{ReqID: t.ReqID, IfID: ifID, Family: t.Family, Mode: t.Mode, Proto: t.Proto},
		spi:      t.SPI,
		auths:    t.AAlgos,
		all:      t.AAlgos&t.EAlgos&t.CAlgos == netlinkx.AllAlgos,
		tunnel:   rules.Tunnels(t.Mode),
		optional: t.Optional,
	}
	c.want.Src = xaddr.Of(t.Src) // inbound, transport mode too
	if c.tunnel {
		c.want.Dst = xaddr.Of(t.Dst)
		c.anySource = c.want.Src == xaddr.Addr{}
	}
	return c
}
