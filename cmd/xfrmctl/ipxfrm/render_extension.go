package ipxfrm

import "github.com/xfrmctl/xfrmctl/netlinkx"

// saExtensions prints the attributes of an SA that ip has no words for, in the
// words of `xfrmctl state add`.
func (t *textRecord) saExtensions(sa *netlinkx.SA) {
	if sa.NATKeepalive != 0 {
		t.str("\tnat-keepalive ").dec(uint64(sa.NATKeepalive)).line()
	}
	if sa.MTimerThresh != 0 {
		t.str("\tmapping-thresh ").dec(uint64(sa.MTimerThresh)).line()
	}
	t.thresholds(sa.ReplayThresh, sa.ETimerThresh)
	if sa.IPTFS != (netlinkx.IPTFS{}) {
		t.iptfs(&sa.IPTFS)
	}
	if u := sa.SetUsage; u != nil {
		t.str("\tinitial lifetime ").usage(u).line()
	}
}

func (t *textRecord) thresholds(replay, timer netlinkx.Opt[uint32]) {
	if replay.Valid {
		t.str("\treplay-thresh ").dec(uint64(replay.V)).line()
	}
	if timer.Valid {
		t.str("\tetimer-thresh ").dec(uint64(timer.V)).line()
	}
}

func (t *textRecord) iptfs(i *netlinkx.IPTFS) {
	t.str("\tiptfs")
	t.option(" drop-time ", i.DropTime)
	if i.ReorderWindow.Valid {
		t.str(" reorder-window ").dec(uint64(i.ReorderWindow.V))
	}
	if i.DontFrag {
		t.str(" dont-frag")
	}
	t.option(" init-delay ", i.InitDelay)
	t.option(" max-queue-size ", i.MaxQSize)
	t.option(" pkt-size ", i.PktSize)
	t.line()
}

func (t *textRecord) option(word string, v netlinkx.Opt[uint32]) {
	if v.Valid {
		t.str(word).dec(uint64(v.V))
	}
}

func (t *textRecord) usage(u *netlinkx.Usage) *textRecord {
	t.dec(u.Bytes).str("(bytes), ").dec(u.Packets).str("(packets), add ").time(u.AddTime)
	return t.str(" use ").time(u.UseTime)
}

// aeContents prints what an aevent carries.
func (t *textRecord) aeContents(e *netlinkx.AE) {
	t.marks(e.ID.SA.Mark, netlinkx.Mark{})
	if e.Replay != nil {
		t.str("\t").replay(e.Replay)
	}
	if e.ReplayESN != nil {
		t.replayESN(e.ReplayESN, e.ReplayWindow)
	}
	if e.Usage != nil {
		t.str("\tlifetime ").usage(e.Usage).line()
	}
	t.thresholds(e.ReplayThresh, e.ETimerThresh)
	t.saNumbers(&netlinkx.SA{IfID: e.IfID, Dir: e.Dir, PCPU: e.PCPU})
}

// extensionEvent prints the events that ip does not know.
func (t *textRecord) extensionEvent(e netlinkx.Event) bool {
	switch e := e.(type) {
	case *netlinkx.LostEvent:
		t.str("Lost events: the receive buffer was full").line()
	case *netlinkx.ResyncEvent:
		t.resync(e)
	case *netlinkx.MigrateEvent:
		t.migrate(&e.Migrate)
	case *netlinkx.MigrateStateEvent:
		t.migrateState(&e.Migrate)
	default:
		return false
	}
	t.finish()
	return true
}

func (t *textRecord) resync(e *netlinkx.ResyncEvent) {
	switch {
	case e.SA != nil:
		t.str("Present ").sa(e.SA)
	case e.Policy != nil:
		t.str("Present ").policy(e.Policy, "", "\t")
	default:
		t.str("End of re-sync").line()
	}
}

// migrate prints the policy that moved and the addresses of its templates.
func (t *textRecord) migrate(m *netlinkx.Migrate) {
	id := &m.Policy
	t.str("Migrated policy ").selector(&id.Selector, netlinkx.FamilyUnspec)
	t.str("\tdir ").str(shownPolicyDir(id.Dir)).str(" ").policyType(id.Type)
	if id.Index != 0 {
		t.str("index ").dec(uint64(id.Index)).str(" ")
	}
	t.line()
	t.marks(id.Mark, netlinkx.Mark{})
	t.secCtx(id.SecCtx)
	if id.IfID != 0 {
		t.str("\tif_id ").hexAlt(id.IfID).line()
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		t.str("\tproto ").str(shownProto(e.Proto)).str(" ").reqIDAndMode(e.ReqID, e.Mode)
		t.str("\t\tfrom src ").addr(e.OldSrc, e.OldFamily).str(" dst ").addr(e.OldDst, e.OldFamily).line()
		t.str("\t\tto src ").addr(e.NewSrc, e.NewFamily).str(" dst ").addr(e.NewDst, e.NewFamily).line()
	}
	if k := m.KMAddress; k != nil {
		t.str("\tkey manager local ").addr(k.Local, k.Family).str(" remote ").addr(k.Remote, k.Family).line()
	}
	t.moved(m.Encap, m.Offload, id.Selector.Family)
}

// moved prints the encapsulation and offload that SAs moved to.
func (t *textRecord) moved(e *netlinkx.Encap, o *netlinkx.Offload, f netlinkx.Family) {
	t.saAttrs(&netlinkx.SA{Encap: e, Offload: o}, f)
}

// migrateState prints the SA that moved and what it became.
func (t *textRecord) migrateState(m *netlinkx.MigrateState) {
	t.str("Migrated state dst ").addr(m.SA.Dst, m.SA.Family).line()
	t.str("\tproto ").str(shownProto(m.SA.Proto)).str(" ")
	t.spi(m.SA.SPI, true)
	t.line()
	t.marks(m.SA.Mark, netlinkx.Mark{})
	t.str("\tto src ").addr(m.NewSrc, m.NewFamily).str(" dst ").addr(m.NewDst, m.NewFamily)
	t.str(" reqid ").dec(uint64(m.NewReqID)).str(" flag 0x").hex(uint32(m.Flags)).line()
	if m.NewSelector != (netlinkx.Selector{}) {
		t.str("\tsel ").selector(&m.NewSelector, m.NewFamily)
	}
	t.marks(m.Mark.V, m.OutputMark)
	t.moved(m.Encap, m.Offload, m.NewFamily)
	if m.NATKeepalive.Valid {
		t.str("\tnat-keepalive ").dec(uint64(m.NATKeepalive.V)).line()
	}
	if m.MTimerThresh.Valid {
		t.str("\tmapping-thresh ").dec(uint64(m.MTimerThresh.V)).line()
	}
}
