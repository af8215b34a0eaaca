package replay

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// TestLinuxVerdicts replays the events that Linux judged.
func TestLinuxVerdicts(t *testing.T) {
	b, err := os.ReadFile("testdata/linux-6.1-replay.json")
	if err != nil {
		t.Fatal(err)
	}
	type run struct {
		ID     string
		Window uint32
		ESN    bool
		Start  uint64
		Events [][2]uint64
		Want   []uint64 `json:"rfc_expect"`
	}
	var doc struct{ Runs, Quirks []run }
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	events := 0
	for _, r := range append(doc.Runs, doc.Quirks...) {
		w := New(r.Window, r.ESN)
		if err := w.SetExtended(&netlinkx.ReplayESN{Seq: uint32(r.Start), SeqHi: uint32(r.Start >> 32)}); err != nil {
			t.Fatal(err)
		}
		for i, e := range r.Events {
			want := e[1] == 1
			if r.Want != nil {
				want = r.Want[i] == 1
			} else {
				events++
			}
			n, v := w.Check(uint32(e[0]))
			// Another high half fails the ICV: the packet is not committed.
			got := v == OK && n == e[0] && w.Commit(n) == OK
			if got != want {
				t.Errorf("%s: event %d, number %d: accepted %v (%v), want %v", r.ID, i, e[0], got, v, want)
			}
		}
	}
	if events != 2682 || len(doc.Quirks) != 4 {
		t.Errorf("%d events and %d quirks, want 2682 and 4", events, len(doc.Quirks))
	}
}

