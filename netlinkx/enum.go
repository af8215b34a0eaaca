package netlinkx

import (
	"fmt"
	"net/netip"
)

// Family is an address family as the kernel numbers it.
type Family uint16

// Address families that XFRM knows (AF_UNSPEC, AF_INET, AF_INET6).
const (
	FamilyUnspec Family = 0
	FamilyIPv4   Family = 2
	FamilyIPv6   Family = 10
)

// FamilyOf returns the family of a; FamilyUnspec for the zero Addr. An
// IPv4-mapped IPv6 address is IPv6.
func FamilyOf(a netip.Addr) Family {
	switch {
	case a.Is4():
		return FamilyIPv4
	case a.Is6():
		return FamilyIPv6
	}
	return FamilyUnspec
}

// Bits returns the length of the family's addresses: 32, 128, or 0.
func (f Family) Bits() int {
	switch f {
	case FamilyIPv4:
		return 32
	case FamilyIPv6:
		return 128
	}
	return 0
}

// Unspecified returns 0.0.0.0, :: or, for another family, the zero Addr.
func (f Family) Unspecified() netip.Addr {
	switch f {
	case FamilyIPv4:
		return netip.IPv4Unspecified()
	case FamilyIPv6:
		return netip.IPv6Unspecified()
	}
	return netip.Addr{}
}

// String returns "inet", "inet6", "unspec" or the number.
func (f Family) String() string { return name(familyNames, f) }

var familyNames = map[Family]string{FamilyUnspec: "unspec", FamilyIPv4: "inet", FamilyIPv6: "inet6"}

// SPI is a security parameter index in host byte order (RFC 4303 section 2.1).
type SPI uint32

// String prints the SPI as 0x%08x.
func (s SPI) String() string { return fmt.Sprintf("0x%08x", uint32(s)) }

// Proto is the IP protocol of an SA or template.
type Proto uint8

// Protocols of XFRM. ProtoIPsecAny (IPSEC_PROTO_ANY) stands for ESP, AH and
// IPComp together in flushes and dumps.
const (
	ProtoRoute2   Proto = 43
	ProtoESP      Proto = 50
	ProtoAH       Proto = 51
	ProtoHAO      Proto = 60
	ProtoComp     Proto = 108
	ProtoIPsecAny Proto = 255
)

var protoNames = map[Proto]string{ProtoRoute2: "route2", ProtoESP: "esp", ProtoAH: "ah", ProtoHAO: "hao", ProtoComp: "comp", ProtoIPsecAny: "ipsec-any"}

// String returns the name that `ip xfrm` uses, or the number.
func (p Proto) String() string { return name(protoNames, p) }

// HasSPI reports whether SAs of this protocol are told apart by SPI (ESP, AH,
// IPComp) and not by source address.
func (p Proto) HasSPI() bool { return p == ProtoESP || p == ProtoAH || p == ProtoComp }

// Mode is the encapsulation mode of an SA or template (XFRM_MODE_*).
type Mode uint8

// Modes.
const (
	ModeTransport Mode = 0
	ModeTunnel    Mode = 1
	ModeRO        Mode = 2 // route optimisation (Mobile IPv6)
	ModeInTrigger Mode = 3
	ModeBEET      Mode = 4
	ModeIPTFS     Mode = 5 // RFC 9347, Linux 6.14
)

var modeNames = map[Mode]string{ModeTransport: "transport", ModeTunnel: "tunnel", ModeRO: "ro", ModeInTrigger: "in_trigger", ModeBEET: "beet", ModeIPTFS: "iptfs"}

// String returns the name that `ip xfrm` uses (and "iptfs"), or the number.
func (m Mode) String() string { return name(modeNames, m) }

// Dir is the direction of an SA (XFRMA_SA_DIR, Linux 6.10). Zero: not set.
type Dir uint8

// SA directions.
const (
	DirUnset Dir = 0
	DirIn    Dir = 1
	DirOut   Dir = 2
)

var dirNames = map[Dir]string{DirUnset: "", DirIn: "in", DirOut: "out"}

// String returns "in", "out", "" when unset, or the number.
func (d Dir) String() string { return name(dirNames, d) }

// PolicyDir is the direction of a policy. The kernel's per-socket policies
// have the directions SocketDirOffset and up.
type PolicyDir uint8

// Policy directions.
const (
	PolicyIn        PolicyDir = 0
	PolicyOut       PolicyDir = 1
	PolicyFwd       PolicyDir = 2
	SocketDirOffset PolicyDir = 3
)

var policyDirNames = map[PolicyDir]string{PolicyIn: "in", PolicyOut: "out", PolicyFwd: "fwd", 3: "socket in", 4: "socket out", 5: "socket fwd"}

// String returns "in", "out", "fwd", "socket in" and so on, or the number.
func (d PolicyDir) String() string { return name(policyDirNames, d) }

// Socket reports whether d belongs to a per-socket policy.
func (d PolicyDir) Socket() bool { return d >= SocketDirOffset }

// Action says what a policy does with traffic that it matches.
type Action uint8

// Policy actions. Allow without templates passes traffic in clear.
const (
	ActionAllow Action = 0
	ActionBlock Action = 1
)

var actionNames = map[Action]string{ActionAllow: "allow", ActionBlock: "block"}

// String returns "allow", "block" or the number.
func (a Action) String() string { return name(actionNames, a) }

// PolicyType tells the main policy table from the sub policies.
type PolicyType uint8

// Policy types.
const (
	PolicyMain PolicyType = 0
	PolicySub  PolicyType = 1
)

var policyTypeNames = map[PolicyType]string{PolicyMain: "main", PolicySub: "sub"}

// String returns "main", "sub" or the number.
func (t PolicyType) String() string { return name(policyTypeNames, t) }

// DefaultAction is what happens to traffic that no policy matches.
type DefaultAction uint8

// Default actions. Zero leaves a direction as it is (XFRM_USERPOLICY_*).
const (
	DefaultUnchanged DefaultAction = 0
	DefaultBlock     DefaultAction = 1
	DefaultAccept    DefaultAction = 2
)

var defaultActionNames = map[DefaultAction]string{DefaultUnchanged: "unspec", DefaultBlock: "block", DefaultAccept: "accept"}

// String returns "block", "accept", "unspec" or the number.
func (a DefaultAction) String() string { return name(defaultActionNames, a) }

// EncapType is the kind of encapsulation around ESP.
type EncapType uint16

// Encapsulation types. EncapESPinUDPNonIKE was removed in Linux 6.10.
const (
	EncapESPinUDPNonIKE EncapType = 1
	EncapESPinUDP       EncapType = 2
	EncapESPinTCP       EncapType = 7
)

var encapNames = map[EncapType]string{EncapESPinUDPNonIKE: "espinudp-nonike", EncapESPinUDP: "espinudp", EncapESPinTCP: "espintcp"}

// String returns the name that `ip xfrm` uses, or the number.
func (t EncapType) String() string { return name(encapNames, t) }

// name looks v up in a table, or prints its number.
func name[T interface{ ~uint8 | ~uint16 }](names map[T]string, v T) string {
	if s, ok := names[v]; ok {
		return s
	}
	return fmt.Sprint(uint16(v))
}
