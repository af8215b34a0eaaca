package selftest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// side is one end: a socket in its namespace, and the kernel's IPsec there.
type side struct {
	ns   *os.File // nil: this one
	conn *netlinkx.Conn
	sock *net.UDPConn
	at   netip.AddrPort // of sock
}

func openSide(ns netlinkx.NetNS, addr netip.Addr) (*side, error) {
	f, err := ns.Open()
	if err != nil {
		return nil, err
	}
	s := &side{ns: f}
	if s.conn, err = netlinkx.Dial(&netlinkx.Config{NetNS: ns}); err != nil {
		return nil, errors.Join(err, s.close())
	}
	err = s.do(func() error {
		// Go makes the socket on this thread, and so in its namespace
		s.sock, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("use %s: %w", addr, err), s.close())
	}
	s.at = s.sock.LocalAddr().(*net.UDPAddr).AddrPort()
	s.at = netip.AddrPortFrom(s.at.Addr().Unmap(), s.at.Port())
	return s, nil
}

func (s *side) close() error {
	var errs []error
	if s.sock != nil {
		errs = append(errs, s.sock.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	if s.ns != nil {
		errs = append(errs, s.ns.Close())
	}
	return errors.Join(errs...)
}

// do runs fn on a thread in the side's namespace.
func (s *side) do(fn func() error) error {
	if s.ns == nil {
		return fn()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(int(s.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter the network namespace: %w", err)
			return
		}
		done <- fn()
	}()
	return <-done
}

// counters are the IPsec errors of the namespace, nil where the kernel does not
// count (CONFIG_XFRM_STATISTICS).
func (s *side) counters() map[string]uint64 {
	var text []byte
	err := s.do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/xfrm_stat")
		return err
	})
	if err != nil {
		return nil
	}
	out := map[string]uint64{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 {
			if n, err := strconv.ParseUint(f[1], 10, 64); err == nil {
				out[f[0]] = n
			}
		}
	}
	return out
}

// Source finds the address from which packets to another leave a namespace.
func Source(ns netlinkx.NetNS, to netip.Addr) (netip.Addr, error) {
	f, err := ns.Open()
	if err != nil {
		return netip.Addr{}, err
	}
	s := &side{ns: f}
	var from netip.Addr
	err = s.do(func() error {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9))) // nothing is sent
		if err != nil {
			return err
		}
		from = c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		return c.Close()
	})
	return from, errors.Join(err, s.close())
}
