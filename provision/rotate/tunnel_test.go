package rotate

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func spi(n uint32) SA { return SA{ID: netlinkx.SAID{SPI: netlinkx.SPI(n)}, In: true} }

// TestSteps walks through all steps, and at each of them tries all others.
func TestSteps(t *testing.T) {
	u := Tunnel{Epoch: 4}
	f := &Facts{Now: noon, Target: 5, Coming: []netlinkx.SPI{7, 8}, Old: []SA{spi(5), spi(6)}, NewIn: 1, OldIn: 3}
	for i, want := range []struct {
		phase Phase
		in    []uint64
		out   uint64
		next  Step
	}{
		{Inbound, []uint64{4, 5}, 4, StepConfirm},
		{Confirmed, []uint64{4, 5}, 4, StepOutbound},
		{Outbound, []uint64{4, 5}, 5, StepDrain},
		{Drained, []uint64{4, 5}, 5, StepDelete},
		{Deleting, []uint64{5}, 5, StepDelete},
	} {
		for _, s := range Steps() {
			if s == Steps()[i] {
				continue
			}
			same, err := u.Take(s, f)
			var order *OrderError
			if !errors.As(err, &order) || order.Next != Steps()[i] || !reflect.DeepEqual(same, u) {
				t.Errorf("%s in phase %s: %v", s, u.Phase, err)
			}
		}
		before := u
		var err error
		if u, err = u.Take(Steps()[i], f); err != nil {
			t.Fatalf("%s: %v", Steps()[i], err)
		}
		if u.Phase != want.phase || !slices.Equal(u.In(), want.in) || u.Out() != want.out || u.NextStep() != want.next || u.Settled() {
			t.Errorf("after %s: %+v", Steps()[i], u)
		}
		if reflect.DeepEqual(before, u) {
			t.Errorf("%s changed nothing", Steps()[i])
		}
	}
	if u = u.Finish(); !u.Settled() || u.Epoch != 5 || u.Next != 0 || u.Old != nil || !slices.Equal(u.In(), []uint64{5}) || !slices.Equal(u.SPIs, []netlinkx.SPI{5, 6, 7, 8}) {
		t.Errorf("in the end: %+v", u)
	}
}

func TestBegin(t *testing.T) {
	u := Tunnel{Epoch: 4, SPIs: []netlinkx.SPI{1, 2}}
	for _, c := range []struct {
		facts Facts
		want  string
	}{
		{Facts{Target: 4}, "epoch 4 does not come after epoch 4"},
		{Facts{Target: 3}, "epoch 3 does not come after epoch 4"},
		{Facts{Target: 5, Coming: []netlinkx.SPI{9, 2}}, "spi 0x00000002 of epoch 5 is that of an earlier SA"},
		{Facts{Target: 5, Coming: []netlinkx.SPI{9}, Old: []SA{spi(9)}}, "spi 0x00000009 of epoch 5 is that of an earlier SA"},
	} {
		var refused *RefusedError
		if same, err := u.Take(StepInbound, &c.facts); !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) || !reflect.DeepEqual(same, u) {
			t.Errorf("%+v: %v, want %q", c.facts, err, c.want)
		}
	}
	for k := range uint32(1000) {
		var err error
		f := &Facts{Now: noon, Target: u.Epoch + 1, Coming: []netlinkx.SPI{netlinkx.SPI(1000 + k)}, NewIn: 1}
		for _, s := range Steps() {
			if u, err = u.Take(s, f); err != nil {
				t.Fatal(err)
			}
		}
		u = u.Finish()
	}
	if len(u.SPIs) != keptSPIs || u.SPIs[keptSPIs-1] != 1999 {
		t.Errorf("%d SPIs are kept", len(u.SPIs))
	}
}

