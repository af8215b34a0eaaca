package spd

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/dump"
)

// Walk is a dump of policies with pauses; see sad.Walk.
type Walk struct {
	table *Table
	typ   netlinkx.Opt[netlinkx.PolicyType]
	w     dump.Walk[*Policy]
	buf   netlinkx.Policy
}

// Walk begins a dump of the policies of a type; absent: of all.
func (t *Table) Walk(typ netlinkx.Opt[netlinkx.PolicyType]) *Walk {
	return &Walk{table: t, typ: typ}
}

// Next calls fn with each policy from where the last call stopped, and returns
// true when there are no more. When fn returns false the policy will be the
// first of the next call. The policy is borrowed for the call. Next holds the
// lock; fn must not take it.
func (w *Walk) Next(fn func(*netlinkx.Policy) bool) (done bool) {
	w.table.cfg.Lock.Lock()
	defer w.table.cfg.Lock.Unlock()
	return w.table.list.Next(&w.w, func(p *Policy) bool {
		if w.typ.Valid && p.conf.Type.V != w.typ.V {
			return true
		}
		w.buf = *p.conf
		w.buf.Usage.UseTime = uint64(p.useTime.Load())
		return fn(&w.buf)
	})
}

// Close gives a dump up that is not at its end; afterwards Next returns true.
func (w *Walk) Close() {
	w.table.cfg.Lock.Lock()
	defer w.table.cfg.Lock.Unlock()
	w.table.list.End(&w.w)
}
