package flow

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func base4(proto uint8, sport, dport uint16) Flow {
	f := Flow{
		Family: netlinkx.FamilyIPv4, Proto: proto, SrcPort: sport, DstPort: dport,
		TOS: 0xb9, TTL: 63, FragID: 0x1234, HeaderLen: 20,
	}
	copy(f.Src[:], src4)
	copy(f.Dst[:], dst4)
	return f
}

func base6(proto uint8, header, sport, dport uint16) Flow {
	return Flow{
		Src: [16]byte(src6), Dst: [16]byte(dst6), Family: netlinkx.FamilyIPv6, Proto: proto,
		SrcPort: sport, DstPort: dport, TOS: 0xb9, FlowLabel: 0xabcde, TTL: 62, HeaderLen: header,
	}
}

func with(f Flow, change func(*Flow)) Flow {
	change(&f)
	return f
}

var ports = []byte{0x12, 0x34, 0x56, 0x78, 9, 9, 9, 9}

// chain is n destination options headers and UDP.
func chain(n int) []byte {
	var p []byte
	for i := range n {
		next := uint8(ProtoDestOpts)
		if i == n-1 {
			next = ProtoUDP
		}
		p = append(p, ext(next, 0)...)
	}
	return append(p, ports...)
}

func TestDissect(t *testing.T) {
	gre := func(flags uint16, proto uint16, rest ...byte) []byte {
		return append(be.AppendUint16(be.AppendUint16(nil, flags), proto), rest...)
	}
	keyed := func(f Flow, k uint32) Flow {
		f.GREKey, f.SrcPort, f.DstPort = k, uint16(k>>16), uint16(k)
		return f
	}
	for name, c := range map[string]struct {
		pkt  []byte
		want Flow
	}{
		"TCP":      {ip4(ProtoTCP, 0, ports...), base4(ProtoTCP, 0x1234, 0x5678)},
		"UDP":      {ip4(ProtoUDP, 0, ports...), base4(ProtoUDP, 0x1234, 0x5678)},
		"UDP-Lite": {ip4(ProtoUDPLite, 0, ports...), base4(ProtoUDPLite, 0x1234, 0x5678)},
		"SCTP":     {ip4(ProtoSCTP, 0, ports...), base4(ProtoSCTP, 0x1234, 0x5678)},
		// xfrm_flowi_sport knows no ports of DCCP, and none of ESP and AH
		"DCCP":                    {ip4(ProtoDCCP, 0, ports...), base4(ProtoDCCP, 0, 0)},
		"ESP":                     {ip4(ProtoESP, 0, ports...), base4(ProtoESP, 0, 0)},
		"ICMP":                    {ip4(ProtoICMP, 0, 3, 4, 0, 0), base4(ProtoICMP, 3, 4)},
		"ICMPv6 in IPv4":          {ip4(ProtoICMPv6, 0, 3, 4, 0, 0), base4(ProtoICMPv6, 0, 0)},
		"MH in IPv4":              {ip4(ProtoMH, 0, ports...), base4(ProtoMH, 0, 0)},
		"IPIP stops":              {ip4(ProtoIPIP, 0, ip4(ProtoTCP, 0, ports...)...), base4(ProtoIPIP, 0, 0)},
		"unknown protocol":        {ip4(253, 0, ports...), base4(253, 0, 0)},
		"no payload":              {ip4(ProtoTCP, 0), base4(ProtoTCP, 0, 0)},
		"ports cut short":         {ip4(ProtoTCP, 0, 1, 2, 3), base4(ProtoTCP, 0, 0)},
		"ICMP cut short":          {ip4(ProtoICMP, 0, 8), base4(ProtoICMP, 0, 0)},
		"DF":                      {ip4(ProtoTCP, 0x4000, ports...), with(base4(ProtoTCP, 0x1234, 0x5678), func(f *Flow) { f.DF = true })},
		"first fragment":          {ip4(ProtoTCP, 0x2000, ports...), with(base4(ProtoTCP, 0, 0), func(f *Flow) { f.MF, f.Fragment = true, true })},
		"later fragment":          {ip4(ProtoTCP, 0x2003, ports...), with(base4(ProtoTCP, 0, 0), func(f *Flow) { f.MF, f.Fragment, f.FragOffset = true, true, 24 })},
		"last fragment":           {ip4(ProtoTCP, 0x1fff, ports...), with(base4(ProtoTCP, 0, 0), func(f *Flow) { f.Fragment, f.FragOffset = true, 65528 })},
		"GRE":                     {ip4(ProtoGRE, 0, gre(0, 0x800, ports...)...), base4(ProtoGRE, 0, 0)},
		"GRE key":                 {ip4(ProtoGRE, 0, gre(0x2000, 0x800, ports...)...), keyed(base4(ProtoGRE, 0, 0), 0x12345678)},
		"GRE checksum and key":    {ip4(ProtoGRE, 0, gre(0xa000, 0x800, ports...)...), keyed(base4(ProtoGRE, 0, 0), 0x09090909)},
		"GRE routing":             {ip4(ProtoGRE, 0, gre(0x6000, 0x800, ports...)...), base4(ProtoGRE, 0, 0)},
		"GRE key cut short":       {ip4(ProtoGRE, 0, gre(0xa000, 0x800, ports[:7]...)...), base4(ProtoGRE, 0, 0)},
		"GRE version 2":           {ip4(ProtoGRE, 0, gre(0x2002, 0x800, ports...)...), base4(ProtoGRE, 0, 0)},
		"PPTP":                    {ip4(ProtoGRE, 0, gre(0x2001, 0x880b, ports...)...), keyed(base4(ProtoGRE, 0, 0), 0x5678)},
		"PPTP of another kind":    {ip4(ProtoGRE, 0, gre(0x2001, 0x800, ports...)...), base4(ProtoGRE, 0, 0)},
		"IPv6 TCP":                {ip6(ProtoTCP, ports...), base6(ProtoTCP, 40, 0x1234, 0x5678)},
		"IPv6 without payload":    {ip6(ProtoNone), base6(ProtoNone, 40, 0, 0)},
		"ICMPv6":                  {ip6(ProtoICMPv6, 128, 1), base6(ProtoICMPv6, 40, 128, 1)},
		"ICMP in IPv6":            {ip6(ProtoICMP, 8, 1), base6(ProtoICMP, 40, 0, 0)},
		"MH":                      {ip6(ProtoMH, 59, 1, 5, 0), base6(ProtoMH, 40, 5, 0)},
		"hop by hop":              {ip6(ProtoHopByHop, join(ext(ProtoUDP, 0), ports)...), base6(ProtoUDP, 48, 0x1234, 0x5678)},
		"routing, long":           {ip6(ProtoRouting, join(ext(ProtoUDP, 4), ports)...), base6(ProtoUDP, 80, 0x1234, 0x5678)},
		"all extension headers":   {ip6(ProtoHopByHop, join(ext(ProtoDestOpts, 0), ext(ProtoRouting, 1), ext(ProtoDestOpts, 0), ext(ProtoTCP, 255), ports)...), base6(ProtoTCP, 40+8+8+16+2048, 0x1234, 0x5678)},
		"fifteen":                 {ip6(ProtoDestOpts, chain(15)...), base6(ProtoUDP, 40+15*8, 0x1234, 0x5678)},
		"AH is an upper layer":    {ip6(ProtoAH, join(ext(ProtoTCP, 2), ports)...), base6(ProtoAH, 40, 0, 0)},
		"AH after options":        {ip6(ProtoDestOpts, join(ext(ProtoAH, 0), ext(ProtoTCP, 2))...), base6(ProtoAH, 48, 0, 0)},
		"IPv6 in IPv6 stops":      {ip6(ProtoIPv6, ip6(ProtoTCP, ports...)...), base6(ProtoIPv6, 40, 0, 0)},
		"IPv6 first fragment":     {ip6(ProtoFragment, join(fragHeader(ProtoTCP, 0, true, 7), ports)...), with(base6(ProtoTCP, 48, 0, 0), func(f *Flow) { f.MF, f.Fragment, f.FragHeader, f.FragID = true, true, 40, 7 })},
		"IPv6 later fragment":     {ip6(ProtoFragment, join(fragHeader(ProtoTCP, 65528, false, 7), ports)...), with(base6(ProtoTCP, 48, 0, 0), func(f *Flow) { f.Fragment, f.FragHeader, f.FragID, f.FragOffset = true, 40, 7, 65528 })},
		"later fragment, options": {ip6(ProtoFragment, join(fragHeader(ProtoDestOpts, 8, false, 7), ports)...), with(base6(ProtoDestOpts, 48, 0, 0), func(f *Flow) { f.Fragment, f.FragHeader, f.FragID, f.FragOffset = true, 40, 7, 8 })},
		"atomic fragment":         {ip6(ProtoHopByHop, join(ext(ProtoFragment, 0), fragHeader(ProtoTCP, 0, false, 7), ports)...), with(base6(ProtoTCP, 56, 0x1234, 0x5678), func(f *Flow) { f.FragHeader, f.FragID = 48, 7 })},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.TotalLen = uint32(len(c.pkt))
			c.want.Mark, c.want.IfIndex, c.want.IfID = 1, 2, 3
			got := Flow{Mark: 1, IfIndex: 2, IfID: 3, GREKey: 9, FragHeader: 9, DF: true, SrcPort: 9}
			padded := append(bytes.Clone(c.pkt), 0xff, 0xff, 0xff)
			if err := Dissect(padded, &got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDissectIPv4Options(t *testing.T) {
	p := append(ip4(ProtoUDP, 0)[:20], 1, 1, 1, 0)
	p = append(p, ports...)
	p[0] = 0x46
	be.PutUint16(p[2:], uint16(len(p)))
	var f Flow
	if err := Dissect(p, &f); err != nil || f.HeaderLen != 24 || f.SrcPort != 0x1234 {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestDissectRefuses(t *testing.T) {
	cut := func(p []byte, n int) []byte { return p[:n] }
	change := func(p []byte, at int, v byte) []byte { p[at] = v; return p }
	for name, c := range map[string]struct {
		pkt  []byte
		want error
	}{
		"empty":                 {nil, ErrTruncated},
		"19 bytes":              {cut(ip4(ProtoTCP, 0), 19), ErrTruncated},
		"version 5":             {change(ip4(ProtoTCP, 0), 0, 0x55), ErrVersion},
		"version 0":             {make([]byte, 100), ErrVersion},
		"IPv4 cut":              {cut(ip4(ProtoTCP, 0, ports...), 27), ErrTruncated},
		"header length 4":       {change(ip4(ProtoTCP, 0, ports...), 0, 0x44), ErrLength},
		"total under header":    {change(ip4(ProtoTCP, 0, ports...), 3, 19), ErrLength},
		"options behind total":  {change(ip4(ProtoTCP, 0, ports...), 0, 0x4f), ErrLength},
		"IPv6 header cut":       {cut(ip6(ProtoTCP, ports...), 39), ErrTruncated},
		"IPv6 cut":              {cut(ip6(ProtoTCP, ports...), 47), ErrTruncated},
		"no extension header":   {ip6(ProtoHopByHop), ErrTruncated},
		"extension header cut":  {ip6(ProtoDestOpts, ext(ProtoTCP, 1)[:15]...), ErrTruncated},
		"fragment header cut":   {ip6(ProtoFragment, fragHeader(ProtoTCP, 8, false, 1)[:7]...), ErrTruncated},
		"second header cut":     {ip6(ProtoHopByHop, join(ext(ProtoRouting, 0), ext(ProtoTCP, 3)[:8])...), ErrTruncated},
		"sixteen headers":       {ip6(ProtoDestOpts, chain(16)...), ErrHeaders},
		"hundreds of headers":   {ip6(ProtoDestOpts, chain(500)...), ErrHeaders},
		"atomic fragments only": {ip6(ProtoFragment, bytes.Repeat(fragHeader(ProtoFragment, 0, false, 1), 16)...), ErrHeaders},
	} {
		var f Flow
		if err := Dissect(c.pkt, &f); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	var f Flow
	if f.SrcAddr().IsValid() {
		t.Error("the zero Flow has an address")
	}
	for _, c := range []struct {
		pkt       []byte
		src, dst  string
		multicast bool
	}{
		{ip4(ProtoTCP, 0), "192.0.2.1", "198.51.100.7", false},
		{ip6(ProtoTCP), "2001:db8::1", "2001:db8::2", false},
		{append(ip4(ProtoTCP, 0)[:16], 239, 1, 1, 1), "192.0.2.1", "239.1.1.1", true},
		{append(ip4(ProtoTCP, 0)[:16], 255, 255, 255, 255), "192.0.2.1", "255.255.255.255", true},
		{append(ip6(ProtoTCP)[:24], 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), "2001:db8::1", "ff02::1", true},
	} {
		if err := Dissect(c.pkt, &f); err != nil {
			t.Fatal(err)
		}
		if f.SrcAddr() != netip.MustParseAddr(c.src) || f.DstAddr() != netip.MustParseAddr(c.dst) || f.Multicast() != c.multicast {
			t.Errorf("%v %v %v", f.SrcAddr(), f.DstAddr(), f.Multicast())
		}
	}
}

func TestAllocations(t *testing.T) {
	p4, p6 := ip4(ProtoTCP, 0, ports...), ip6(ProtoHopByHop, join(ext(ProtoUDP, 0), ports)...)
	var f Flow
	r := NewReassembler(ReassemblerConfig{})
	frags := fragments4(3000, 1000, 7)
	if n := testing.AllocsPerRun(100, func() {
		if Dissect(p4, &f) != nil || Dissect(p6, &f) != nil {
			t.Fatal("refused")
		}
		for _, p := range frags {
			if err := Dissect(p, &f); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Add(p, &f, 0); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDissect(b *testing.B) {
	for name, p := range map[string][]byte{
		"IPv4 TCP": ip4(ProtoTCP, 0, ports...), "IPv6 TCP": ip6(ProtoTCP, ports...),
		"IPv6 four extension headers": ip6(ProtoDestOpts, chain(4)...),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var f Flow
			for b.Loop() {
				if err := Dissect(p, &f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
