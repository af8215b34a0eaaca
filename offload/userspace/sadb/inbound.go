package sadb

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// Inbound returns the ESP SA of a received packet, in any state, or nil: count
// InNoStates. dst is an xfrm_address_t, mark the packet's (0 if nothing sets
// one). Takes no lock and allocates nothing.
func (db *DB) Inbound(dst *[16]byte, family netlinkx.Family, spi netlinkx.SPI, mark uint32) *SA {
	return db.sas.Find((*xaddr.Addr)(dst), spi, netlinkx.ProtoESP, family, mark)
}

// CheckInbound says whether a packet that came out of the SAs of path may be
// let in; xfrmstat.None: it may. path has the SAs in the order in which they
// were opened, outermost first; f is the inner packet's flow, f.IfID that of
// the device it came in on (with an external device, that of the SA), f.Mark
// the packet's mark, f.IfIndex 0.
//
// Whether a packet is for this host or to be forwarded is not known here:
// if the policies of direction in do not let it pass, those of direction fwd
// may. The counter is what direction in says (__xfrm_policy_check).
func (db *DB) CheckInbound(f *flow.Flow, path []*SA) xfrmstat.Counter {
	for i := len(path) - 1; i >= 0; i-- {
		if !f.In(&path[i].Conf().Selector) {
			return xfrmstat.InStateMismatch
		}
	}
	why := db.checkDir(f, path, netlinkx.PolicyIn)
	if why != xfrmstat.None && db.checkDir(f, path, netlinkx.PolicyFwd) == xfrmstat.None {
		return xfrmstat.None
	}
	return why
}

// ICMPError says whether an ICMP error that CheckInbound refuses may be let
// in, because the SA it came by has FlagICMP and the packet that it quotes
// belongs to a policy with FlagICMP's like: quoted is the flow of the quoted
// packet, whose direction is turned round.
func (db *DB) ICMPError(quoted *flow.Flow, path []*SA) bool {
	if len(path) == 0 || path[len(path)-1].Conf().Flags&netlinkx.FlagICMP == 0 {
		return false
	}
	r := *quoted
	r.Src, r.Dst = quoted.Dst, quoted.Src
	r.SrcPort, r.DstPort = quoted.DstPort, quoted.SrcPort
	return db.CheckInbound(&r, path) == xfrmstat.None
}

// checkDir checks against the policies of one direction.
func (db *DB) checkDir(f *flow.Flow, path []*SA, dir netlinkx.PolicyDir) xfrmstat.Counter {
	ps := db.policies.For(f, dir)
	switch {
	case ps[0] == nil:
		if db.policies.Default(dir) == netlinkx.DefaultBlock || !ps.Accept(path, f.IfID) {
			return xfrmstat.InNoPols
		}
		return xfrmstat.None
	case ps.Blocks():
		return xfrmstat.InPolBlock
	case ps.Templates() >= netlinkx.MaxTemplates:
		return xfrmstat.InBufferError
	}
	if !ps.Accept(path, f.IfID) {
		return xfrmstat.InTmplMismatch
	}
	return xfrmstat.None
}
