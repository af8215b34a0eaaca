package offload

import (
	"slices"
	"strconv"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Type is how much of IPsec a NIC does.
type Type string

// Types of offload.
const (
	// Crypto: the NIC encrypts and decrypts; the kernel does the rest and can
	// stand in for it.
	Crypto Type = "crypto"
	// Packet: the NIC does everything, policies too; nothing stands in for it.
	Packet Type = "packet"
)

// Facts are what rules look at, by name. Values are strings, those of numbers
// in decimal. See Names of facts.
type Facts map[string]string

// Names of facts. What an object does not have is absent, and no rule holds of
// it.
const (
	FactType      = "type"         // crypto, packet
	FactDir       = "dir"          // in, out; of policies also fwd
	FactProto     = "proto"        // esp, ah, comp
	FactFamily    = "family"       // 4, 6
	FactMode      = "mode"         // transport, tunnel, beet, iptfs
	FactAEAD      = "aead"         // kernel's name, "none"
	FactAuth      = "auth"         // kernel's name of the integrity algorithm next to a cipher, "none"
	FactCrypt     = "crypt"        // kernel's name, "none"
	FactComp      = "comp"         // kernel's name, "none"
	FactKeyBits   = "key_bits"     // of the cipher, the salt of counter modes included
	FactICVBits   = "icv_bits"     // of the AEAD or integrity algorithm
	FactESN       = "esn"          // yes, no
	FactWindow    = "window"       // packets
	FactEncap     = "encap"        // none, udp, tcp
	FactTFC       = "tfc"          // bytes
	FactReqID     = "reqid"        //
	FactIfID      = "if_id"        //
	FactSelProto  = "sel_proto"    // upper-layer protocol of the selector: any, tcp, udp, or its number
	FactSelAddr   = "sel_addr"     // any, given: whether the selector names an address
	FactSoftBytes = "soft_bytes"   // inf, or bytes
	FactHardBytes = "hard_bytes"   //
	FactSoftPkts  = "soft_packets" // inf, or packets
	FactHardPkts  = "hard_packets" //
	FactLimits    = "limits"       // ok, or bytes/packets when a soft limit is not below its hard one
	FactPType     = "ptype"        // of policies: main, sub
	FactTemplates = "templates"    // of policies: their number
	FactPriority  = "priority"     // of policies
)

// SAFacts returns the facts of an SA that shall be offloaded. It is pure; no
// fact holds anything of a key but its length.
func SAFacts(sa *netlinkx.SA, t Type, dir netlinkx.Dir) Facts {
	f := Facts{
		FactType: string(t), FactDir: dir.String(), FactProto: sa.Proto.String(), FactFamily: family(sa),
		FactMode: sa.Mode.String(), FactAEAD: "none", FactAuth: "none", FactCrypt: "none", FactComp: "none",
		FactESN: yesNo(sa.Flags&netlinkx.FlagESN != 0), FactWindow: number(sa.ReplayWindow), FactEncap: encap(sa),
		FactTFC: number(sa.TFCPad), FactReqID: number(sa.ReqID), FactIfID: number(sa.IfID), FactSelProto: selectorProto(sa.Selector.Proto),
		FactSoftBytes: limit(sa.Limits.SoftBytes), FactHardBytes: limit(sa.Limits.HardBytes),
		FactSoftPkts: limit(sa.Limits.SoftPackets), FactHardPkts: limit(sa.Limits.HardPackets), FactLimits: limits(&sa.Limits),
	}
	algorithms(f, sa)
	return f
}

func algorithms(f Facts, sa *netlinkx.SA) {
	if sa.AEAD != nil {
		f[FactAEAD], f[FactKeyBits], f[FactICVBits] = sa.AEAD.Name, number(8*sa.AEAD.Key.Len()), number(sa.AEAD.ICVBits)
	}
	if sa.Crypt != nil {
		f[FactCrypt], f[FactKeyBits] = sa.Crypt.Name, number(8*sa.Crypt.Key.Len())
	}
	switch {
	case sa.AuthTrunc != nil:
		f[FactAuth], f[FactICVBits] = sa.AuthTrunc.Name, number(sa.AuthTrunc.ICVBits)
	case sa.Auth != nil:
		f[FactAuth] = sa.Auth.Name
	}
	if sa.Comp != nil {
		f[FactComp] = sa.Comp.Name
	}
}

// PolicyFacts returns the facts of a policy that shall be offloaded.
func PolicyFacts(p *netlinkx.Policy) Facts {
	f := Facts{
		FactType: string(Packet), FactDir: p.Dir.String(), FactPType: "main", FactTemplates: number(len(p.Templates)),
		FactPriority: number(p.Priority), FactSelProto: selectorProto(p.Selector.Proto), FactIfID: number(p.IfID),
		FactReqID: "0", FactSelAddr: "any",
	}
	if p.Type.Valid {
		f[FactPType] = p.Type.V.String()
	}
	if len(p.Templates) > 0 {
		f[FactReqID] = number(p.Templates[0].ReqID)
	}
	if p.Selector.Src.Bits() > 0 || p.Selector.Dst.Bits() > 0 {
		f[FactSelAddr] = "given"
	}
	return f
}

func family(sa *netlinkx.SA) string {
	f := sa.Family
	if f == netlinkx.FamilyUnspec {
		f = netlinkx.FamilyOf(sa.Dst)
	}
	if f == netlinkx.FamilyIPv6 {
		return "6"
	}
	return "4"
}

func encap(sa *netlinkx.SA) string {
	switch {
	case sa.Encap == nil:
		return "none"
	case sa.Encap.Type == netlinkx.EncapESPinTCP:
		return "tcp"
	}
	return "udp"
}

func selectorProto(p uint8) string {
	switch p {
	case 0:
		return "any"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	}
	return number(p)
}

func limit(v uint64) string {
	if v == netlinkx.Inf {
		return "inf"
	}
	return number(v)
}

// limits compares soft with hard limits as mlx5 does: a soft one that is set
// must be below its hard one.
func limits(l *netlinkx.Limits) string {
	var bad []string
	if l.SoftBytes != netlinkx.Inf && l.SoftBytes >= l.HardBytes {
		bad = append(bad, "bytes")
	}
	if l.SoftPackets != netlinkx.Inf && l.SoftPackets >= l.HardPackets {
		bad = append(bad, "packets")
	}
	if len(bad) == 0 {
		return "ok"
	}
	slices.Sort(bad)
	return strings.Join(bad, "+")
}

func yesNo(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

func number[T ~int | ~uint8 | ~uint32 | ~uint64](v T) string {
	return strconv.FormatUint(uint64(v), 10)
}