// TestConfirm: the new keys are sent with only when something speaks for the
// peer having them, and what it was is remembered.
func TestConfirm(t *testing.T) {
	byClock := Tunnel{Epoch: 1, Next: 2, Phase: Inbound, At: noon, Slack: time.Minute}
	plain := Tunnel{Epoch: 1, Next: 2, Phase: Inbound}
	for name, c := range map[string]struct {
		t     Tunnel
		facts Facts
		basis Basis
		wait  string
	}{
		"nothing":       {plain, Facts{}, "", "nothing has come on the new inbound SA"},
		"old traffic":   {plain, Facts{OldIn: 99}, "", "nothing has come on the new inbound SA"},
		"packets":       {plain, Facts{NewIn: 1}, ByPackets, ""},
		"word":          {plain, Facts{PeerReady: true}, ByWord, ""},
		"packets, word": {plain, Facts{NewIn: 1, PeerReady: true}, ByPackets, ""},
		"too early":     {byClock, Facts{Now: noon.Add(-1)}, "", "2026-01-01T12:00:00Z"},
		"in time":       {byClock, Facts{Now: noon}, ByClock, ""},
		"peer is first": {byClock, Facts{Now: noon.Add(-1), NewIn: 1}, ByPackets, ""},
	} {
		u, err := c.t.Take(StepConfirm, &c.facts)
		var wait *WaitError
		switch {
		case c.wait == "" && (err != nil || u.Phase != Confirmed || u.Basis != c.basis):
			t.Errorf("%s: %+v, %v", name, u, err)
		case c.wait != "" && (!errors.As(err, &wait) || !strings.Contains(err.Error(), c.wait) || !reflect.DeepEqual(u, c.t)):
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
}

// TestDrain: the old SAs go when they are quiet and the peer is known to send
// with the new ones, or when the clock says that it must.
func TestDrain(t *testing.T) {
	drain := Drain{Packets: 10, Since: noon}
	plain := Tunnel{Epoch: 1, Next: 2, Phase: Outbound, Drain: drain}
	byClock := Tunnel{Epoch: 1, Next: 2, Phase: Outbound, Drain: drain, At: noon, Slack: time.Minute}
	const quiet = 2 * time.Second
	for name, c := range map[string]struct {
		t     Tunnel
		facts Facts
		wait  string
	}{
		"still packets":     {plain, Facts{Now: noon.Add(time.Hour), OldIn: 11, NewIn: 1}, "still carries packets (11 so far)"},
		"not long enough":   {plain, Facts{Now: noon.Add(time.Second), OldIn: 10, NewIn: 1}, "has carried nothing for 1s, less than 2s"},
		"quiet":             {plain, Facts{Now: noon.Add(quiet), OldIn: 10, NewIn: 1}, ""},
		"both quiet":        {plain, Facts{Now: noon.Add(time.Hour), OldIn: 10}, "whether the peer has taken step outbound is not known"},
		"both quiet, word":  {plain, Facts{Now: noon.Add(time.Hour), OldIn: 10, PeerReady: true}, ""},
		"word, but packets": {plain, Facts{Now: noon.Add(time.Hour), OldIn: 11, PeerReady: true}, "still carries packets"},
		"gone":              {plain, Facts{Now: noon, OldGone: true}, ""},
		"clock, too early":  {byClock, Facts{Now: noon.Add(2*time.Minute - 1), OldIn: 10, NewIn: 1}, "2026-01-01T12:02:00Z or later"},
		"clock, quiet":      {byClock, Facts{Now: noon.Add(2 * time.Minute), OldIn: 10}, ""},
		"clock, packets":    {byClock, Facts{Now: noon.Add(3*time.Minute - 1), OldIn: 11}, "still carries packets"},
		"clock, bounded":    {byClock, Facts{Now: noon.Add(3 * time.Minute), OldIn: 11}, ""},
	} {
		c.facts.Quiet = quiet
		u, err := c.t.Take(StepDrain, &c.facts)
		var wait *WaitError
		switch {
		case c.wait == "" && (err != nil || u.Phase != Drained):
			t.Errorf("%s: %+v, %v", name, u, err)
		case c.wait != "" && (!errors.As(err, &wait) || !strings.Contains(err.Error(), c.wait) || !reflect.DeepEqual(u, c.t)):
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
	u := plain
	if u.Observe(&Facts{Now: noon.Add(time.Hour), OldIn: 10}) || !u.Observe(&Facts{Now: noon.Add(time.Hour), OldIn: 11}) || u.Drain.Since != noon.Add(time.Hour) {
		t.Errorf("observed: %+v", u.Drain)
	}
}

// TestGiveUp: as long as this end sends with the old keys it can return to them,
// and the keys that were given up do not come again.
func TestGiveUp(t *testing.T) {
	in, out := spi(7), SA{ID: netlinkx.SAID{SPI: 8}}
	for _, c := range []struct {
		phase Phase
		there []SA
		want  string
	}{
		{Settled, nil, "no rotation is under way"},
		{Inbound, []SA{in}, ""},
		{Inbound, nil, ""},
		{Confirmed, []SA{in}, ""},
		{Outbound, []SA{in}, ""},
		{Outbound, []SA{in, out}, "sends with epoch 5 already"},
		{Drained, []SA{in, out}, "sends with epoch 5 already"},
		{Deleting, []SA{in}, "sends with epoch 5 already"},
	} {
		was := Tunnel{Epoch: 4, Said: 2, Next: 5, Phase: c.phase, SPIs: []netlinkx.SPI{7, 8}}
		u, err := was.GiveUp(c.there)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) || !reflect.DeepEqual(u, was) {
				t.Errorf("%s: %+v, %v", c.phase, u, err)
			}
			continue
		}
		if err != nil || !u.Settled() || u.Epoch != 4 || u.Said != 2 || !slices.Equal(u.Old, c.there) {
			t.Errorf("%s: %+v, %v", c.phase, u, err)
		}
		if _, err := u.Take(StepInbound, &Facts{Target: 5}); err == nil || !strings.Contains(err.Error(), "take epoch 6") {
			t.Errorf("the keys that were given up: %v", err)
		}
		f := &Facts{Now: noon, Target: 6, Old: []SA{spi(1)}, NewIn: 1}
		for _, s := range Steps() {
			if u, err = u.Take(s, f); err != nil {
				t.Fatal(err)
			}
			if u.Phase == Outbound && len(u.Old) != len(c.there)+1 {
				t.Errorf("these go: %v", u.Old)
			}
		}
		if u = u.Finish(); u.Epoch != 6 || u.Skip != 0 || u.Old != nil {
			t.Errorf("%+v", u)
		}
	}
}

func TestClock(t *testing.T) {
	c := &Clock{Start: noon, Every: time.Hour, Slack: time.Minute}
	for _, x := range []struct {
		at    time.Duration
		epoch uint64
	}{{-time.Hour, 1}, {0, 1}, {time.Hour - 1, 1}, {time.Hour, 2}, {100 * time.Hour, 101}} {
		if got := c.Epoch(noon.Add(x.at)); got != x.epoch {
			t.Errorf("%s after noon is epoch %d, not %d", x.at, got, x.epoch)
		}
	}
	if at := c.Begins(101); at != noon.Add(100*time.Hour) {
		t.Error(at)
	}
	for name, x := range map[string]struct {
		was, is Tunnel
		at      time.Duration // in epoch 11
	}{
		"new":               {Tunnel{}, Tunnel{Epoch: 11, Clock: true}, 0},
		"in step":           {Tunnel{Epoch: 11, Clock: true}, Tunnel{Epoch: 11, Clock: true}, 0},
		"left behind":       {Tunnel{Epoch: 3, Clock: true}, Tunnel{Epoch: 3, Clock: true}, 0},
		"clock went back":   {Tunnel{Epoch: 12, Clock: true}, Tunnel{Epoch: 12, Clock: true}, 0},
		"clock was wrong":   {Tunnel{Epoch: 99, Clock: true, SPIs: []netlinkx.SPI{1}}, Tunnel{Epoch: 11, Clock: true, SPIs: []netlinkx.SPI{1}}, 0},
		"wrong on the way":  {Tunnel{Epoch: 11, Next: 99, Phase: Inbound, Clock: true}, Tunnel{Epoch: 11, Clock: true}, 0},
		"was counted by us": {Tunnel{Epoch: 5, Said: 5}, Tunnel{Epoch: 11, Clock: true}, 0},
	} {
		if got := c.Adopt(x.was, noon.Add(10*time.Hour+x.at)); !reflect.DeepEqual(got, x.is) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestDue looks at every step's time.
func TestDue(t *testing.T) {
	c := &Clock{Start: noon, Every: time.Hour, Slack: time.Minute}
	at := c.Begins(11)
	on := func(p Phase) Tunnel {
		return Tunnel{Epoch: 10, Next: 11, Phase: p, Clock: true, At: at, Slack: time.Minute}
	}
	for name, x := range map[string]struct {
		t    Tunnel
		from time.Duration // since at: due from here on, and woken then
		step Step
	}{
		"inbound":  {Tunnel{Epoch: 10, Clock: true}, -2 * time.Minute, StepInbound},
		"confirm":  {on(Inbound), 0, StepConfirm},
		"outbound": {on(Confirmed), -time.Hour, StepOutbound},
		"drain":    {on(Outbound), 2 * time.Minute, StepDrain},
		"delete":   {on(Drained), -time.Hour, StepDelete},
	} {
		if x.from != -time.Hour {
			if s, _, ok := x.t.Due(c, at.Add(x.from-1)); ok || s != x.step {
				t.Errorf("%s is due too early: %s, %v", name, s, ok)
			}
			if wake, ok := x.t.wake(c, at.Add(x.from-time.Second)); !ok || wake != at.Add(x.from) {
				t.Errorf("%s: woken at %s", name, wake)
			}
		}
		s, f, ok := x.t.Due(c, at.Add(x.from))
		if !ok || s != x.step {
			t.Errorf("%s is not due: %s, %v", name, s, ok)
		}
		if s == StepInbound && (f.Target != 11 || f.At != at || f.Slack != time.Minute) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if _, _, ok := (&Tunnel{Epoch: 1}).Due(nil, noon); ok {
		t.Error("without a clock a rotation begins")
	}
	if _, _, ok := (&Tunnel{Epoch: 1, Next: 2, Phase: Inbound}).Due(nil, noon); ok {
		t.Error("a rotation step by step goes on by the clock")
	}
	late := Tunnel{Epoch: 3, Clock: true}
	if _, f, ok := late.Due(c, at.Add(time.Minute)); !ok || f.Target != 11 {
		t.Errorf("left behind: %+v, %v", f, ok)
	}
}
