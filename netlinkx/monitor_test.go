package netlinkx_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/netlinkx/netlinkxtest"
)

func monitorSA(spi netlinkx.SPI) *netlinkx.SA {
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	sa.SPI, sa.Proto = spi, netlinkx.ProtoESP
	return sa
}

func newSA(spi netlinkx.SPI) netlinkxtest.Message {
	return netlinkxtest.Object(netlinkx.AddSA(monitorSA(spi)))
}

func newPolicy(index uint32) netlinkxtest.Message {
	p := netlinkx.NewPolicy()
	p.Index, p.Dir = index, netlinkx.PolicyOut
	return netlinkxtest.Object(netlinkx.AddPolicy(p))
}

var lost = netlinkxtest.Message{Fail: syscall.ENOBUFS}

// dumps answers dumps of SAs and policies.
func dumps(sas, policies []netlinkxtest.Message) netlinkxtest.Handler {
	return func(req netlinkxtest.Message) []netlinkxtest.Message {
		if req.Type == netlinkx.MsgGetSA {
			return netlinkxtest.Dump(sas...)
		}
		return netlinkxtest.Dump(policies...)
	}
}

// monitor runs f with a monitor on k inside a bubble of fake time, and sees
// that nothing is left of it.
func monitor(t *testing.T, k *netlinkxtest.Kernel, cfg netlinkx.MonitorConfig, f func(*testing.T, *netlinkx.Monitor)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg.Dial = k.DialMonitor
		m, err := netlinkx.NewMonitor(&cfg)
		if err != nil {
			t.Fatal(err)
		}
		f(t, m)
		for range 2 {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
		if n := k.Open(); n != 0 {
			t.Errorf("%d connections left open", n)
		}
		if n, err := m.Next(context.Background()); n != nil || !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %v, %v", n, err)
		}
	})
}

// describe tells a notice or an error in a word.
func describe(n *netlinkx.Notice, err error) string {
	if err != nil {
		return err.Error()
	}
	switch e := n.Event.(type) {
	case *netlinkx.SAEvent:
		return fmt.Sprintf("%s sa %d", e.Op, e.SA.SPI)
	case *netlinkx.LostEvent:
		return "lost"
	case *netlinkx.ResyncEvent:
		switch {
		case e.SA != nil:
			return fmt.Sprintf("have sa %d", e.SA.SPI)
		case e.Policy != nil:
			return fmt.Sprintf("have policy %d", e.Policy.Index)
		}
		return "synced"
	}
	return fmt.Sprintf("%T", n.Event)
}

