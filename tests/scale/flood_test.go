package scale_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// million is how much a flood is.
const million = 1_000_000

// more is how much memory a flood may add.
const more = 64 << 20

// A flood is sent while a stream runs.
type flood struct {
	name string
	from func(u *tunnel) *sandbox.NS
	open func() (fd int, err error)
	make func(b []byte, i uint32) // one packet
	size int
	to   func(i uint32) unix.Sockaddr
}

func addr4(text string) [4]byte { return netip.MustParseAddr(text).As4() }

var floods = []flood{
	{"unknown SPIs", func(u *tunnel) *sandbox.NS { return u.pair.A },
		func() (int, error) { return unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) },
		func(b []byte, i uint32) { binary.BigEndian.PutUint32(b, 0x10000000+i) }, 100,
		func(uint32) unix.Sockaddr { return &unix.SockaddrInet4{Port: engine.Port, Addr: addr4(sandbox.B4)} }},
	{"new flows", func(u *tunnel) *sandbox.NS { return u.pair.A },
		func() (int, error) {
			return unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
		},
		func(b []byte, i uint32) { // a UDP header with ports that count
			binary.BigEndian.PutUint16(b, uint16(i>>16)+1)
			binary.BigEndian.PutUint16(b[2:], uint16(i)|1)
			binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
		}, 64,
		func(uint32) unix.Sockaddr { return &unix.SockaddrInet4{Addr: addr4(engine.InnerB)} }},
}

// send sends n packets at a rate.
func (f *flood) send(u *tunnel, n, rate int) (sent int, err error) {
	var fd int
	if err := f.from(u).Do(func() (err error) { fd, err = f.open(); return err }); err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	b := make([]byte, f.size)
	start := time.Now()
	for sent < n {
		if due := int(time.Since(start).Seconds() * float64(rate)); sent >= due {
			time.Sleep(200 * time.Microsecond)
			continue
		}
		f.make(b, uint32(sent))
		if err := unix.Sendto(fd, b, 0, f.to(uint32(sent))); err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.ECONNREFUSED) {
			return sent, err
		}
		sent++
	}
	return sent, nil
}

// floodRate is packets a second. The sender takes its part of the processors,
// and so does the kernel that delivers and answers what gets through: at a
// higher rate that alone costs the stream more than half, new flows or not.
const floodRate = 40_000

func TestFloods(t *testing.T) {
	for _, f := range floods {
		t.Run(f.name, func(t *testing.T) {
			n := relaxed(million, million/5)
			u := join(t, engine.NewTunnel(0x1000, true))
			undisturbed := median([]float64{u.stream(t, 1), u.stream(t, 1), u.stream(t, 1)})
			before := max(u.a.RSS(t), u.b.RSS(t))
			wait := u.begin(t, float64(n)/floodRate)
			var wg sync.WaitGroup
			var sent int
			var err error
			wg.Go(func() { sent, err = f.send(u, n, floodRate) })
			during := wait()
			wg.Wait()
			if err != nil {
				t.Fatal(err)
			}
			var grown int64
			sandbox.Await(func() bool { // garbage goes in the background
				grown = max(u.a.RSS(t), u.b.RSS(t)) - before
				return grown <= more
			})
			t.Logf("%d packets: memory grew by %d KiB; a stream had %.2f of its %.2f Gbit/s", sent, grown>>10, during/undisturbed, undisturbed/1e9)
			if grown > more {
				t.Errorf("memory grew by %d KiB, less than %d promised", grown>>10, more>>10)
			}
			if strict() && during/undisturbed < 0.5 {
				t.Errorf("the stream kept %.2f of its rate, at least 0.5 promised", during/undisturbed)
			}
			for _, e := range []*engine.Engine{u.a, u.b} {
				var err error
				if !sandbox.Await(func() bool { // packets may still be under way
					err = e.Stats(t).Check()
					return err == nil
				}) {
					t.Error(err)
				}
			}
		})
	}
}
