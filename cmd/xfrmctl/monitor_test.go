package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/netlinkx/netlinkxtest"
)

// recorded returns the messages of a few requests, which have the form of the
// events that they cause.
func recorded(t *testing.T, rs ...netlinkx.Request) []byte {
	t.Helper()
	var b []byte
	for i, r := range rs {
		var err error
		if b, err = netlinkx.AppendRequest(b, r, uint32(i), 0); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func writeFile(t *testing.T, b []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(p, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMonitorFile(t *testing.T) {
	events := recorded(t, netlinkx.AddSA(mustSA(t, 0x100)), netlinkx.FlushSAs(0), netlinkx.UpdateSA(mustSA(t, 0x101)))
	p := writeFile(t, events)
	got := runWords(t, newFakeKernel(), "monitor file "+p)
	if got.Code != 0 || got.Stderr != "" || !strings.HasPrefix(got.Stdout, "src 192.0.2.1 dst 192.0.2.2\n") ||
		!strings.Contains(got.Stdout, "\nFlushed state proto 0\nUpdated src 192.0.2.1") {
		t.Errorf("%+v", got)
	}
	if strings.Contains(got.Stdout, hexKey) {
		t.Error("shows the key")
	}
	if got := runWords(t, newFakeKernel(), "--show-keys monitor file "+p); !strings.Contains(got.Stdout, hexKey) {
		t.Error("--show-keys hides the key")
	}
	got = runWords(t, newFakeKernel(), "-j -p monitor file "+p)
	lines := strings.Split(strings.TrimSuffix(got.Stdout, "\n"), "\n")
	if len(lines) != 3 || got.Code != 0 {
		t.Fatalf("%+v", got)
	}
	for _, l := range lines {
		if !json.Valid([]byte(l)) || strings.Contains(l, hexKey) {
			t.Errorf("line %s", l)
		}
	}
	got = runWords(t, newFakeKernel(), "-ts monitor all-nsid file "+p)
	if !strings.Contains(got.Stdout, "] [nsid current]Flushed state proto 0\n") {
		t.Errorf("%+v", got)
	}
}

func TestMonitorFileBad(t *testing.T) {
	good := recorded(t, netlinkx.FlushSAs(50))
	short := recorded(t, netlinkx.AddSA(mustSA(t, 0x100)))[:16+20]
	short[0], short[1] = 36, 0
	tests := []struct {
		name        string
		in          []byte
		code        int
		out, stderr string
	}{
		{"empty", nil, 0, "", ""},
		{"header", append(good[:len(good):len(good)], 0, 0, 0, 1, 2, 3), 1, "Flushed state proto esp\n", "message at byte 20: header is truncated"},
		{"payload", good[:len(good)-1], 1, "", "message at byte 0: message is truncated"},
		{"length", make([]byte, 16), 1, "", "message at byte 0: length 0 is not one of a message"},
		{"wrong message, then a good one", append(short, good...), 1, "Flushed state proto esp\n", "message at byte 0: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := runWords(t, newFakeKernel(), "monitor file "+writeFile(t, tt.in))
			if got.Code != tt.code || got.Stdout != tt.out || !strings.Contains(got.Stderr, tt.stderr) || (tt.stderr == "") != (got.Stderr == "") {
				t.Errorf("%+v", got)
			}
		})
	}
	if got := runWords(t, newFakeKernel(), "monitor file /no/such"); got.Code != 255 {
		t.Errorf("%+v", got)
	}
}

// watched is a writer that others may look at.
type watched struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// listening runs a monitor until it has printed lines, and then ends its
// context, as a signal does.
func listening(t *testing.T, k *fakeKernel, words string, lines int, events func()) result {
	t.Helper()
	var out, errs watched
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	e := testEnv(ctx, k, strings.NewReader(""), &out, &errs)
	done := make(chan int)
	go func() { done <- e.main(strings.Fields(words)) }()
	for k.Open() == 0 {
		time.Sleep(time.Millisecond)
	}
	events()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if strings.Count(out.String()+errs.String(), "\n") >= lines {
			break
		}
	}
	stop()
	code := <-done
	return result{code, out.String(), errs.String()}
}

func TestMonitor(t *testing.T) {
	k := newFakeKernel()
	got := listening(t, k, "monitor", 4, func() {
		k.Notify(netlinkx.GroupSA, netlinkxtest.Object(netlinkx.FlushSAs(50)))
		k.Notify(netlinkx.GroupSA, netlinkxtest.Message{Type: netlinkx.MsgNewSA, Payload: []byte{1, 2, 3}})
		k.Notify(netlinkx.GroupSA, netlinkxtest.Message{Fail: syscall.ENOBUFS})
		k.Notify(netlinkx.GroupPolicy, netlinkxtest.Object(netlinkx.FlushPolicies(netlinkx.Some(netlinkx.PolicyMain))))
	})
	if got.Code != 0 || got.Stdout != "Flushed state proto esp\nFlushed policy ptype main \n" {
		t.Errorf("%+v", got)
	}
	lines := strings.Split(got.Stderr, "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[1], "lost events: ") {
		t.Errorf("stderr %q", got.Stderr)
	}
}

func TestMonitorGroups(t *testing.T) {
	k := newFakeKernel()
	got := listening(t, k, "monitor policy", 1, func() {
		k.Notify(netlinkx.GroupSA, netlinkxtest.Object(netlinkx.FlushSAs(50)))
		k.Notify(netlinkx.GroupPolicy, netlinkxtest.Object(netlinkx.FlushPolicies(netlinkx.Opt[netlinkx.PolicyType]{})))
	})
	if got != (result{0, "Flushed policy \n", ""}) {
		t.Errorf("%+v", got)
	}
}

// After lost events a JSON monitor lists what there is.
func TestMonitorResync(t *testing.T) {
	k := newFakeKernel()
	k.sas = append(k.sas, mustSA(t, 0x100))
	got := listening(t, k, "-j monitor", 3, func() {
		k.Notify(netlinkx.GroupSA, netlinkxtest.Message{Fail: syscall.ENOBUFS})
	})
	var events []string
	for _, l := range strings.Split(strings.TrimSuffix(got.Stdout, "\n"), "\n") {
		var ev struct{ Event string }
		if err := json.Unmarshal([]byte(l), &ev); err != nil {
			t.Errorf("%s: %v", l, err)
		}
		events = append(events, ev.Event)
	}
	if want := []string{"lost", "resync", "resync_done"}; !slices.Equal(events, want) || got.Code != 0 {
		t.Errorf("events %v, want %v; %+v", events, want, got)
	}
}
