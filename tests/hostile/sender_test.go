package hostile_test

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// A sender sends ESP to side B, plain or in UDP.
type sender struct{ fd int }

func newSender(t *testing.T, ns *sandbox.NS, x *engine.Tunnel) *sender {
	t.Helper()
	s := &sender{}
	err := ns.Do(func() (err error) {
		kind, proto := unix.SOCK_RAW, unix.IPPROTO_ESP
		own, to := &unix.SockaddrInet4{}, &unix.SockaddrInet4{Addr: netip.MustParseAddr(sandbox.B4).As4()}
		if x.UDP {
			kind, proto, own.Port, to.Port = unix.SOCK_DGRAM, unix.IPPROTO_UDP, engine.Port, engine.Port
		}
		if s.fd, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, proto); err != nil {
			return err
		}
		return errors.Join(unix.Bind(s.fd, own), unix.Connect(s.fd, to))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(s.fd) })
	return s
}

// put sends one packet. What the network refuses for the moment is tried again.
func (s *sender) put(b []byte) error {
	for {
		_, err := unix.Write(s.fd, b)
		if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EINTR) {
			continue
		}
		return err
	}
}

// chunk is how many packets are sent before the engine is waited for: they fit
// into its socket's buffer.
const chunk = 1000

// keepUp waits until the engine has received what waits in its sockets, and
// receives nothing more.
func keepUp(t *testing.T, b *engine.Engine) {
	t.Helper()
	last, same := b.Received(t), 0
	for same < 3 {
		time.Sleep(time.Millisecond)
		now := b.Received(t)
		if same++; now != last || waiting(t, b) {
			last, same = now, 0
		}
	}
}

// waiting reports whether there is something in one of the engine's sockets,
// which are all there are in its namespace.
func waiting(t *testing.T, b *engine.Engine) (is bool) {
	t.Helper()
	err := b.NS.Do(func() error {
		for _, proto := range []string{"udp", "raw"} {
			text, err := os.ReadFile("/proc/thread-self/net/" + proto)
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(text)) {
				f := strings.Fields(line) // number, local, remote, state, tx_queue:rx_queue
				is = is || len(f) > 4 && strings.Contains(f[4], ":") && !strings.HasSuffix(f[4], ":00000000")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// settle waits until the engine has worked off what it received: its counters
// come to rest, and every packet is accounted for. The caller looks at that.
func settle(t *testing.T, b *engine.Engine) *engine.Stats {
	t.Helper()
	now, rest := b.Stats(t), false
	sandbox.Await(func() bool {
		time.Sleep(100 * time.Millisecond)
		last := now
		now = b.Stats(t)
		rest = now.Law == last.Law
		return rest && now.Check() == nil
	})
	if !rest {
		t.Fatal("the counters do not come to rest")
	}
	return now
}

// alive checks that a good packet still gets through.
func alive(t *testing.T, b *engine.Engine, a *attacker, s *sender) {
	t.Helper()
	before := b.Stats(t).Law.InnerDelivered
	if !sandbox.Await(func() bool {
		// the window may have been pushed far ahead by packets that were right
		if err := s.put(a.good()); err != nil {
			t.Fatal(err)
		}
		return b.Stats(t).Law.InnerDelivered > before
	}) {
		t.Error("a good packet no longer gets through")
	}
}
