package export

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// page is text that counts its lines.
type page struct {
	strings.Builder
	lines int
}

func (p *page) add(format string, args ...any) {
	fmt.Fprintf(p, format+"\n", args...)
	p.lines++
}

// lost adds a comment that tells of a difference.
func (p *page) lost(indent, text string) { p.add("%s%s%s", indent, lostMark, text) }

// text writes the document; keys returns what stands behind a tunnel's keys and
// spi, "" for no spi.
func (w *writer) text(keys func(*tunnel) (keys, spi string)) string {
	p := &page{}
	for _, line := range w.head {
		p.add("# %s", line)
	}
	for _, line := range w.rest {
		p.lost("", line)
	}
	if len(w.tunnels) == 0 {
		p.add("# There are no tunnels that a document could have.")
	}
	reqIDs, ifIDs := w.ranges()
	p.add("version: 1")
	p.add("owner: {name: %s, reqid: %s, if_id: %s}", w.o.Owner, reqIDs, ifIDs)
	if w.o.Userspace {
		p.add("engine: userspace")
	}
	if len(w.tunnels) == 0 {
		p.add("nodes: {}")
		return p.String()
	}
	p.add("nodes:")
	for _, n := range w.nodes {
		more := ""
		if n.underlay != "" {
			more = ", underlay: " + n.underlay
		}
		if n.name == w.o.Node && w.defaults != "" {
			more += ", default_policy: {" + w.defaults + "}"
		}
		p.add("  %s: {endpoint: %s%s}", n.name, quoted(n.endpoint), more)
	}
	p.add("tunnels:")
	for _, t := range w.tunnels {
		t.line = p.lines + 1
		k, spi := keys(t)
		t.text(p, k, spi)
		t.lines = p.lines + 1 - t.line
	}
	return p.String()
}

// quoted is what YAML takes for text in a flow mapping.
func quoted[T fmt.Stringer](v T) string {
	s := v.String()
	if strings.Contains(s, ":") {
		return `"` + s + `"`
	}
	return s
}

// ranges are those of the owner: the thousands that hold all ids.
func (w *writer) ranges() (reqID, ifID string) {
	var reqIDs, ifIDs []uint32
	for _, t := range w.tunnels {
		reqIDs = append(reqIDs, t.reqID)
		if t.iface != nil {
			ifIDs = append(ifIDs, t.iface.IfID)
		}
	}
	return around(reqIDs, len(w.tunnels)), around(ifIDs, len(w.tunnels))
}

// around returns a range that holds ids, 0 aside, and room for n of them.
func around(ids []uint32, n int) string {
	ids = slices.DeleteFunc(ids, func(id uint32) bool { return id == 0 })
	low, high := uint32(10000), uint32(10000)
	if len(ids) > 0 {
		low, high = slices.Min(ids), slices.Max(ids)
	}
	const step = 1000
	low -= low % step
	first, last := max(uint64(low), 1), uint64(high)-uint64(high)%step+step-1
	for last-first+1 < uint64(2*n) {
		last += step
	}
	return fmt.Sprintf("%d-%d", first, min(last, 1<<32-1))
}

func (t *tunnel) text(p *page, keys, spi string) {
	const in = "    "
	p.add("  - name: %s", t.name)
	for _, note := range t.notes {
		p.lost(in, note)
	}
	p.add(in+"between: [%s, %s]", t.near.name, t.peer.name)
	var ends []string
	if t.local != t.near.endpoint {
		ends = append(ends, t.near.name+": "+quoted(t.local))
	}
	if t.far != t.peer.endpoint {
		ends = append(ends, t.peer.name+": "+quoted(t.far))
	}
	if ends != nil {
		p.add(in+"endpoints: {%s}", strings.Join(ends, ", "))
	}
	if t.out.Mode == netlinkx.ModeTransport {
		p.add(in + "mode: transport")
	}
	t.saText(p, in)
	p.add(in+"keys: %s", keys)
	if spi != "" {
		p.add(in+"spi: %s", spi)
	}
	if t.reqID != 0 {
		p.add(in+"reqid: %d", t.reqID)
	}
	t.ifaceText(p, in)
	if t.out.Mode == netlinkx.ModeTransport {
		return
	}
	if !t.forward {
		p.add(in + "forward: false")
	}
	p.add(in + "traffic:")
	for _, x := range t.pairs {
		p.add(in+"  - {%s: %s, %s: %s}", t.near.name, quoted(x.own), t.peer.name, quoted(x.peer))
	}
}

