package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
)

// Stats is what `xfrmctl esp stats -j` prints, as far as tests look at it.
type Stats struct {
	Law struct {
		OuterReceived  uint64 `json:"outer_received"`
		InnerDelivered uint64 `json:"inner_delivered"`
		InDropped      uint64 `json:"in_dropped"`
		InnerReceived  uint64 `json:"inner_received"`
		OuterSent      uint64 `json:"outer_sent"`
		OutDropped     uint64 `json:"out_dropped"`
		Holds          bool   `json:"holds"`
	} `json:"law"`
	Counters map[string]uint64 `json:"counters"`
	Own      map[string]uint64 `json:"own_counters"`
}

// Check returns an error when packets are not accounted for. It does the sums
// itself.
func (s *Stats) Check() error {
	l := s.Law
	if !l.Holds || l.OuterReceived != l.InnerDelivered+l.InDropped || l.InnerReceived != l.OuterSent+l.OutDropped {
		return fmt.Errorf("packets are not accounted for: %+v", l)
	}
	return nil
}

// String shows the law and the counters that are not 0.
func (s *Stats) String() string {
	text := fmt.Sprintf("%+v", s.Law)
	for _, m := range []map[string]uint64{s.Counters, s.Own} {
		for name, n := range m {
			if n != 0 {
				text += fmt.Sprintf(" %s=%d", name, n)
			}
		}
	}
	return text
}

// Stats returns what `xfrmctl esp stats -j` prints.
func (e *Engine) Stats(t testing.TB) *Stats {
	t.Helper()
	out, err := e.run("", e.command([]string{"esp", "stats", "-j"}))
	if err != nil {
		t.Fatal(err)
	}
	s := &Stats{}
	if err := json.Unmarshal([]byte(out), s); err != nil {
		t.Fatalf("esp stats: %v in %q", err, out)
	}
	return s
}

// Received is how many packets the engine received from outside. It asks on
// the engine's socket, which is quicker than to start an xfrmctl.
func (e *Engine) Received(t testing.TB) uint64 {
	t.Helper()
	doc, err := nlsock.Status(e.Socket())
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Law struct {
			OuterReceived uint64 `json:"outer_received"`
		} `json:"law"`
	}
	if err := json.Unmarshal(doc, &s); err != nil {
		t.Fatal(err)
	}
	return s.Law.OuterReceived
}

// RSS is the memory that the engine has in use, in bytes.
func (e *Engine) RSS(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	f := strings.Fields(rest)
	if len(f) == 0 {
		t.Fatal("no VmRSS: the engine has ended")
	}
	kib, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
