package ipxfrm

import (
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// StateFilter says which SAs a list or deleteall is about. The zero filter
// matches all.
type StateFilter struct {
	family   netlinkx.Family
	src, dst netip.Prefix
	proto    netlinkx.Opt[netlinkx.Proto]
	spi      netlinkx.Opt[netlinkx.SPI]
	mode     netlinkx.Opt[netlinkx.Mode]
	reqID    netlinkx.Opt[uint32]
	flags    netlinkx.Opt[netlinkx.SAFlags]
	ifID     netlinkx.Opt[uint32]
	mark     netlinkx.Opt[netlinkx.Mark]
	dir      netlinkx.Opt[netlinkx.Dir]
	offload  offloadFilter
}

// Kernel returns what of the filter the kernel can apply to a dump. Match must
// follow.
func (f *StateFilter) Kernel() *netlinkx.SAFilter {
	return &netlinkx.SAFilter{Proto: f.proto.V, Family: f.family, Src: f.src, Dst: f.dst}
}

// Match reports whether the filter lets an SA through. Flags match when one of
// them is set. Addresses match by prefix. A mark matches when the SA's value
// is the same in the bits of the filter's mask.
func (f *StateFilter) Match(sa *netlinkx.SA) bool {
	if f.family != netlinkx.FamilyUnspec && f.family != sa.Family {
		return false
	}
	if !prefixMatches(f.src, sa.Src) || !prefixMatches(f.dst, sa.Dst) {
		return false
	}
	if f.flags.Valid && sa.Flags&f.flags.V == 0 {
		return false
	}
	return optMatches(f.proto, sa.Proto) && optMatches(f.spi, sa.SPI) && optMatches(f.mode, sa.Mode) &&
		optMatches(f.reqID, sa.ReqID) && optMatches(f.ifID, sa.IfID) && optMatches(f.dir, sa.Dir) &&
		markMatches(f.mark, sa.Mark) && f.offload.match(sa.Offload)
}

// prefixMatches compares the leading bits. No prefix, and one of length 0,
// match everything.
func prefixMatches(want netip.Prefix, got netip.Addr) bool {
	if want.Bits() <= 0 {
		return true
	}
	if !got.IsValid() {
		got = netlinkx.FamilyOf(want.Addr()).Unspecified()
	}
	return want.Contains(got)
}

func optMatches[T comparable](want netlinkx.Opt[T], got T) bool { return !want.Valid || want.V == got }

func markMatches(want netlinkx.Opt[netlinkx.Mark], got netlinkx.Mark) bool {
	return !want.Valid || (want.V.Value^got.Value)&want.V.Mask == 0
}

// offloadFilter asks for what a device carries.
type offloadFilter struct {
	on    bool
	index netlinkx.Opt[int32]
	// packet asks for packet offload (true) or crypto offload (false).
	packet netlinkx.Opt[bool]
}

func (f *offloadFilter) match(o *netlinkx.Offload) bool {
	if !f.on {
		return true
	}
	return o != nil && optMatches(f.index, o.IfIndex) && optMatches(f.packet, o.Flags&netlinkx.OffloadPacket != 0)
}

// parse takes what may follow the word offload.
func (f *offloadFilter) parse(p *parser) error {
	f.on = true
	switch {
	case p.accept("crypto"):
		f.packet = netlinkx.Some(false)
	case p.accept("packet"):
		f.packet = netlinkx.Some(true)
	}
	if !p.accept("dev") {
		return nil
	}
	index, err := p.device("Invalid device name")
	f.index = netlinkx.Some(index)
	return err
}

const offloadFilterValues = "[ crypto | packet ] [ dev DEV ]"

// stateFilterKeywords are those of list and deleteall of SAs.
var stateFilterKeywords = []keyword{
	{name: "nokeys", help: "prints no keys, even with --show-keys", parse: func(p *parser) error {
		p.out.NoKeys = true
		return nil
	}},
	{name: "mode", values: "MODE", help: "only SAs of this mode", parse: func(p *parser) error {
		v, err := p.choice("MODE", "MODE value is invalid")
		p.out.StateFilter.mode = netlinkx.Some(netlinkx.Mode(v))
		return err
	}},
	{name: "reqid", values: "REQID", help: "only SAs with this reqid", parse: func(p *parser) error {
		return p.opt32(&p.out.StateFilter.reqID, "REQID", "REQID value is invalid")
	}},
	{name: "flag", values: "FLAG-LIST", help: "only SAs with one of these flags", parse: func(p *parser) error {
		f := &p.out.StateFilter.flags
		v, err := p.flags("FLAG", "FLAG value is invalid", uint32(f.V), 0xff)
		*f = netlinkx.Some(netlinkx.SAFlags(v))
		return err
	}},
	{name: "if_id", values: "IF_ID", ext: true, help: "only SAs of this XFRM interface; 0: of none", parse: func(p *parser) error {
		return p.opt32(&p.out.StateFilter.ifID, "IF_ID", "value after \"if_id\" is invalid")
	}},
	{name: "mark", values: "MARK [ mask MASK ]", ext: true, help: "only SAs whose mark has this value in the bits of the mask", parse: func(p *parser) error {
		return p.markFilter(&p.out.StateFilter.mark)
	}},
	{name: "dir", values: "DIR", ext: true, help: "only SAs of this direction", parse: func(p *parser) error {
		err := p.saDir()
		p.out.StateFilter.dir = netlinkx.Some(p.state.dir)
		return err
	}},
	{name: "offload", values: offloadFilterValues, ext: true, help: "only SAs that a device carries", parse: func(p *parser) error {
		return p.out.StateFilter.offload.parse(p)
	}},
}

// markFilter takes value and mask of a mark to look for.
func (p *parser) markFilter(f *netlinkx.Opt[netlinkx.Mark]) error {
	var m netlinkx.Mark
	err := p.mark(&m)
	*f = netlinkx.Some(m)
	return err
}

func startStateFilter(p *parser) {
	p.out.StateFilter = &StateFilter{family: p.ctx.Family}
}

func (p *parser) stateFilterOther() error {
	id, err := p.firstID(true)
	if err != nil {
		return err
	}
	f := p.out.StateFilter
	f.src, f.dst = prefixOrNone(id.src), prefixOrNone(id.dst)
	f.proto = netlinkx.Opt[netlinkx.Proto]{V: id.proto, Valid: id.hasProto}
	f.spi = netlinkx.Opt[netlinkx.SPI]{V: id.spi, Valid: id.hasSPI}
	if id.family != 0 {
		f.family = id.family
	}
	p.keepFamily(f.family)
	return nil
}
