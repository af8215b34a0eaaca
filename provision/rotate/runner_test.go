package rotate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/provision"
)

// both runs steps at both ends in turn until both have the epoch.
func (w *world) both(target uint64, step func(*site) error) {
	w.t.Helper()
	for range 1000 {
		done := 0
		for _, s := range w.sites {
			if t := s.tunnel(); t.Settled() && t.Epoch == target && len(s.sas) == 2 {
				done++
				continue
			}
			if err := step(s); err != nil {
				w.t.Fatalf("end %d, %+v: %v", s.me, s.tunnel(), err)
			}
			w.pass(time.Millisecond)
		}
		if done == len(w.sites) {
			w.pass(2 * transit)
			return
		}
	}
	w.t.Fatalf("no end: %+v, %+v", w.sites[0].tunnel(), w.sites[1].tunnel())
}

// TestCrashAtEachWrite kills each end once, at each write of a rotation.
func TestCrashAtEachWrite(t *testing.T) {
	for who := range 2 {
		all := crashAt(t, who, 0)
		if all < 5+4+1 { // phases on disk, SAs
			t.Fatalf("only %d writes", all)
		}
		for at := 1; at <= all; at++ {
			crashAt(t, who, at)
		}
	}
}

// crashAt replaces the keys once, while one end is killed at a write; 0 never.
// It returns how many writes that end made.
func crashAt(t *testing.T, who, at int) int {
	t.Helper()
	w, killed := newWorld(t, ""), false
	w.sites[who].writes, w.sites[who].crash = 0, at
	w.both(2, func(s *site) error {
		err := s.step(2)
		if errors.Is(err, errCrash) {
			killed, err = true, nil
		}
		return err
	})
	if killed != (at > 0) {
		t.Errorf("write %d of end %d was not reached", at, who)
	}
	if w.lost > 0 {
		t.Errorf("killed at write %d of end %d: %d packets lost", at, who, w.lost)
	}
	return w.sites[who].writes
}

// TestAnyOrder lets both ends run in any order and be killed at any write.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t, "")
		for target := uint64(2); target < 5; target++ {
			w.both(target, func(s *site) error {
				w.pass(time.Duration(r.IntN(20)) * time.Millisecond)
				if r.IntN(2) == 0 {
					return nil
				}
				s.crash = r.IntN(6)
				err := s.step(target)
				if errors.Is(err, errCrash) {
					err = nil
				}
				s.crash = 0
				return err
			})
		}
		if w.lost > 0 {
			t.Errorf("seed %d: %d packets lost", seed, w.lost)
		}
	}
}

// TestByClock lets both ends follow a clock that is not quite the same, run at
// any time, and be killed.
func TestByClock(t *testing.T) {
	const every, slack, epochs = 1200 * time.Millisecond, 100 * time.Millisecond, 4
	for seed := range uint64(1) {
		r := rand.New(rand.NewPCG(seed, 2))
		w := newWorld(t, fmt.Sprintf(", epoch: {start: 2026-01-01T12:00:00Z, every: %s, slack: %s}", every, slack))
		w.sites[1].skew = time.Duration(r.Int64N(int64(2*slack))) - slack
		for w.now.Before(noon.Add(epochs*every + 4*slack)) {
			w.pass(time.Duration(r.Int64N(int64(slack / 8))))
			for _, s := range w.sites {
				s.crash = r.IntN(40)
				err := s.run(false, func(r *Runner) error {
					_, err := r.Apply(t.Context(), provision.Options{})
					return err
				})
				if err != nil && !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				s.crash = 0
			}
		}
		for _, s := range w.sites {
			if got := s.tunnel(); !got.Settled() || got.Epoch != epochs+1 || len(s.sas) != 2 {
				t.Errorf("seed %d, end %d: %+v with %d SAs", seed, s.me, got, len(s.sas))
			}
		}
		if w.lost > 0 {
			t.Errorf("seed %d, skew %s: %d packets lost", seed, w.sites[1].skew, w.lost)
		}
	}
}

