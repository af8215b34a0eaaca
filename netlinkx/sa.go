package netlinkx

import (
	"fmt"
	"math"
	"net/netip"
)

// Opt is a number that may be absent, where absent and zero differ. The zero
// Opt is absent.
type Opt[T any] struct {
	V     T
	Valid bool
}

// Some returns a present value.
func Some[T any](v T) Opt[T] { return Opt[T]{V: v, Valid: true} }

// Mark is a value and the mask under which it is compared (XFRMA_MARK) or set
// (output mark). The zero Mark is absent. A zero mask is never widened.
type Mark struct{ Value, Mask uint32 }

// Selector says which traffic an SA or policy is for. The zero Selector has
// no family; the kernel gives an SA's the family of the SA unless
// FlagAFUnspec is set. Host bits of prefixes are kept as given.
// The kernel reports the selectors of larval SAs without a family; their
// prefixes are of the SA's.
type Selector struct {
	Family  Family
	Src     netip.Prefix
	Dst     netip.Prefix
	SrcPort PortMatch // or ICMP type, or the upper half of a GRE key
	DstPort PortMatch // or ICMP code, or the lower half of a GRE key
	Proto   uint8     // upper-layer protocol, 0 any
	IfIndex int32     // 0 any
	User    uint32    // uid, 0 any; the kernel ignores it
}

// PortMatch matches a port under a mask: 0xffff one port, 0 any.
type PortMatch struct{ Port, Mask uint16 }

// Inf is the limit that is never reached (XFRM_INF). A limit of 0 is not
// "unlimited" for bytes and packets: the SA expires with its first packet.
const Inf uint64 = math.MaxUint64

// Limits are the limits after which an SA or policy expires: soft ones give
// an event, hard ones end it. Bytes and packets use Inf for none; times are
// seconds since the object was added or first used, with 0 for none.
type Limits struct {
	SoftBytes, HardBytes     uint64
	SoftPackets, HardPackets uint64
	SoftAdd, HardAdd         uint64
	SoftUse, HardUse         uint64
}

// Unlimited returns limits that are never reached.
func Unlimited() Limits {
	return Limits{SoftBytes: Inf, HardBytes: Inf, SoftPackets: Inf, HardPackets: Inf}
}

// Usage is what an SA or policy has consumed. Times are Unix seconds, 0 never.
type Usage struct{ Bytes, Packets, AddTime, UseTime uint64 }

// SAStats are an SA's error counters: packets outside the replay window, replayed
// packets, and packets whose integrity check failed.
type SAStats struct{ ReplayWindow, Replay, IntegrityFailed uint32 }

// Algo is an algorithm with its key (XFRMA_ALG_CRYPT, XFRMA_ALG_AUTH,
// XFRMA_ALG_COMP). Names are the kernel's, for example "cbc(aes)". Keys of
// counter-mode ciphers end in the 4-byte nonce.
type Algo struct {
	Name string
	Key  Key
}

// AuthTrunc is an integrity algorithm whose ICV has an explicit length in
// bits; 0 asks for the kernel's default (96 for hmac(sha256), not RFC 4868's 128).
type AuthTrunc struct {
	Name    string
	Key     Key
	ICVBits uint32
}

// AEAD is a combined algorithm. Its key ends in the salt (4 bytes for GCM, 3
// for CCM). ICVBits is the length of the ICV in bits.
type AEAD struct {
	Name    string
	Key     Key
	ICVBits uint32
}

// ReplayState is the replay state of an SA with the legacy window of up to 32
// packets (XFRMA_REPLAY_VAL).
type ReplayState struct{ OSeq, Seq, Bitmap uint32 }

// ReplayESN is the replay state of an SA with ESN or a window above 32
// packets (XFRMA_REPLAY_ESN_VAL). The window itself is SA.ReplayWindow.
type ReplayESN struct {
	OSeq, Seq, OSeqHi, SeqHi uint32
	// BitmapLen is the declared length of the bitmap in 32-bit words.
	BitmapLen uint32
	// Bitmap is nil in a header-only attribute (the kernel then starts with
	// an empty bitmap), else BitmapLen words.
	Bitmap []uint32
}

// Encap is a UDP or TCP encapsulation of ESP (RFC 3948, RFC 8229).
type Encap struct {
	Type             EncapType
	SrcPort, DstPort uint16
	OriginalAddr     netip.Addr // NAT-OA; informative
}

// SecCtx is a security context (SELinux label) of an SA or policy.
type SecCtx struct {
	DOI, Alg uint8
	Context  string // without the terminating NUL
}

