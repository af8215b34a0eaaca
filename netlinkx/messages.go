package netlinkx

import (
	"fmt"
	"net/netip"
)

// SPIRange asks the kernel for a free SPI (XFRM_MSG_ALLOCSPI). SA names the
// larval SA that is made: addresses, protocol, mode, reqid, mark, if_id,
// direction. Min and Max bound the SPI, both included. The larval SA lives
// net.core.xfrm_acq_expires seconds (30); Conn.UpdateSA completes it.
type SPIRange struct {
	SA       SA
	Min, Max SPI
}

// String identifies the request.
func (r *SPIRange) String() string {
	return fmt.Sprintf("%s spi %s..%s to %s", r.SA.Proto, r.Min, r.Max, addrText(r.SA.Dst))
}

// SAFilter limits a dump of SAs inside the kernel. Prefixes match the leading
// bits of an SA's addresses; Family 0 with valid prefixes takes theirs.
type SAFilter struct {
	Proto    Proto // 0 any; ProtoIPsecAny: ESP, AH and IPComp
	Family   Family
	Src, Dst netip.Prefix
}

// SADInfo describes the SA database (XFRM_MSG_NEWSADINFO).
type SADInfo struct {
	Count                  uint32 // SAs
	HashCount, HashMaximum uint32 // buckets: now, at most
}

// SPDCounts counts policies by direction.
type SPDCounts struct{ In, Out, Fwd, SocketIn, SocketOut, SocketFwd uint32 }

// HashThreshold holds the prefix lengths from which on policies are hashed and
// not kept in the tree (XFRMA_SPD_IPV4_HTHRESH, XFRMA_SPD_IPV6_HTHRESH).
type HashThreshold struct{ Local, Remote uint8 }

// SPDInfo describes the policy database (XFRM_MSG_NEWSPDINFO). Thresholds that
// are absent are left alone when setting.
type SPDInfo struct {
	Counts                 SPDCounts
	HashCount, HashMaximum uint32
	IPv4, IPv6             Opt[HashThreshold]
}

// Defaults is what happens to traffic that matches no policy.
type Defaults struct{ In, Fwd, Out DefaultAction }

// AEID names the SA of an aevent, and says what it carries or asks for.
type AEID struct {
	SA    SAID // with Mark
	Src   netip.Addr
	ReqID uint32
	Flags AEFlags
}

// AE is an aevent: the replay state, counters and thresholds of an SA
// (XFRM_MSG_NEWAE). Setting it changes them in the kernel.
type AE struct {
	ID           AEID
	Replay       *ReplayState
	ReplayESN    *ReplayESN
	ReplayWindow uint32 // packets, of ReplayESN
	Usage        *Usage
	ReplayThresh Opt[uint32] // packets
	ETimerThresh Opt[uint32] // 100 ms units when reported, jiffies when set
	IfID         uint32
	Dir          Dir
	PCPU         Opt[uint32]
}

// String identifies the aevent's SA.
func (e *AE) String() string { return "aevent of " + e.ID.SA.String() }

// MigrateEntry moves one SA of a migrated policy from the old addresses to
// the new ones.
type MigrateEntry struct {
	OldDst, OldSrc       netip.Addr
	NewDst, NewSrc       netip.Addr
	Proto                Proto
	Mode                 Mode
	ReqID                uint32
	OldFamily, NewFamily Family // zero when encoding: those of the addresses
}

// KMAddress carries the key managers' own addresses with a migration
// (XFRMA_KMADDRESS).
type KMAddress struct {
	Local, Remote netip.Addr
	Family        Family
}

// Migrate moves a policy and its SAs to new addresses (XFRM_MSG_MIGRATE, RFC
// 4555 for those who use it).
type Migrate struct {
	Policy    PolicyID // selector, direction, type, if_id
	Entries   []MigrateEntry
	KMAddress *KMAddress
	Encap     *Encap
	Offload   *Offload
}

// String identifies the policy that moves.
func (m *Migrate) String() string { return "migration of " + m.Policy.String() }

// MigrateState moves one SA (XFRM_MSG_MIGRATE_STATE, Linux 7.2). What is
// absent is inherited from the old SA.
type MigrateState struct {
	SA             SAID // with its old mark
	NewDst, NewSrc netip.Addr
	NewFamily      Family // zero when encoding: that of NewDst
	NewSelector    Selector
	NewReqID       uint32
	Flags          MigrateStateFlags
	Encap          *Encap // type 0 removes it
	Offload        *Offload
	Mark           Opt[Mark] // absent: the old SA's; the zero Mark: none
	OutputMark     Mark
	MTimerThresh   Opt[uint32] // seconds
	NATKeepalive   Opt[uint32] // seconds
}

// String identifies the SA that moves.
func (m *MigrateState) String() string { return "migration of " + m.SA.String() }

// ExpireSA asks the kernel to expire an SA (XFRM_MSG_EXPIRE as a request).
type ExpireSA struct {
	SA   SA
	Hard bool
}

// String identifies the SA.
func (e *ExpireSA) String() string { return e.SA.String() }

// ExpirePolicy asks the kernel to expire a policy (XFRM_MSG_POLEXPIRE).
type ExpirePolicy struct {
	Policy Policy
	Hard   bool
}

// String identifies the policy.
func (e *ExpirePolicy) String() string { return e.Policy.String() }

// Acquire is the kernel's wish for an SA (XFRM_MSG_ACQUIRE). As a request a
// key manager of its own may send it to have the others negotiate.
type Acquire struct {
	SA       SAID // Dst, Src, SPI, Proto, Mark
	Selector Selector
	Policy   Policy // with Templates, Mark, IfID, Type, SecCtx
	AAlgos   uint32
	EAlgos   uint32
	CAlgos   uint32
	Seq      uint32
	PCPU     Opt[uint32]
	Offload  *Offload
}

// String identifies the SA that is wanted.
func (q *Acquire) String() string { return "acquire of " + q.SA.String() }

// Mapping tells that the peer's NAT gave it another address or port
// (XFRM_MSG_MAPPING).
type Mapping struct {
	SA               SAID
	ReqID            uint32
	OldSrc, NewSrc   netip.Addr
	OldPort, NewPort uint16
}

// Report is a Mobile IPv6 report (XFRM_MSG_REPORT).
type Report struct {
	Proto    Proto
	Selector Selector
	CareOf   netip.Addr
}
