package ipxfrm

import (
	"math/bits"
	"net/netip"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Families that XFRM has no objects of, but -0, -B and -M ask for.
const (
	familyBridge netlinkx.Family = 7
	familyPacket netlinkx.Family = 17
	familyMPLS   netlinkx.Family = 28
)

// address is a parsed address or prefix. Its family is zero for "any" when no
// family was known.
type address struct {
	family netlinkx.Family
	addr   netip.Addr // of other families than IPv4 and IPv6 not valid
	bits   int
}

// prefix returns the address as a prefix, host bits kept.
func (a address) prefix() netip.Prefix { return netip.PrefixFrom(a.addr, a.bits) }

// parseAddress reads an address without a prefix length; whole is false for
// the words that mean any address.
func parseAddress(s string, want netlinkx.Family) (a address, whole, ok bool) {
	switch s {
	case "default", "any", "all":
		return address{family: want, addr: want.Unspecified()}, false, want != familyMPLS
	}
	if strings.Contains(s, ":") {
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.Zone() != "" || want != netlinkx.FamilyUnspec && want != netlinkx.FamilyIPv6 {
			return address{}, false, false
		}
		return address{netlinkx.FamilyIPv6, ip, 128}, true, true
	}
	if want != netlinkx.FamilyUnspec && want != netlinkx.FamilyIPv4 {
		return address{}, false, false
	}
	ip, ok := parseIPv4(s)
	return address{netlinkx.FamilyIPv4, ip, 32}, true, ok
}

// parseIPv4 reads one to four numbers of any base with dots between. What is
// missing is zero on the right: 10.8 is 10.8.0.0.
func parseIPv4(s string) (netip.Addr, bool) {
	var b [4]byte
	for i := range b {
		v, taken, _ := parseUint(s, 0)
		if taken == 0 || v > 255 {
			return netip.Addr{}, false
		}
		b[i] = byte(v)
		s = s[taken:]
		if s == "" {
			return netip.AddrFrom4(b), true
		}
		if s[0] != '.' {
			return netip.Addr{}, false
		}
		s = s[1:]
	}
	return netip.Addr{}, false
}

// parsePrefix reads ADDR or ADDR/LENGTH, where the length may be a netmask.
func parsePrefix(s string, want netlinkx.Family) (address, bool) {
	word, length, slash := strings.Cut(s, "/")
	a, whole, ok := parseAddress(word, want)
	if !ok || !slash {
		return a, ok
	}
	n, ok := parsePrefixLength(length)
	if !ok || !whole || n > uint32(a.family.Bits()) {
		return address{}, false
	}
	a.bits = int(n)
	return a, true
}

func parsePrefixLength(s string) (uint32, bool) {
	if n, ok := parse32(s); ok {
		return n, true
	}
	mask, _, ok := parseAddress(s, netlinkx.FamilyIPv4)
	if !ok {
		return 0, false
	}
	b := mask.addr.As4()
	m := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	if host := ^m; host&(host+1) != 0 {
		return 0, false
	}
	return uint32(bits.LeadingZeros32(^m)), true
}

// familyWord is how an error names the family that was wanted.
func familyWord(f netlinkx.Family) string {
	switch f {
	case netlinkx.FamilyUnspec:
		return "any valid"
	case netlinkx.FamilyIPv4, netlinkx.FamilyIPv6:
		return f.String()
	case familyBridge:
		return "bridge"
	case familyPacket:
		return "link"
	case familyMPLS:
		return "mpls"
	}
	return "???"
}

// prefix reads a prefix of the family that is known so far, if any.
func (p *parser) prefix(meta string) (address, error) {
	w, err := p.value(meta)
	if err != nil {
		return address{}, err
	}
	if p.family == familyPacket {
		return address{}, p.fail(codeCheck, "Error: \"%s\" may be inet prefix, but it is not allowed in this context.", w)
	}
	a, ok := parsePrefix(w, p.family)
	if !ok {
		return address{}, p.fail(codeCheck, "Error: %s prefix is expected rather than \"%s\".", familyWord(p.family), w)
	}
	return a, nil
}

// endpoint reads the prefix after src or dst, whose family must be known.
func (p *parser) endpoint(name string) (address, error) {
	a, err := p.prefix("ADDR[/PLEN]")
	if err == nil && a.family == netlinkx.FamilyUnspec {
		err = p.invalid("value after \"" + name + "\" has an unrecognized address family")
	}
	return a, err
}

// address reads an address of any family.
func (p *parser) address(meta string) (address, error) {
	w, err := p.value(meta)
	if err != nil {
		return address{}, err
	}
	a, _, ok := parseAddress(w, netlinkx.FamilyUnspec)
	if !ok {
		return address{}, p.fail(codeCheck, "Error: any valid address is expected rather than \"%s\".", w)
	}
	return a, nil
}
