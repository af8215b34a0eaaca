package ipxfrm

import "github.com/xfrmctl/xfrmctl/netlinkx"

// inherited tells what a migration of an SA leaves as it is. The kernel takes
// these from the request even if they are zero.
type inherited struct{ reqID, sel bool }

// Inherit completes a `state migrate` with what its words left out: source
// address, reqid and selector of the SA as it is. The caller reads that SA, named by
// MigrateState.SA, first. Other commands are left alone.
func (c *Command) Inherit(sa *netlinkx.SA) {
	m := c.MigrateState
	if m == nil {
		return
	}
	if !m.NewSrc.IsValid() {
		m.NewSrc = sa.Src
	}
	if c.inherit.reqID {
		m.NewReqID = sa.ReqID
	}
	if c.inherit.sel {
		m.NewSelector = sa.Selector
	}
}

// migrateStateKeywords are those of migrating one SA.
var migrateStateKeywords = []keyword{
	{name: "mark", values: "MARK [ mask MASK ]", ext: true, help: "mark of the SA as it is", parse: func(p *parser) error {
		return p.mark(&p.state.mark)
	}},
	{name: "new-src", values: "ADDR", ext: true, help: "new source address", parse: func(p *parser) error {
		a, err := p.newAddress()
		p.out.MigrateState.NewSrc = a.addr
		return err
	}},
	{name: "new-dst", values: "ADDR", ext: true, help: "new destination address", parse: func(p *parser) error {
		a, err := p.newAddress()
		p.out.MigrateState.NewDst = a.addr
		return err
	}},
	{name: "new-reqid", values: "REQID", ext: true, help: "new reqid", parse: func(p *parser) error {
		p.out.inherit.reqID = false
		return p.into32(&p.out.MigrateState.NewReqID, "REQID", "REQID value is invalid")
	}},
	{name: "new-sel", values: "SELECTOR", ext: true, help: "new selector", parse: func(p *parser) error {
		p.out.inherit.sel = false
		if !p.more() {
			p.expectKeywords(selectorWords())
			return errIncomplete
		}
		p.family = netlinkx.FamilyUnspec
		return p.parseSelector(&p.out.MigrateState.NewSelector)
	}},
	{name: "new-mark", values: "MARK [ mask MASK ]", ext: true, help: "new mark", parse: func(p *parser) error {
		var m netlinkx.Mark
		err := p.mark(&m)
		p.out.MigrateState.Mark = netlinkx.Some(m)
		return err
	}},
	{name: "flag", values: "MIGRATE-FLAG-LIST", ext: true, help: "clear-offload: do not inherit the offload; update-sel: put the new addresses into a selector that is just the old ones", parse: func(p *parser) error {
		v, err := p.flags("MIGRATE-FLAG", "FLAG value is invalid", uint32(p.out.MigrateState.Flags), 1<<32-1)
		p.out.MigrateState.Flags = netlinkx.MigrateStateFlags(v)
		return err
	}},
	{name: "encap", values: "{ ENCAP-TYPE PORT PORT OADDR | none }", ext: true, help: "new encapsulation", parse: func(p *parser) error {
		if p.accept("none") {
			p.state.encap = &netlinkx.Encap{}
			return nil
		}
		return p.encap()
	}},
	{name: "offload", values: "[ crypto | packet ] dev DEV dir DIR", ext: true, help: "new offload", parse: (*parser).saOffload},
	{name: "output-mark", values: "MARK [ mask MASK ]", ext: true, help: "new output mark", parse: (*parser).outputMark},
	keepaliveWord, mappingWord,
}

func (p *parser) newAddress() (address, error) {
	p.family = netlinkx.FamilyUnspec
	return p.address("ADDR")
}

func startMigrateState(p *parser) {
	p.out.MigrateState = &netlinkx.MigrateState{}
	p.out.inherit = inherited{reqID: true, sel: true}
}

func (p *parser) migrateStateOther() error {
	id, err := p.firstID(false)
	if err == nil {
		p.out.MigrateState.SA = id.saID(p.ctx.Family)
	}
	return err
}

