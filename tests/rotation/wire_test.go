package rotation

import (
	"net"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// A wire counts what either end puts on the wire: everything that is IPv4 and
// not ESP, and one in 16 of the ESP packets, because to look at every one would
// be a load of its own.
type wire struct{ clear, esp atomic.Int64 }

// watch counts until the test ends.
func watch(t *testing.T, ends [2]*end) *wire {
	t.Helper()
	w, stop := &wire{}, &atomic.Bool{}
	ended := make(chan struct{}, len(ends))
	for _, e := range ends {
		var fd int
		err := e.ns.Do(func() (err error) {
			if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
				return err
			}
			return tap(fd)
		})
		if err != nil {
			t.Skipf("needs packet sockets (CONFIG_PACKET): %v; whether anything is sent in clear was not seen", err)
		}
		go func() {
			w.count(fd, stop)
			unix.Close(fd)
			ended <- struct{}{}
		}()
	}
	t.Cleanup(func() {
		stop.Store(true)
		for range ends {
			<-ended
		}
	})
	return w
}

// tap lets packets through that are sent, as the comment on wire says. The
// filter is there before the first packet.
func tap(fd int) error {
	const packetType = 0xfffff000 + 4 // SKF_AD_OFF + SKF_AD_PKTTYPE
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: packetType},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.PACKET_OUTGOING, Jf: 7},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 0}, // version and length of the header
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0x45, Jf: 5},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 9}, // protocol
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_ESP, Jf: 2},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 24}, // sequence number
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 15, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 64},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
	dev, err := net.InterfaceByName(sandbox.Wire)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}); err != nil {
		return err
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}); err != nil {
		return err
	}
	const all = (unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8) & 0xffff // in network order
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: dev.Index})
}

func (w *wire) count(fd int, stop *atomic.Bool) {
	for b := make([]byte, 64); !stop.Load(); {
		n, err := unix.Read(fd, b)
		switch {
		case err != nil || n < 20:
		case b[9] == unix.IPPROTO_ESP:
			w.esp.Add(1)
		default:
			w.clear.Add(1)
		}
	}
}

// verdict looks at what was counted.
func (w *wire) verdict(t *testing.T) {
	t.Helper()
	if w.clear.Load() > 0 || w.esp.Load() == 0 {
		t.Errorf("%d packets in clear on the wire, %d times 16 protected", w.clear.Load(), w.esp.Load())
	}
}