// Offload asks that a NIC carry an SA or policy. On read-back its presence
// means that the device does.
type Offload struct {
	IfIndex int32
	Flags   OffloadFlags
}

// IPTFS holds the attributes of mode IPTFS (RFC 9347). In: DropTime and
// ReorderWindow; out: the others.
type IPTFS struct {
	DropTime      Opt[uint32] // µs that a gap is waited for
	ReorderWindow Opt[uint16] // packets
	DontFrag      bool        // do not split inner packets over outer ones
	InitDelay     Opt[uint32] // µs that the first packet waits for company
	MaxQSize      Opt[uint32] // bytes
	PktSize       Opt[uint32] // bytes of the outer packet, 0 path MTU
}

// SA is a security association, the kernel's "state". Its identity is (Dst,
// SPI, Proto, Family) plus Mark; IfID, Src, ReqID and Dir do not distinguish.
//
// NewSA returns one with limits that never end it. Pointer fields are absent
// when nil. The kernel's answer to Update ignores most fields of an installed
// SA: see Conn.UpdateSA.
type SA struct {
	Selector Selector
	Dst, Src netip.Addr
	SPI      SPI
	Proto    Proto
	// Family of Dst and Src. Zero when encoding: that of Dst, else of Src, else IPv4.
	Family Family
	Mode   Mode
	ReqID  uint32 // ties the SA to policy templates, 0 none
	Seq    uint32 // of the ACQUIRE that it answers, 0 none
	Limits Limits
	Usage  Usage   // read only
	Stats  SAStats // read only
	Flags  SAFlags

	// ReplayWindow is the anti-replay window in packets, 0 to 4096. 0 means
	// no protection, except for an outbound SA.
	ReplayWindow uint32
	Replay       *ReplayState
	// ReplayESN is present in what the kernel reports when FlagESN is set or
	// the window is above 32; nil is encoded as a fresh state of that kind.
	ReplayESN *ReplayESN

	Auth      *Algo // the kernel reports it next to AuthTrunc
	AuthTrunc *AuthTrunc
	Crypt     *Algo
	Comp      *Algo
	AEAD      *AEAD

	Mark       Mark // matched on lookup
	OutputMark Mark // set on packets; mask 0 is the kernel's all-ones default
	IfID       uint32
	Dir        Dir
	PCPU       Opt[uint32] // CPU that the SA serves (6.13)
	ExtraFlags SAExtraFlags
	TFCPad     uint32 // bytes that tunnel packets are padded to
	Encap      *Encap
	Offload    *Offload
	CareOf     netip.Addr // Mobile IPv6 care-of address
	SecCtx     *SecCtx

	ReplayThresh Opt[uint32] // packets between replay aevents
	ETimerThresh Opt[uint32] // jiffies between timer aevents; aevents report 100 ms units
	MTimerThresh uint32      // seconds between MAPPING events
	NATKeepalive uint32      // seconds between NAT keepalives
	IPTFS        IPTFS
	SetUsage     *Usage // XFRMA_LTIME_VAL: counters to start from
	LastUsed     uint64 // Unix seconds, read only
}

// NewSA returns an SA without limits.
func NewSA() *SA { return &SA{Limits: Unlimited()} }

// ID returns what names the SA in a get or delete.
func (sa *SA) ID() SAID {
	return SAID{Dst: sa.Dst, Src: sa.Src, SPI: sa.SPI, Proto: sa.Proto, Family: sa.Family, Mark: sa.Mark}
}

// String identifies the SA without its keys: "esp sa 0x00000100 to 10.0.0.2".
func (sa *SA) String() string { return sa.ID().String() }

// SAID names an SA: destination, SPI, protocol, and a mark that must match the
// SA's. Src is needed only for protocols without SPI.
type SAID struct {
	Dst, Src netip.Addr
	SPI      SPI
	Proto    Proto
	Family   Family // zero when encoding: that of Dst, else of Src, else IPv4
	Mark     Mark
}

// String identifies the SA.
func (id SAID) String() string {
	s := fmt.Sprintf("%s sa %s to %s", id.Proto, id.SPI, addrText(id.Dst))
	if !id.Proto.HasSPI() {
		s = fmt.Sprintf("%s sa from %s to %s", id.Proto, addrText(id.Src), addrText(id.Dst))
	}
	return s + id.Mark.suffix()
}

// suffix is how a mark shows in an object's name.
func (m Mark) suffix() string {
	if m == (Mark{}) {
		return ""
	}
	return fmt.Sprintf(" mark %#x/%#x", m.Value, m.Mask)
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return "any"
	}
	return a.String()
}
