package provision

import (
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// fate is what becomes of a packet.
type fate string

const (
	fateProtected fate = "protected"
	fateDropped   fate = "dropped"
	fateClear     fate = "clear"
)

// probe is a packet that a namespace sends, or, when it is the session's, that
// comes in there in clear.
type probe struct {
	netns string
	addr  netip.Addr
}

// send returns the fate of a packet that is sent; each namespace has a default
// route in clear. Policies of other namespaces than the session's are not ours.
func (m *model) send(x probe) fate {
	var best *Route
	for _, r := range m.routes {
		if r.NetNS == x.netns && r.Dst.Contains(x.addr) && (best == nil || r.Dst.Bits() > best.Dst.Bits() || r.Dst.Bits() == best.Dst.Bits() && r.Metric < best.Metric) {
			best = r
		}
	}
	var dev *Interface
	switch {
	case best == nil:
	case best.Guard():
		return fateDropped
	default:
		dev = m.ifaces[interfaceID(best.NetNS, best.Dev)]
	}
	if x.netns == "" {
		if f := m.before(x.addr, dev); f != fateClear {
			return f
		}
	}
	if dev == nil {
		return fateClear
	}
	if f, found := m.policy(netlinkx.PolicyOut, x.addr, dev.IfID); found && f != fateClear {
		return f
	}
	return fateDropped // an XFRM interface sends nothing that no SA protects
}

// before is what policies without if_id make of a packet before it reaches its
// device. A default that blocks does so even where no policy is looked at.
func (m *model) before(dst netip.Addr, dev *Interface) fate {
	if dev == nil || !dev.NoXFRM {
		if f, found := m.policy(netlinkx.PolicyOut, dst, 0); found {
			return f
		}
	}
	return m.byDefault("out")
}

func (m *model) byDefault(dir string) fate {
	if m.settings[(&Settings{}).id()].Values[dir] == uint64(netlinkx.DefaultBlock) {
		return fateDropped
	}
	return fateClear
}

// takes reports whether a packet that comes in in clear, from an address that a
// tunnel protects, is taken.
func (m *model) takes(src netip.Addr) bool {
	f, found := m.policy(netlinkx.PolicyIn, src, 0)
	if !found {
		f = m.byDefault("in")
	}
	return f == fateClear
}

func (m *model) policy(dir netlinkx.PolicyDir, dst netip.Addr, ifID uint32) (fate, bool) {
	var best *netlinkx.Policy
	for _, p := range m.policies {
		if p.Dir == dir && p.IfID == ifID && p.Selector.Dst.Contains(dst) && (best == nil || p.Priority < best.Priority) {
			best = p
		}
	}
	switch {
	case best == nil:
		return "", false
	case best.Action == netlinkx.ActionBlock:
		return fateDropped, true
	case open(best):
		return fateClear, true
	}
	for _, sa := range m.sas {
		if sa.Dir == netlinkx.DirOut && sa.ReqID == best.Templates[0].ReqID && sa.IfID == ifID {
			return fateProtected, true
		}
	}
	return fateDropped, true
}