// TestInDoubt: a rotation whose key may have been used, by an SA that has gone,
// cannot go on. It is given up at both ends, without loss.
func TestInDoubt(t *testing.T) {
	w := newWorld(t, "")
	east, west := w.sites[0], w.sites[1]
	if err := errors.Join(west.step(2), east.step(2)); err != nil {
		t.Fatal(err)
	}
	east.sas = east.sas[:2]
	var refused *provision.RefusedError
	if err := east.step(2); !errors.As(err, &refused) {
		t.Fatalf("its key comes again: %v", err)
	}
	for _, s := range w.sites {
		if err := s.run(true, func(r *Runner) error {
			all, err := r.GiveUp(t.Context(), nil)
			return errors.Join(err, all[0].Err)
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.both(3, func(s *site) error { return s.step(3) })
	if w.lost > 0 {
		t.Errorf("%d packets lost", w.lost)
	}
}

// TestInDoubtByClock: the next epoch overtakes a rotation that cannot go on.
func TestInDoubtByClock(t *testing.T) {
	const every, slack = time.Second, 100 * time.Millisecond
	w := newWorld(t, fmt.Sprintf(", epoch: {start: 2026-01-01T12:00:00Z, every: %s, slack: %s}", every, slack))
	doubts := 0
	for w.now.Before(noon.Add(3*every + 4*slack)) {
		w.pass(10 * time.Millisecond)
		for _, s := range w.sites {
			err := s.run(false, func(r *Runner) error {
				_, err := r.Apply(t.Context(), provision.Options{})
				return err
			})
			var refused *provision.RefusedError
			if err != nil && !errors.As(err, &refused) {
				t.Fatal(err)
			}
			if doubts == 0 && s.me == 0 && s.tunnel().Phase == Inbound {
				s.sas = s.sas[:2] // before anything came with it
				doubts++
			}
		}
	}
	for _, s := range w.sites {
		if got := s.tunnel(); !got.Settled() || got.Epoch != 4 || got.Said != 0 || len(s.sas) != 2 {
			t.Errorf("end %d: %+v with %d SAs", s.me, got, len(s.sas))
		}
	}
}

// TestDocumentCounts: an epoch that the document names for the first time is
// had at once by apply, and rotated to by a rotation; one that was counted
// further stays.
func TestDocumentCounts(t *testing.T) {
	w := newWorld(t, ", epoch: 3")
	apply := func(s *site) {
		t.Helper()
		if err := s.run(false, func(r *Runner) error {
			_, err := r.Apply(t.Context(), provision.Options{Prune: true})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.both(4, func(s *site) error { return s.step(4) })
	apply(w.sites[0])
	if got := w.sites[0].tunnel(); got.Epoch != 4 || got.Said != 3 {
		t.Errorf("apply of the same document: %+v", got)
	}
	w.doc = replaceEpoch(", epoch: 9")
	w.both(9, func(s *site) error { return s.step(0) })
	if got := w.sites[0].tunnel(); got.Said != 9 {
		t.Errorf("rotated to the document's epoch: %+v", got)
	}
	if w.lost > 0 {
		t.Errorf("%d packets lost", w.lost)
	}
	w.doc = replaceEpoch(", epoch: 11")
	apply(w.sites[0])
	if got := w.sites[0].tunnel(); got.Epoch != 11 || !got.Settled() {
		t.Errorf("apply of a new epoch: %+v", got)
	}
	w.doc = replaceEpoch(", epoch: 9")
	err := w.sites[0].run(false, func(r *Runner) error {
		_, err := r.Apply(t.Context(), provision.Options{})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "has had this key before") {
		t.Errorf("keys of an earlier epoch: %v", err)
	}
	w.doc = replaceEpoch(", epoch: 11")
	if err := w.sites[0].step(12); err != nil {
		t.Fatal(err)
	}
	w.doc = replaceEpoch(", epoch: 20")
	if err := w.sites[0].step(0); err == nil || !strings.Contains(err.Error(), "on its way from epoch 11 to 12 and the document says 20") {
		t.Errorf("a new epoch in the middle: %v", err)
	}
}

// TestRefused: what cannot be rotated is refused before anything is noted.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		epoch, spi string
		target     uint64
		want       string
	}{
		"backwards":  {epoch: ", epoch: 3", target: 2, want: "epoch 2 does not come after epoch 3"},
		"fixed SPIs": {spi: "\n    spi: {east-to-west: 0x1001, west-to-east: 0x1002}", want: "has SPIs of its own"},
		"by clock":   {epoch: ", epoch: {start: 2026-01-01T00:00:00Z, every: 24h, slack: 60s}", want: "follow the clock of the document"},
	} {
		w := newWorld(t, c.epoch)
		w.doc = strings.Replace(w.doc, "\n    interface", c.spi+"\n    interface", 1)
		if c.spi != "" {
			w.sites[0].sas, w.sites[0].spent = nil, map[string]bool{}
		}
		before := w.sites[0].tunnel()
		if err := w.sites[0].step(c.target); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if after := w.sites[0].tunnel(); after.Phase != before.Phase || after.Next != 0 {
			t.Errorf("%s: it was noted: %+v", name, after)
		}
	}
}