// wantNext compares what Next returns, until it has nothing for a second.
func wantNext(t *testing.T, m *netlinkx.Monitor, want ...string) {
	t.Helper()
	var got []string
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		n, err := m.Next(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		got = append(got, describe(n, err))
		if len(got) > 100 {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestMonitorEvents(t *testing.T) {
	k := &netlinkxtest.Kernel{}
	monitor(t, k, netlinkx.MonitorConfig{}, func(t *testing.T, m *netlinkx.Monitor) {
		first := newSA(1)
		first.Seq, first.PortID, first.Flags = 77, 88, 0x400
		same := newSA(2)
		same.Same = true
		k.Notify(netlinkx.GroupSA, first, same)
		n, err := m.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n.Type != netlinkx.MsgNewSA || n.Seq != 77 || n.PortID != 88 || n.Flags != 0x400 || n.NSID.Valid || describe(n, nil) != "new sa 1" {
			t.Errorf("notice %+v", *n)
		}
		k.Notify(netlinkx.GroupPolicy, newPolicy(9), netlinkxtest.Message{Type: 3, Payload: make([]byte, 4)})
		k.Notify(netlinkx.GroupReport, netlinkxtest.Message{Type: 0x7f})
		k.Notify(netlinkx.GroupExpire, netlinkxtest.Object(netlinkx.Expire(&netlinkx.ExpireSA{SA: *monitorSA(1)})))
		wantNext(t, m, "new sa 2", "*netlinkx.PolicyEvent", "*netlinkx.UnknownEvent", "*netlinkx.ExpireEvent")
	})
}

func TestMonitorGroups(t *testing.T) {
	var asked [][]netlinkx.Group
	k := &netlinkxtest.Kernel{}
	dial := func(g []netlinkx.Group) (netlinkx.Transport, error) {
		asked = append(asked, slices.Clone(g))
		return k.DialMonitor(g)
	}
	for _, cfg := range []*netlinkx.MonitorConfig{{Dial: dial}, {Dial: dial, Groups: []netlinkx.Group{netlinkx.GroupSA}}} {
		m, err := netlinkx.NewMonitor(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	want := [][]netlinkx.Group{{1, 2, 3, 4, 5, 6, 7, 8}, {netlinkx.GroupSA}}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
}

func TestMonitorDialFails(t *testing.T) {
	m, err := netlinkx.NewMonitor(&netlinkx.MonitorConfig{Dial: func([]netlinkx.Group) (netlinkx.Transport, error) { return nil, syscall.EPERM }})
	if m != nil || !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v, %v", m, err)
	}
	if _, err := netlinkx.NewMonitor(&netlinkx.MonitorConfig{NetNS: netlinkx.NamedNetNS("no-such-namespace")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no namespace: %v", err)
	}
}

func TestMonitorMalformed(t *testing.T) {
	k := &netlinkxtest.Kernel{}
	monitor(t, k, netlinkx.MonitorConfig{}, func(t *testing.T, m *netlinkx.Monitor) {
		short, cut, good := newSA(1), newSA(2), newSA(3)
		short.Payload = short.Payload[:100]
		cut.Cut = 1
		good.Same = true
		k.Notify(netlinkx.GroupSA, short, good, cut, newSA(4))
		_, err := m.Next(t.Context())
		var d *netlinkx.DecodeError
		if !errors.As(err, &d) || d.Msg != netlinkx.MsgNewSA {
			t.Errorf("short event: %v", err)
		}
		wantNext(t, m, "new sa 3", "monitor: malformed netlink message: length 240, 239 bytes received", "new sa 4")
	})
}

func TestMonitorLost(t *testing.T) {
	sas, policies := []netlinkxtest.Message{newSA(10), newSA(11), newSA(12)}, []netlinkxtest.Message{newPolicy(20)}
	all := []string{"have sa 10", "have sa 11", "have sa 12", "have policy 20", "synced"}
	refusing := func(n int, answer func(netlinkxtest.Message) []netlinkxtest.Message) netlinkxtest.Handler {
		rest := dumps(sas, policies)
		return func(req netlinkxtest.Message) []netlinkxtest.Message {
			if n--; n >= 0 {
				return answer(req)
			}
			return rest(req)
		}
	}
	interrupt := func(req netlinkxtest.Message) []netlinkxtest.Message {
		return netlinkxtest.Interrupted(netlinkxtest.Dump(sas[:1]...))
	}
	refuse := func(req netlinkxtest.Message) []netlinkxtest.Message {
		return []netlinkxtest.Message{netlinkxtest.Refuse(req, syscall.ENOMEM, netlinkxtest.ExtAck{})}
	}
	tests := []struct {
		name   string
		cfg    netlinkx.MonitorConfig
		handle netlinkxtest.Handler
		events []netlinkxtest.Message
		want   []string
	}{
		{"no re-sync", netlinkx.MonitorConfig{}, nil, []netlinkxtest.Message{newSA(1), lost, newSA(2)}, []string{"new sa 1", "lost", "new sa 2"}},
		{"queued events come before the list", netlinkx.MonitorConfig{Resync: true}, dumps(sas, policies),
			[]netlinkxtest.Message{newSA(1), lost, newSA(2), newSA(3)},
			slices.Concat([]string{"new sa 1", "lost", "new sa 2", "new sa 3"}, all)},
		{"nothing to list", netlinkx.MonitorConfig{Resync: true}, dumps(nil, nil), []netlinkxtest.Message{lost}, []string{"lost", "synced"}},
		{"lost again while draining", netlinkx.MonitorConfig{Resync: true}, dumps(sas, policies),
			[]netlinkxtest.Message{lost, newSA(2), lost, newSA(3)},
			slices.Concat([]string{"lost", "new sa 2", "lost", "new sa 3"}, all)},
		{"an endless stream does not put the list off", netlinkx.MonitorConfig{Resync: true, ReadBuffer: 300}, dumps(sas, policies),
			[]netlinkxtest.Message{lost, newSA(2), newSA(3), newSA(4), newSA(5)},
			slices.Concat([]string{"lost", "new sa 2", "new sa 3"}, all, []string{"new sa 4", "new sa 5"})},
		{"interrupted list is made again", netlinkx.MonitorConfig{Resync: true}, refusing(2, interrupt), []netlinkxtest.Message{lost},
			slices.Concat([]string{"lost", "have sa 10", "have sa 10"}, all)},
		{"list interrupted too often", netlinkx.MonitorConfig{Resync: true}, refusing(3, interrupt), []netlinkxtest.Message{lost},
			slices.Concat([]string{"lost", "have sa 10", "have sa 10", "have sa 10", "monitor: list sas: " + netlinkx.ErrDumpInterrupted.Error()}, all)},
		{"refused list", netlinkx.MonitorConfig{Resync: true}, refusing(1, refuse), []netlinkxtest.Message{lost},
			slices.Concat([]string{"lost", "monitor: list sas: cannot allocate memory"}, all)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := &netlinkxtest.Kernel{Handle: tt.handle}
			monitor(t, k, tt.cfg, func(t *testing.T, m *netlinkx.Monitor) {
				k.Notify(netlinkx.GroupSA, tt.events...)
				wantNext(t, m, tt.want...)
				k.Notify(netlinkx.GroupSA, newSA(99))
				wantNext(t, m, "new sa 99")
			})
		})
	}
}

// TestMonitorEventsDuringList: they come after the list, and so does the next
// loss.
func TestMonitorEventsDuringList(t *testing.T) {
	k := &netlinkxtest.Kernel{Handle: dumps([]netlinkxtest.Message{newSA(10), newSA(11)}, nil)}
	monitor(t, k, netlinkx.MonitorConfig{Resync: true}, func(t *testing.T, m *netlinkx.Monitor) {
		k.Notify(netlinkx.GroupSA, lost)
		for _, want := range []string{"lost", "have sa 10"} {
			if got := describe(m.Next(t.Context())); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		k.Notify(netlinkx.GroupSA, newSA(1), lost, newSA(2))
		wantNext(t, m, "have sa 11", "synced", "new sa 1", "lost", "new sa 2", "have sa 10", "have sa 11", "synced")
	})
}

func TestMonitorTypes(t *testing.T) {
	k := &netlinkxtest.Kernel{Handle: dumps([]netlinkxtest.Message{newSA(10)}, []netlinkxtest.Message{newPolicy(20)})}
	monitor(t, k, netlinkx.MonitorConfig{Resync: true}, func(t *testing.T, m *netlinkx.Monitor) {
		k.Notify(netlinkx.GroupSA, lost)
		for _, want := range []netlinkx.MsgType{0, netlinkx.MsgNewSA, netlinkx.MsgNewPolicy, 0} {
			n, err := m.Next(t.Context())
			if err != nil || n.Type != want {
				t.Errorf("got %+v, %v, want type %v", n, err, want)
			}
		}
	})
}

// silent answers nothing, so that a list takes for ever.
func silent(netlinkxtest.Message) []netlinkxtest.Message { return []netlinkxtest.Message{} }

func TestMonitorContext(t *testing.T) {
	tests := []struct {
		name   string
		events []netlinkxtest.Message
		first  []string
		after  time.Duration
	}{
		{"waiting", nil, nil, time.Minute},
		{"draining", []netlinkxtest.Message{lost}, []string{"lost"}, 10 * time.Millisecond},
		{"listing", []netlinkxtest.Message{lost}, []string{"lost"}, time.Minute},
		{"ended before", nil, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := &netlinkxtest.Kernel{Handle: silent}
			monitor(t, k, netlinkx.MonitorConfig{Resync: true}, func(t *testing.T, m *netlinkx.Monitor) {
				k.Notify(netlinkx.GroupSA, tt.events...)
				for _, want := range tt.first {
					if got := describe(m.Next(t.Context())); got != want {
						t.Fatalf("got %q, want %q", got, want)
					}
				}
				for range 2 { // the monitor survives it
					start := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), tt.after)
					n, err := m.Next(ctx)
					cancel()
					if n != nil || !errors.Is(err, context.DeadlineExceeded) {
						t.Fatalf("got %v, %v", n, err)
					}
					if d := time.Since(start); d > tt.after+100*time.Millisecond {
						t.Errorf("took %v, ctx ended after %v", d, tt.after)
					}
				}
				k.Notify(netlinkx.GroupSA, newSA(5))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if got := describe(m.Next(ctx)); got != "new sa 5" {
					t.Errorf("afterwards: %q", got)
				}
			})
		})
	}
}

// deaf is a transport whose Close does not end a Recv that waits.
type deaf struct{ netlinkx.Transport }

func (deaf) Close() error { return nil }

func TestMonitorCloseDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &netlinkxtest.Kernel{}
		m, err := netlinkx.NewMonitor(&netlinkx.MonitorConfig{Dial: func(g []netlinkx.Group) (netlinkx.Transport, error) {
			c, err := k.DialMonitor(g)
			return deaf{c}, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := m.Next(context.Background())
			done <- err
		}()
		synctest.Wait()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, os.ErrClosed) {
			t.Errorf("Next: %v", err)
		}
	})
}

func TestMonitorClose(t *testing.T) {
	tests := []struct {
		name   string
		events []netlinkxtest.Message
		after  time.Duration
	}{
		{"waiting", nil, time.Minute},
		{"draining", []netlinkxtest.Message{lost}, 10 * time.Millisecond},
		{"listing", []netlinkxtest.Message{lost}, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := &netlinkxtest.Kernel{Handle: silent}
			monitor(t, k, netlinkx.MonitorConfig{Resync: true}, func(t *testing.T, m *netlinkx.Monitor) {
				k.Notify(netlinkx.GroupSA, tt.events...)
				for range tt.events {
					if _, err := m.Next(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				done := make(chan error, 1)
				go func() {
					_, err := m.Next(context.Background())
					done <- err
				}()
				time.Sleep(tt.after)
				if err := m.Close(); err != nil {
					t.Error(err)
				}
				if err := <-done; !errors.Is(err, os.ErrClosed) || !strings.HasPrefix(err.Error(), "monitor: ") {
					t.Errorf("Next: %v", err)
				}
			})
		})
	}
}