// modelEvents is how many events TestModel judges. REPLAY_MODEL_EVENTS sets
// more; 10000000 take seconds.
func modelEvents(t *testing.T) int {
	if s := os.Getenv("REPLAY_MODEL_EVENTS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 1_000_000
}

// TestModel compares the window with the model for windows of all sizes, with
// ESN and without, from starts around the places where numbers wrap.
func TestModel(t *testing.T) {
	sizes := []uint32{1, 2, 3, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 255, 1000, 1023, 1024, 1025, 2048, 4095, 4096, 5000, 10000}
	starts := []uint64{0, 1, 30, 1000, 1<<32 - 5000, 1<<32 - 40, 1<<32 - 1, 1 << 32, 1<<32 + 31, 1<<33 - 100, 1<<63 - 50}
	runs := len(sizes) * len(starts) * 2
	per := (modelEvents(t) + runs - 1) / runs
	events := 0
	for _, size := range sizes {
		for i, start := range starts {
			for _, esn := range []bool{false, true} {
				if !esn {
					start &= 0xffffffff
				}
				r := rand.New(rand.NewPCG(uint64(size), uint64(i)))
				if err := against(size, esn, start, per, r); err != nil {
					t.Fatalf("window %d, esn %v, start %d: %v", size, esn, start, err)
				}
				events += per
			}
		}
	}
	t.Logf("%d events", events)
}

// TestModelEverySize runs every window from 1 to 4096, in short.
func TestModelEverySize(t *testing.T) {
	step := uint32(1)
	if testing.Short() {
		step = 37
	}
	for size := uint32(1); size <= 4096; size += step {
		r := rand.New(rand.NewPCG(uint64(size), 99))
		start := uint64(1<<32) - uint64(size)/2 - 1
		if err := against(size, size%2 == 0, start, 40, r); err != nil {
			t.Fatalf("window %d: %v", size, err)
		}
	}
}

func against(size uint32, esn bool, start uint64, events int, r *rand.Rand) error {
	w, m := New(size, esn), &model{size: size, esn: esn, top: start, seen: map[uint64]bool{}}
	if err := w.SetExtended(&netlinkx.ReplayESN{Seq: uint32(start), SeqHi: uint32(start >> 32)}); err != nil {
		return err
	}
	for i := range events {
		seq := nextNumber(m.top, size, r)
		n, v := w.Check(uint32(seq))
		wantN, wantV := m.check(uint32(seq))
		if v != wantV || v == OK && n != wantN {
			return fmt.Errorf("event %d, top %d: check %d gives %d %v, want %d %v", i, m.top, uint32(seq), n, v, wantN, wantV)
		}
		if v == OK && r.IntN(8) != 0 { // one in eight fails its ICV
			if got, want := w.Commit(n), m.commit(n); got != want || w.Top() != m.top {
				return fmt.Errorf("event %d: commit %d gives %v and top %d, want %v and %d", i, n, got, w.Top(), want, m.top)
			}
		}
		if i%97 == 0 || i == events-1 {
			if err := sameState(w, m); err != nil {
				return fmt.Errorf("event %d: %w", i, err)
			}
		}
	}
	return nil
}

// nextNumber is a number as networks and attackers send them: the next one, a
// near one, one around the edges of the window, a far one.
func nextNumber(top uint64, size uint32, r *rand.Rand) uint64 {
	switch r.IntN(10) {
	case 0, 1, 2, 3:
		return top + 1
	case 4:
		return top + uint64(r.IntN(int(size)+3))
	case 5, 6:
		return top - uint64(r.IntN(int(size)+3))
	case 7:
		return top - uint64(size) + uint64(r.IntN(5)) - 2
	case 8:
		return top + uint64(size) + uint64(r.IntN(200)) - 100
	}
	return r.Uint64() >> r.IntN(64)
}

// sameState compares what both report, and that reported state makes the same
// window again.
func sameState(w *Window, m *model) error {
	var r netlinkx.ReplayESN
	w.Extended(&r)
	if want := m.linuxBitmap(); r.Seq != uint32(m.top) || r.SeqHi != uint32(m.top>>32) || !slices.Equal(r.Bitmap, want) {
		return fmt.Errorf("state %d/%d %08x, want %d %08x", r.Seq, r.SeqHi, r.Bitmap, m.top, want)
	}
	if got, want := w.Legacy(), m.legacy(); !w.ESN() && got != want {
		return fmt.Errorf("legacy state %+v, want %+v", got, want)
	}
	again := New(w.Size(), w.ESN())
	if err := again.SetExtended(&r); err != nil {
		return err
	}
	var r2 netlinkx.ReplayESN
	again.Extended(&r2)
	if !slices.Equal(r.Bitmap, r2.Bitmap) || again.Top() != w.Top() {
		return fmt.Errorf("state %08x comes back as %08x", r.Bitmap, r2.Bitmap)
	}
	return nil
}

func TestLegacyState(t *testing.T) {
	w := New(32, false)
	for _, n := range []uint64{1, 2, 5, 40, 38} {
		if v := w.Commit(n); v != OK {
			t.Fatalf("%d: %v", n, v)
		}
	}
	if got, want := w.Legacy(), (netlinkx.ReplayState{Seq: 40, Bitmap: 1<<0 | 1<<2}); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
	again := New(32, false)
	again.SetLegacy(w.Legacy())
	for n, want := range map[uint32]Verdict{40: Duplicate, 38: Duplicate, 39: OK, 9: OK, 8: Old, 41: OK, 0: Zero} {
		if _, v := again.Check(n); v != want {
			t.Errorf("%d: %v, want %v", n, v, want)
		}
	}
}

func TestExtendedKeepsTheCallersPart(t *testing.T) {
	w := New(40, true)
	w.Commit(3)
	memory := make([]uint32, 9)
	r := netlinkx.ReplayESN{OSeq: 7, OSeqHi: 8, BitmapLen: 4, Bitmap: memory[:0]}
	w.Extended(&r)
	if r.OSeq != 7 || r.OSeqHi != 8 || r.BitmapLen != 4 || !slices.Equal(r.Bitmap, []uint32{1 << 2, 0, 0, 0}) || &r.Bitmap[0] != &memory[0] {
		t.Errorf("%+v", r)
	}
	if err := New(65, true).SetExtended(&netlinkx.ReplayESN{BitmapLen: 2, Bitmap: make([]uint32, 2)}); err == nil {
		t.Error("a bitmap of 64 bits passes for a window of 65")
	}
}

func TestNoWindow(t *testing.T) {
	w := New(0, false)
	for range 2 {
		for _, n := range []uint32{0, 1, 1, 0xffffffff} {
			if seq, v := w.Check(n); v != OK || seq != uint64(n) || w.Commit(seq) != OK {
				t.Errorf("%d: %v", n, v)
			}
		}
	}
	var r netlinkx.ReplayESN
	if w.Extended(&r); r.Seq != 0 || w.Top() != 0 || len(r.Bitmap) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestCommitJudgesAgain: of two packets with one number that were checked
// before either was committed, one is dropped.
func TestCommitJudgesAgain(t *testing.T) {
	w := New(64, false)
	n, v := w.Check(5)
	if v != OK || w.Commit(n) != OK || w.Commit(n) != Duplicate {
		t.Error("number 5 was accepted twice")
	}
	if w.Commit(100); w.Commit(36) != Old || w.Commit(37) != OK || w.Commit(0) != Zero {
		t.Error("verdicts of Commit")
	}
}

func TestVerdictString(t *testing.T) {
	if got := fmt.Sprint(OK, Old, Duplicate, Zero); got != "ok too old seen before sequence number 0" {
		t.Error(got)
	}
}

func TestAllocations(t *testing.T) {
	w := New(4096, true)
	var r netlinkx.ReplayESN
	w.Extended(&r)
	seq := uint32(0)
	if got := testing.AllocsPerRun(1000, func() {
		seq += 3
		n, _ := w.Check(seq)
		w.Commit(n)
		w.Extended(&r)
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// FuzzWindow compares window and model on the fuzzer's numbers: each 4 bytes
// are a number relative to the top.
func FuzzWindow(f *testing.F) {
	f.Add(uint16(31), true, uint64(1<<32-3), []byte{1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Add(uint16(4095), true, uint64(4095), []byte{0, 0, 0, 0, 1, 0, 0, 0, 0, 0x10, 0, 0})
	f.Add(uint16(99), false, uint64(1<<32-50), []byte{49, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80})
	f.Fuzz(func(t *testing.T, size uint16, esn bool, start uint64, steps []byte) {
		start &= 1<<63 - 1
		if !esn {
			start &= 0xffffffff
		}
		w, m := New(uint32(size%4200)+1, esn), &model{size: uint32(size%4200) + 1, esn: esn, top: start, seen: map[uint64]bool{}}
		if err := w.SetExtended(&netlinkx.ReplayESN{Seq: uint32(start), SeqHi: uint32(start >> 32)}); err != nil {
			t.Fatal(err)
		}
		for ; len(steps) >= 4; steps = steps[4:] {
			seq := uint32(m.top) + (uint32(steps[0]) | uint32(steps[1])<<8 | uint32(steps[2])<<16 | uint32(steps[3])<<24)
			n, v := w.Check(seq)
			if wantN, wantV := m.check(seq); v != wantV || v == OK && n != wantN {
				t.Fatalf("top %d: check %d gives %d %v, want %d %v", m.top, seq, n, v, wantN, wantV)
			}
			if v == OK && w.Commit(n) != m.commit(n) {
				t.Fatalf("commit %d", n)
			}
		}
		if err := sameState(w, m); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkCheckCommit(b *testing.B) {
	for _, size := range []uint32{32, 1024, 4096} {
		b.Run(strconv.Itoa(int(size)), func(b *testing.B) {
			w := New(size, true)
			seq := uint32(0)
			for b.Loop() {
				seq++
				if n, v := w.Check(seq); v != OK || w.Commit(n) != OK {
					b.Fatal(seq)
				}
			}
		})
	}
}

// BenchmarkExtended is a listing's cost for an SA that lost nothing.
func BenchmarkExtended(b *testing.B) {
	w := New(4096, true)
	for n := range uint64(5000) {
		w.Commit(n + 1)
	}
	var r netlinkx.ReplayESN
	for b.Loop() {
		w.Extended(&r)
	}
}
