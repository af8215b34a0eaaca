package gsogro

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestApply(t *testing.T) {
	tests := []struct {
		name   string
		stuck  string
		change Change
		fails  string // what the error says, "" success
		moved  []Drop
	}{
		{"feature", "", Change{Features: map[string]bool{RxGRO: true}}, "", nil},
		{"number", "", Change{Numbers: map[string]uint64{GSOMaxSize: 32768, GROFlushTimeout: 20000}}, "", nil},
		{"features that depend move along", "", Change{Features: map[string]bool{TxScatterGather: false}}, "", []Drop{
			{TxGSO, "now off: needs tx-scatter-gather, which is off"},
			{TxTSOECN, "now off: needs tx-scatter-gather, which is off"},
			{TxTSO, "now off: needs tx-scatter-gather, which is off"},
			{TxTSO6, "now off: needs tx-scatter-gather, which is off"},
		}},
		{"fixed", "", Change{Features: map[string]bool{ESPHW: true, RxGRO: true}}, "esp-hw-offload is off, not on: it is fixed on this device; nothing is changed", nil},
		{"dependency", "", Change{Features: map[string]bool{RxChecksum: false, RxGROHW: true}}, "rx-gro-hw is off, not on: needs rx-checksum, which is off", nil},
		{"driver", RxGRO, Change{Features: map[string]bool{RxGRO: true, TxGSO: false}}, "rx-gro is off, not on: the driver refused it", nil},
		{"unknown feature", "", Change{Features: map[string]bool{"rx-grow": true, RxGRO: true}}, "this kernel has no such feature", nil},
		{"unknown number", "", Change{Numbers: map[string]uint64{NAPIDeferHardIRQs: 2, GSOMaxSize: 1}}, "this kernel or device has no such setting", nil},
		{"read only", "", Change{Numbers: map[string]uint64{TSOMaxSize: 1}}, "the driver decides it", nil},
		{"the kernel's error", "", Change{Numbers: map[string]uint64{GSOMaxSize: 70000, GROFlushTimeout: 5}}, "set gso_max_size 70000 of v0: invalid argument: too big gso_max_size", nil},
		{"error of the second half", "", Change{Numbers: map[string]uint64{GSOMaxSize: 100, Threaded: 1}}, "set threaded 1 of v0: operation not supported", nil},
		{"does not fit", "", Change{Numbers: map[string]uint64{GSOMaxSize: 1 << 32}}, "does not fit 32 bits", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newFake(t)
			k.stuck[tt.stuck] = true
			c := k.conn()
			before, err := c.State(t.Context(), "v0")
			if err != nil {
				t.Fatal(err)
			}
			out, err := c.Apply(t.Context(), "v0", tt.change)
			after, serr := c.State(t.Context(), "v0")
			if serr != nil {
				t.Fatal(serr)
			}
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("error %v, want one that says %q", err, tt.fails)
				}
				if d := cmp.Diff(before, after); d != "" {
					t.Errorf("a refused change left traces:\n%s", d)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range tt.change.Features {
				if after.Features[name].Active != want {
					t.Errorf("%s is %v", name, !want)
				}
			}
			for name, want := range tt.change.Numbers {
				if after.Numbers[name] != want {
					t.Errorf("%s is %d, want %d", name, after.Numbers[name], want)
				}
			}
			less := func(s []Drop) map[string]string {
				m := map[string]string{}
				for _, d := range s {
					m[d.Feature] = d.Because
				}
				return m
			}
			if d := cmp.Diff(less(tt.moved), less(out.Moved)); d != "" {
				t.Errorf("features that moved along (-want +got):\n%s", d)
			}
		})
	}
}

func TestApplyKeepsErrno(t *testing.T) {
	_, err := newFake(t).conn().Apply(t.Context(), "v0", Change{Numbers: map[string]uint64{GSOMaxSize: 70000}})
	if !errors.Is(err, syscall.EINVAL) {
		t.Errorf("the kernel's errno is lost: %v", err)
	}
}

func TestSnapshotRestore(t *testing.T) {
	k := newFake(t)
	c := k.conn()
	k.wanted[TxScatterGather] = false // TSO is asked for and not in force
	before, err := c.State(t.Context(), "v0")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := json.Marshal(SnapshotOf(before))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Apply(t.Context(), "v0", Change{
		Features: map[string]bool{TxScatterGather: true, RxGRO: true, TxTSO6: false},
		Numbers:  map[string]uint64{GSOMaxSize: 10000, GROFlushTimeout: 9},
	}); err != nil {
		t.Fatal(err)
	}
	s, err := ReadSnapshot(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	for _, round := range []struct{ features, numbers int }{{3, 2}, {0, 0}} {
		writes := k.writes
		done, err := c.Restore(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if ch := done["v0"]; len(ch.Features) != round.features || len(ch.Numbers) != round.numbers {
			t.Errorf("restored %v, want %d features and %d numbers", ch, round.features, round.numbers)
		}
		if round.features == 0 && k.writes != writes {
			t.Errorf("a second restore wrote %d times", k.writes-writes)
		}
		after, err := c.State(t.Context(), "v0")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(before, after); d != "" {
			t.Errorf("not restored:\n%s", d)
		}
	}
}

func TestReadSnapshotRefuses(t *testing.T) {
	for _, doc := range []string{"", "{", `{"version":2}`, `{"version":1,"devices":[{"device":"x","speed":1}]}`} {
		if s, err := ReadSnapshot(strings.NewReader(doc)); err == nil || s != nil {
			t.Errorf("%q: snapshot %v, error %v", doc, s, err)
		}
	}
}
