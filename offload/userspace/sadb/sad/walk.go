package sad

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/dump"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// Walk is a dump of SAs with pauses: a client reads a part at a time, and
// the tables may change in between. It sees each SA that is there all the
// time once, newest first. Not for concurrent use. End it with Close.
type Walk struct {
	table  *Table
	filter netlinkx.SAFilter
	w      dump.Walk[*SA]
	box    reportBox
}

// Walk begins a dump; f limits it, nil does not.
func (t *Table) Walk(f *netlinkx.SAFilter) *Walk {
	w := &Walk{table: t}
	if f != nil {
		w.filter = *f
	}
	return w
}

// Next calls fn with each SA from where the last call stopped, and returns
// true when there are no more. When fn returns false the SA will be the first
// of the next call. The SA is borrowed for the call. Next holds the lock; fn
// must not take it.
func (w *Walk) Next(fn func(*netlinkx.SA) bool) (done bool) {
	w.table.cfg.Lock.Lock()
	defer w.table.cfg.Lock.Unlock()
	return w.table.all.Next(&w.w, func(sa *SA) bool {
		return !w.wants(sa.Conf()) || fn(sa.reportInto(&w.box))
	})
}

// Close gives a dump up that is not at its end; afterwards Next returns true.
func (w *Walk) Close() {
	w.table.cfg.Lock.Lock()
	defer w.table.cfg.Lock.Unlock()
	w.table.all.End(&w.w)
}

// wants is __xfrm_state_filter_match.
func (w *Walk) wants(c *netlinkx.SA) bool {
	f := &w.filter
	if !matchProto(c.Proto, f.Proto) || f.Family.Bits() != 0 && c.Family != f.Family {
		return false
	}
	src, dst := xaddr.Of(c.Src), xaddr.Of(c.Dst)
	return src.Within(f.Src) && dst.Within(f.Dst)
}

// Flush removes all SAs of a protocol, larval ones too, and returns how many;
// 0 means every protocol, netlinkx.ProtoIPsecAny those with an SPI. The caller
// holds the lock.
func (t *Table) Flush(proto netlinkx.Proto) (n int) {
	for sa := range t.all.All() {
		if matchProto(sa.Conf().Proto, proto) && t.Remove(sa) {
			n++
		}
	}
	return n
}

// matchProto is xfrm_id_proto_match.
func matchProto(p, want netlinkx.Proto) bool {
	return want == 0 || p == want || want == netlinkx.ProtoIPsecAny && p.HasSPI()
}
