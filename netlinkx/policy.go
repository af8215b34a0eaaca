package netlinkx

import (
	"fmt"
	"math"
	"net/netip"
)

// AllAlgos is the template algorithm mask that allows every algorithm.
const AllAlgos uint32 = math.MaxUint32

// Template says which SA a policy wants for its traffic. NewTemplate returns
// one that allows every algorithm; with masks of zero no SA fits it.
type Template struct {
	Dst, Src netip.Addr // tunnel endpoints; unspecified in transport mode
	SPI      SPI        // 0 any
	Proto    Proto
	// Family of Dst and Src. Zero when encoding: that of Dst, else of Src,
	// else unspecified, which the kernel reads as the policy's.
	Family   Family
	ReqID    uint32
	Mode     Mode
	Share    uint8 // XFRM_SHARE_*, 0 any
	Optional bool  // level use: skipped when there is no SA
	AAlgos   uint32
	EAlgos   uint32
	CAlgos   uint32
}

// NewTemplate returns a required template that allows every algorithm.
func NewTemplate() Template {
	return Template{AAlgos: AllAlgos, EAlgos: AllAlgos, CAlgos: AllAlgos}
}

// MaxTemplates is the kernel's limit for one policy (XFRM_MAX_DEPTH). Inbound
// and forward policies work with five at most.
const MaxTemplates = 6

// Policy is an entry of the security policy database. Its identity is
// (Selector, Dir, Type, Mark, IfID), or Index and Dir; Priority does not
// distinguish. NewPolicy returns one without limits.
type Policy struct {
	Selector  Selector
	Dir       PolicyDir
	Index     uint32 // low 3 bits are the direction; 0 lets the kernel choose
	Action    Action
	Priority  uint32 // the lowest wins
	Flags     PolicyFlags
	Share     uint8
	Limits    Limits
	Usage     Usage           // read only
	Type      Opt[PolicyType] // absent: main; reported only with CONFIG_XFRM_SUB_POLICY
	Templates []Template
	Mark      Mark
	IfID      uint32
	SecCtx    *SecCtx
	Offload   *Offload
}

// NewPolicy returns a policy without limits.
func NewPolicy() *Policy { return &Policy{Limits: Unlimited()} }

// ID returns what names the policy in a get or delete: its index when it has
// one, else its selector.
func (p *Policy) ID() PolicyID {
	id := PolicyID{Dir: p.Dir, Index: p.Index, Type: p.Type, Mark: p.Mark, IfID: p.IfID, SecCtx: p.SecCtx}
	if p.Index == 0 {
		id.Selector = p.Selector
	}
	return id
}

// String identifies the policy: "out policy 10.1.0.0/24 -> 10.2.0.0/24".
func (p *Policy) String() string {
	id := p.ID()
	id.Selector = p.Selector
	return id.String()
}

// PolicyID names a policy by Index (when not zero) or by its exact Selector,
// with direction, type, mark and if_id. By index is much cheaper: the kernel
// walks its whole policy tree for a delete by selector.
type PolicyID struct {
	Selector Selector
	Dir      PolicyDir
	Index    uint32
	Type     Opt[PolicyType]
	Mark     Mark
	IfID     uint32
	SecCtx   *SecCtx
}

// String identifies the policy.
func (id PolicyID) String() string {
	s := fmt.Sprintf("%s policy %s", id.Dir, id.Selector)
	if id.Index != 0 && !id.Selector.Src.IsValid() && !id.Selector.Dst.IsValid() {
		s = fmt.Sprintf("%s policy index %d", id.Dir, id.Index)
	}
	if id.Type.Valid && id.Type.V != PolicyMain {
		s += " ptype " + id.Type.V.String()
	}
	s += id.Mark.suffix()
	if id.IfID != 0 {
		s += fmt.Sprintf(" if_id %#x", id.IfID)
	}
	return s
}

// String prints the prefixes and, when set, protocol and ports.
func (s Selector) String() string {
	t := prefixText(s.Src) + " -> " + prefixText(s.Dst)
	if s.Proto != 0 {
		t += fmt.Sprintf(" proto %d", s.Proto)
	}
	if s.SrcPort.Mask != 0 {
		t += fmt.Sprintf(" sport %d", s.SrcPort.Port)
	}
	if s.DstPort.Mask != 0 {
		t += fmt.Sprintf(" dport %d", s.DstPort.Port)
	}
	return t
}

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return "any"
	}
	return p.String()
}
