package crash_test

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// A watcher remembers the IV of each ESP packet that side A sends.
type watcher struct {
	fd       int
	spi      uint32
	packets  atomic.Uint64
	mu       sync.Mutex
	ivs      map[uint64]struct{}
	repeated int
	stop     chan struct{}
	done     chan struct{}
}

func watch(t *testing.T, ns *sandbox.NS, x *engine.Tunnel) *watcher {
	t.Helper()
	w := &watcher{spi: x.SPI, ivs: map[uint64]struct{}{}, stop: make(chan struct{}), done: make(chan struct{})}
	err := ns.Do(func() (err error) {
		const ipv4 = (unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8) & 0xffff // sent packets are seen by ALL only
		if w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, ipv4); err != nil {
			return err
		}
		wait := unix.NsecToTimeval(int64(100 * time.Millisecond))
		return errors.Join(
			unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 256<<20),
			unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait))
	})
	if err != nil {
		t.Fatal(err)
	}
	go w.read()
	return w
}

func (w *watcher) read() {
	defer close(w.done)
	buf := make([]byte, 1<<16)
	for {
		n, from, err := unix.Recvfrom(w.fd, buf, 0)
		if err == nil {
			if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
				w.take(buf[:n])
			}
			continue
		}
		select {
		case <-w.stop:
			return
		default:
		}
	}
}

// take notes the IVs of a packet, or of the many that segmentation makes of it
// further down: a tap sees those before they are cut.
func (w *watcher) take(b []byte) {
	const headers = 20 + 8
	if len(b) < headers+16 || b[0] != 0x45 || b[9] != unix.IPPROTO_UDP || binary.BigEndian.Uint16(b[20:]) != engine.Port {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for b = b[headers:]; len(b) >= 16; b = b[min(len(b), payload+espOverhead):] {
		if binary.BigEndian.Uint32(b) != w.spi {
			return
		}
		w.packets.Add(1)
		iv := binary.BigEndian.Uint64(b[8:])
		if _, there := w.ivs[iv]; there {
			w.repeated++
		}
		w.ivs[iv] = struct{}{}
	}
}

func (w *watcher) different() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.ivs)
}

// end stops the watcher, and fails if it missed packets.
func (w *watcher) end(t *testing.T) {
	t.Helper()
	time.Sleep(200 * time.Millisecond)
	close(w.stop)
	<-w.done
	st, err := unix.GetsockoptTpacketStats(w.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil || st.Drops > 0 {
		t.Errorf("the watcher missed %v packets: %v", st, err)
	}
	unix.Close(w.fd)
}
