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
