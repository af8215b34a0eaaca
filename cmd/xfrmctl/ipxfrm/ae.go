package ipxfrm

import (
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// aeWords holds what was said of an aevent until it can be put together.
type aeWords struct {
	usage  *netlinkx.Usage
	bitmap []uint32
	large  bool // upper halves, a window or a bitmap were named: the ESN form
	replay bool // any part of the replay state was named
}

// aeIDKeywords name the SA of an aevent, besides its ID.
var aeIDKeywords = []keyword{markWord, reqIDWord}

// aeKeywords are what `state ae set` sets.
var aeKeywords = append([]keyword{
	{name: "replay-window", values: "SIZE", ext: true, help: "the SA's window, if it has esn or one above 32", parse: func(p *parser) error {
		p.ae.large, p.ae.replay = true, true
		return p.into32(&p.state.window, "SIZE", "value after \"replay-window\" is invalid")
	}},
	{name: "replay-bitmap", values: "HEX", ext: true, help: "packets of the window that have come; without it none have, and they could be replayed", parse: (*parser).replayBitmap},
	replayThreshWord, etimerThreshWord,
	usageKeyword("bytes", "BYTES", "bytes so far; counters that are not named become 0 when another one is", func(u *netlinkx.Usage) *uint64 { return &u.Bytes }),
	usageKeyword("packets", "COUNT", "packets so far", func(u *netlinkx.Usage) *uint64 { return &u.Packets }),
	usageKeyword("add-time", "SECONDS", "when it was added, since 1970", func(u *netlinkx.Usage) *uint64 { return &u.AddTime }),
	usageKeyword("use-time", "SECONDS", "when it was first used, since 1970", func(u *netlinkx.Usage) *uint64 { return &u.UseTime }),
}, aeReplayKeywords()...)

// aeReplayKeywords are the sequence numbers of an SA; naming one sets them all.
func aeReplayKeywords() []keyword {
	list := make([]keyword, 0, len(replayKeywords))
	for _, k := range replayKeywords {
		parse := k.parse
		k.ext = true
		k.parse = func(p *parser) error {
			p.ae.replay = true
			return parse(p)
		}
		list = append(list, k)
	}
	return list
}

func usageKeyword(name, meta, help string, field func(*netlinkx.Usage) *uint64) keyword {
	return keyword{name: name, values: meta, ext: true, help: help, parse: func(p *parser) error {
		w, err := p.value(meta)
		if err != nil {
			return err
		}
		v, ok := parse64(w)
		if !ok {
			return p.invalid("value after \"" + name + "\" is invalid")
		}
		if p.ae.usage == nil {
			p.ae.usage = &netlinkx.Usage{}
		}
		*field(p.ae.usage) = v
		return nil
	}}
}

// replayBitmap takes the words of the bitmap, separated by commas.
func (p *parser) replayBitmap() error {
	w, err := p.value("HEX")
	if err != nil {
		return err
	}
	p.ae.bitmap, p.ae.replay = nil, true
	for part := range strings.SplitSeq(w, ",") {
		v, ok := parseNumber(part, 16, 1<<32-1)
		if !ok || len(p.ae.bitmap) == maxWindow/32 {
			return p.invalid("value after \"replay-bitmap\" is invalid")
		}
		p.ae.bitmap = append(p.ae.bitmap, uint32(v))
	}
	return nil
}

func (p *parser) aeOther() error {
	_, err := p.firstID(false)
	return err
}

// aeID returns the name of the aevent's SA.
func (p *parser) aeID() (netlinkx.AEID, error) {
	if p.state.id == nil {
		return netlinkx.AEID{}, errNoID
	}
	id := netlinkx.AEID{SA: p.state.id.saID(p.ctx.Family), ReqID: p.state.reqID}
	id.SA.Mark = lookupMark(p.state.mark)
	id.SA.Family = orIPv4(id.SA.Family)
	id.Src = id.SA.Src
	return id, nil
}

// finishGetAE asks for everything that an aevent can carry.
func (p *parser) finishGetAE() (err error) {
	p.out.AEID, err = p.aeID()
	p.out.AEID.Flags = netlinkx.AEReplayThresh | netlinkx.AEReplayVal | netlinkx.AELifetimeVal | netlinkx.AETimerThresh
	return err
}

func startSetAE(p *parser) { p.out.AE = &netlinkx.AE{} }

func (p *parser) finishSetAE() (err error) {
	a, s := p.out.AE, &p.state
	if a.ID, err = p.aeID(); err != nil {
		return err
	}
	a.ReplayThresh, a.ETimerThresh, a.Usage = s.replayThresh, s.etimerThresh, p.ae.usage
	if !p.ae.replay && a.Usage == nil && !a.ReplayThresh.Valid && !a.ETimerThresh.Valid {
		return check("Not enough information: nothing to set")
	}
	if s.window > maxWindow {
		return check("\"replay-window\" is larger than %d", maxWindow)
	}
	if p.ae.replay {
		return p.setAEReplay(a)
	}
	return nil
}

// setAEReplay chooses the form that the SA has: the large one if its words
// were used. The kernel wants the whole bitmap of it.
func (p *parser) setAEReplay(a *netlinkx.AE) error {
	r, bitmap := p.state.replay, p.ae.bitmap
	if !p.ae.large && len(bitmap) <= 1 {
		a.Replay = &netlinkx.ReplayState{Seq: r.Seq, OSeq: r.OSeq}
		if len(bitmap) == 1 {
			a.Replay.Bitmap = bitmap[0]
		}
		return nil
	}
	r.BitmapLen = (p.state.window + 31) / 32
	if uint32(len(bitmap)) > r.BitmapLen {
		return check("\"replay-bitmap\" has more words than the window of %d packets", p.state.window)
	}
	r.Bitmap = make([]uint32, r.BitmapLen)
	copy(r.Bitmap, bitmap)
	a.ReplayESN, a.ReplayWindow = &r, p.state.window
	return nil
}
