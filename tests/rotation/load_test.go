package rotation

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
	"github.com/xfrmctl/xfrmctl/tests/traffic"
)

// size is that of a datagram's payload, in bytes.
const size = 400

// few is how many datagrams are under way where the load is not what is looked
// at, so that commands need not wait for processors.
const few = 4

// patience is how long a datagram may take on a machine that has other things
// to do, and trial how long while the highest load is looked for; tick is how
// often a receiver looks whether it still has to wait.
const (
	patience = 20 * time.Second
	trial    = 300 * time.Millisecond
	tick     = 100 * time.Millisecond
)

// A stream is numbered datagrams in one direction, as fast as they can go with
// no more than window under way: what is lost was not lost in a full queue.
type stream struct {
	from, to int // sockets
	window   uint64
	patience time.Duration
	sent     atomic.Uint64
	came     atomic.Uint64
	arrived  traffic.Numbers // the receiver's until it ends
	refused  atomic.Uint64
}

// behind puts this goroutine on a thread of its own that leaves processors to
// commands, which otherwise wait for their turn.
func behind() {
	runtime.LockOSThread()                                     // never unlocked: the thread ends with the goroutine
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 10) // it only saves time
}

func (s *stream) send(stop *atomic.Bool) {
	behind()
	b := make([]byte, size)
	given := uint64(0) // lost, and not waited for any more
	var since time.Time
	for !stop.Load() {
		if s.sent.Load()-s.came.Load()-given >= s.window {
			if since.IsZero() {
				since = time.Now()
			}
			if time.Since(since) > s.patience {
				given = s.sent.Load() - s.came.Load()
			}
			time.Sleep(50 * time.Microsecond)
			continue
		}
		since = time.Time{}
		binary.NativeEndian.PutUint64(b, s.sent.Load())
		s.sent.Add(1)
		if err := write(s.from, b); err != nil {
			s.refused.Add(1)
		}
	}
}

// write sends one datagram. ECONNREFUSED is about an earlier one.
func write(fd int, b []byte) error {
	for {
		_, err := unix.Write(fd, b)
		if !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// receive ends after the sender, when all has come, or when nothing has come
// for as long as a datagram may take.
func (s *stream) receive(stop *atomic.Bool) error {
	behind()
	b := make([]byte, 2*size)
	for quiet := time.Duration(0); ; {
		n, err := unix.Read(s.to, b)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNREFUSED):
			continue
		case errors.Is(err, unix.EAGAIN):
			if quiet += tick; stop.Load() && (s.came.Load() >= s.sent.Load() || quiet > s.patience) {
				return nil
			}
			continue
		case err != nil:
			return err
		case n != size:
			return fmt.Errorf("a datagram of %d bytes", n)
		}
		quiet = 0
		s.arrived.Arrived(binary.NativeEndian.Uint64(b))
		s.came.Add(1)
	}
}

// load is both streams.
type load struct {
	streams [2]*stream
	stop    atomic.Bool
	wait    sync.WaitGroup
	errs    [2]error
	begun   time.Time
}

// start sends in both directions, with so many datagrams under way, which may
// take so long.
func start(t *testing.T, ends [2]*end, window uint64, patience time.Duration) *load {
	t.Helper()
	a, b := socket(t, ends[0].ns, "10.1.0.1", "10.2.0.1"), socket(t, ends[1].ns, "10.2.0.1", "10.1.0.1")
	l := &load{streams: [2]*stream{{from: a, to: b, window: window, patience: patience}, {from: b, to: a, window: window, patience: patience}}, begun: time.Now()}
	t.Cleanup(func() { l.stop.Store(true) })
	for i, s := range l.streams {
		l.wait.Go(func() { s.send(&l.stop) })
		l.wait.Go(func() { l.errs[i] = s.receive(&l.stop) })
	}
	return l
}

// end stops the load and returns what is wrong with it, and how much it was.
func (l *load) end() (datagrams uint64, seconds float64, err error) {
	l.stop.Store(true)
	seconds = time.Since(l.begun).Seconds()
	l.wait.Wait()
	for i, s := range l.streams {
		datagrams += s.sent.Load()
		if e := errors.Join(l.errs[i], s.arrived.Verdict(s.sent.Load(), s.refused.Load())); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", [2]string{"east to west", "west to east"}[i], e))
		}
		unix.Close(s.from)
	}
	return datagrams, seconds, err
}

// port is what both ends send from and to.
const port = 7007

func socket(t *testing.T, ns *sandbox.NS, own, other string) (fd int) {
	t.Helper()
	err := ns.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		wait := unix.NsecToTimeval(int64(tick))
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
			unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: netip.MustParseAddr(own).As4()}),
			unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: netip.MustParseAddr(other).As4()}))
	})
	if err != nil {
		t.Fatalf("socket from %s to %s: %v", own, other, err)
	}
	return fd
}

// highest finds by halving how many datagrams may be under way, and takes half
// of it: other work on the machine must not make it too many.
func highest(t *testing.T, ends [2]*end) uint64 {
	t.Helper()
	for window := uint64(number(t, "XFRMCTL_WINDOW", 512)); window >= 8; window /= 2 {
		wait := trial
		if window < 16 { // the last one is not given up because it takes long
			wait = patience
		}
		l := start(t, ends, window, wait)
		time.Sleep(trial)
		n, seconds, err := l.end()
		t.Logf("%d under way: %.0f datagrams of %d bytes a second; wrong: %v", window, float64(n)/seconds, size, err)
		if err == nil {
			return window / 2
		}
	}
	t.Fatal("no load passes without loss, without any change of keys")
	return 0
}