func (p *parser) finishMigrateState() error {
	m, s := p.out.MigrateState, &p.state
	switch {
	case s.id == nil:
		return errNoID
	case !m.NewDst.IsValid():
		return check("Not enough information: \"new-dst\" is required")
	case m.NewSrc.IsValid() && m.NewSrc.Is4() != m.NewDst.Is4():
		return check("\"new-src\" and \"new-dst\" must be of the same address family")
	case m.Flags&netlinkx.MigrateClearOffload != 0 && s.offload != nil:
		return check("\"flag clear-offload\" and \"offload\" exclude each other")
	}
	if m.Flags&netlinkx.MigrateUpdateH2HSel != 0 {
		p.out.inherit.sel = false
	}
	m.SA.Mark, m.SA.Family = s.mark, orIPv4(m.SA.Family)
	m.NewFamily = netlinkx.FamilyOf(m.NewDst)
	m.Encap, m.Offload, m.OutputMark = s.encap, s.finishOffload(), setMark(s.outputMark)
	m.MTimerThresh, m.NATKeepalive = s.mapping, s.keepalive
	return nil
}

func startMigrate(p *parser) {
	p.out.Migrate = &netlinkx.Migrate{}
	p.out.Migrate.Policy.Selector.Family = p.ctx.Family
}

func (p *parser) migrateOther() error {
	if p.policy.hasSelector {
		return p.unknown()
	}
	return p.firstSelector(&p.out.Migrate.Policy.Selector)
}

func (p *parser) finishMigrate() error {
	m := p.out.Migrate
	switch {
	case !p.has("dir"):
		return errNoDir
	case !p.policy.hasSelector:
		return check("Not enough information: SELECTOR is required.")
	case len(m.Entries) == 0:
		return check("Not enough information: \"from\" is required.")
	}
	id := &m.Policy
	id.Dir, id.Type, id.IfID = p.policy.dir, p.policy.ptype, p.state.ifID
	id.Selector.Family = orIPv4(id.Selector.Family)
	m.Encap, m.Offload = p.state.encap, p.state.finishOffload()
	return nil
}

// entryKeywords are what may stand between the two IDs of a migration.
var entryKeywords = []keyword{
	{name: "mode", values: "MODE", ext: true, help: "mode of the template", parse: func(p *parser) error {
		v, err := p.choice("MODE", "MODE value is invalid")
		p.entry.Mode = netlinkx.Mode(v)
		return err
	}},
	{name: "reqid", values: "REQID", ext: true, help: "reqid of the template", parse: func(p *parser) error {
		return p.into32(&p.entry.ReqID, "REQID", "REQID value is invalid")
	}},
}

// migrateEntry takes one move: from what to what.
func (p *parser) migrateEntry() error {
	e := &netlinkx.MigrateEntry{}
	p.entry = e
	from, err := p.bothEnds(false)
	if err != nil {
		return err
	}
	e.OldSrc, e.OldDst, e.OldFamily, e.Proto = from.src.addr, from.dst.addr, from.family, from.proto
	if err := p.keywords(entryKeywords); err != nil {
		return err
	}
	w, err := p.literal("to")
	if err != nil {
		return err
	}
	if w != "to" {
		e := p.invalid("Missing to keyword")
		e.Suggest = Nearest(w, append(keywordNames(entryKeywords), "to"))
		return e
	}
	to, err := p.bothEnds(true)
	if err != nil {
		return err
	}
	e.NewSrc, e.NewDst, e.NewFamily = to.src.addr, to.dst.addr, to.family
	p.out.Migrate.Entries = append(p.out.Migrate.Entries, *e)
	return nil
}

// bothEnds takes an ID with both addresses.
func (p *parser) bothEnds(loose bool) (*idWords, error) {
	p.family = netlinkx.FamilyUnspec
	id, err := p.parseID(loose)
	if err != nil {
		return nil, err
	}
	if !id.src.addr.IsValid() {
		return nil, missing("src")
	}
	if !id.dst.addr.IsValid() {
		return nil, missing("dst")
	}
	return id, nil
}

func (p *parser) kmAddress() error {
	k := &netlinkx.KMAddress{}
	for _, end := range []struct {
		word string
		addr func(address)
	}{
		{"local", func(a address) { k.Local, k.Family = a.addr, a.family }},
		{"remote", func(a address) { k.Remote = a.addr }},
	} {
		w, err := p.literal(end.word)
		if err != nil {
			return err
		}
		if w != end.word {
			return p.invalid("Missing " + end.word + " keyword")
		}
		a, err := p.newAddress()
		if err != nil {
			return err
		}
		end.addr(a)
	}
	if k.Local.Is4() != k.Remote.Is4() {
		return p.invalid("the same address family is required between values after \"local\" and \"remote\"")
	}
	p.out.Migrate.KMAddress = k
	return nil
}
