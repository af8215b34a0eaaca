package provision

import (
	"fmt"
	"strconv"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// The names of common objects are put together by hand: a plan makes those of
// all that is there and all that is wanted, some hundred thousand with ten
// thousand tunnels, and the verbs of package fmt were half of its time.

// nameRoom holds nearly every name.
const nameRoom = 96

func saID(sa *netlinkx.SA) ID {
	if sa.Mark != (netlinkx.Mark{}) || !sa.Proto.HasSPI() || !sa.Dst.IsValid() {
		return SAObject(sa.ID())
	}
	b := append(make([]byte, 0, nameRoom), sa.Proto.String()...)
	b = append(b, " sa 0x"...)
	const digits = "0123456789abcdef"
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, digits[sa.SPI>>shift&15])
	}
	return ID(sa.Dst.AppendTo(append(b, " to "...)))
}

// policyID tells all that distinguishes policies, also what Policy.String
// leaves out.
func policyID(p *netlinkx.Policy) ID {
	s := p.Selector
	plain := netlinkx.Selector{Family: s.Family, Src: s.Src, Dst: s.Dst}
	if s != plain || !s.Src.IsValid() || !s.Dst.IsValid() || p.Mark != (netlinkx.Mark{}) || p.Type.Valid {
		return longPolicyID(p)
	}
	b := append(make([]byte, 0, nameRoom), p.Dir.String()...)
	b = s.Src.AppendTo(append(b, " policy "...))
	b = s.Dst.AppendTo(append(b, " -> "...))
	if p.IfID != 0 {
		b = strconv.AppendUint(append(b, " if_id 0x"...), uint64(p.IfID), 16)
	}
	return ID(b)
}

func longPolicyID(p *netlinkx.Policy) ID {
	s, t := p.Selector, p.String()
	if partial(s.SrcPort) || partial(s.DstPort) {
		t += fmt.Sprintf(" ports %#x/%#x %#x/%#x", s.SrcPort.Port, s.SrcPort.Mask, s.DstPort.Port, s.DstPort.Mask)
	}
	if s.IfIndex != 0 {
		t += fmt.Sprintf(" dev if%d", s.IfIndex)
	}
	if s.User != 0 {
		t += fmt.Sprintf(" uid %d", s.User)
	}
	return ID(t)
}

func partial(m netlinkx.PortMatch) bool { return m.Mask != 0 && m.Mask != 0xffff }

func routeID(r *Route) ID {
	b := make([]byte, 0, nameRoom)
	if r.Guard() {
		b = r.Dst.AppendTo(append(b, "guard route "...))
	} else {
		b = r.Dst.AppendTo(append(b, "route "...))
		b = strconv.AppendUint(append(b, " metric "...), uint64(r.Metric), 10)
	}
	return ID(append(b, within(r.NetNS)...))
}