// saText writes what SAs have besides keys.
func (t *tunnel) saText(p *page, in string) {
	if t.suite != nil && t.suite.Name != "aes-gcm-128" {
		p.add(in+"cipher: %s", t.suite.Name)
	}
	if t.out.Flags&netlinkx.FlagESN == 0 {
		p.add(in + "esn: false")
	}
	if n := t.in.ReplayWindow; n != 0 && n != 1024 {
		p.add(in+"replay_window: %d", n)
	}
	if t.out.TFCPad != 0 && t.out.Mode == netlinkx.ModeTunnel {
		p.add(in+"tfc_pad: %d", t.out.TFCPad)
	}
	if e := t.out.Encap; e != nil && e.Type == netlinkx.EncapESPinUDP && e.SrcPort == e.DstPort && t.encap {
		p.add(in+"encap_port: %d", e.SrcPort)
	}
	t.marksText(p, in)
	t.carriage.text(p, in)
	if l := limits(&t.out.Limits); l != "" {
		p.add(in+"lifetime: {%s}", l)
	}
}

func (t *tunnel) marksText(p *page, in string) {
	word := func(m netlinkx.Mark) string { return fmt.Sprintf("%#x/%#x", m.Value, m.Mask) }
	each := func(field string, inbound, outbound netlinkx.Mark) {
		var parts []string
		if inbound != (netlinkx.Mark{}) {
			parts = append(parts, "in: "+word(inbound))
		}
		if outbound != (netlinkx.Mark{}) {
			parts = append(parts, "out: "+word(outbound))
		}
		if parts != nil {
			p.add(in+"%s: {%s}", field, strings.Join(parts, ", "))
		}
	}
	each("mark", t.in.Mark, t.out.Mark)
	each("output_mark", outputMark(t.in), outputMark(t.out))
}

// outputMark spells out the mask of all bits.
func outputMark(sa *netlinkx.SA) netlinkx.Mark {
	m := sa.OutputMark
	if m.Value != 0 && m.Mask == 0 {
		m.Mask = 1<<32 - 1
	}
	return m
}

func limits(l *netlinkx.Limits) string {
	var parts []string
	for _, x := range []struct {
		name  string
		value uint64
	}{
		{"soft_bytes", l.SoftBytes}, {"hard_bytes", l.HardBytes}, {"soft_packets", l.SoftPackets}, {"hard_packets", l.HardPackets},
		{"soft_seconds", l.SoftAdd}, {"hard_seconds", l.HardAdd},
	} {
		if x.value != 0 && x.value != netlinkx.Inf {
			parts = append(parts, fmt.Sprintf("%s: %d", x.name, x.value))
		}
	}
	return strings.Join(parts, ", ")
}

// ifaceText writes what the interface has, and its routes.
func (t *tunnel) ifaceText(p *page, in string) {
	if t.iface != nil {
		p.add(in+"interface: %s", t.iface.Name)
		p.add(in+"if_id: %d", t.iface.IfID)
		if u := t.iface.Underlay; u != "" && u != t.near.underlay {
			p.add(in+"underlays: {%s: %s}", t.near.name, u)
		}
		if t.iface.NetNS != "" {
			p.add(in+"namespace: {%s: %s}", t.near.name, t.iface.NetNS)
		}
		if t.mtu != 0 {
			p.add(in+"mtu: %d # %d is what fits", t.mtu, t.fits)
		}
		if len(t.iface.Addresses) > 0 {
			p.add(in+"addresses: {%s: [%s]}", t.near.name, addresses(t.iface.Addresses))
		}
		if t.routes != "true" {
			p.add(in+"routes: %s", t.routes)
		}
	}
	if d := t.carriage.device; t.iface == nil && d != "" && d != t.near.underlay {
		p.add(in+"underlays: {%s: %s}", t.near.name, d)
	}
	switch t.guard {
	case "true":
	case "false":
		p.add(in + "guard: false # nothing here keeps clear text off other ways")
	default:
		p.add(in+"guard: %s", t.guard)
	}
}

func addresses(all []netip.Prefix) string {
	var parts []string
	for _, a := range all {
		parts = append(parts, quoted(a))
	}
	return strings.Join(parts, ", ")
}
