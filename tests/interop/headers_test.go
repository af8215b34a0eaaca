package interop_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// A probe is a datagram whose IP header has something particular.
type probe struct {
	size     int
	tos, ttl byte
	discover int // IP_MTU_DISCOVER; the values are the same for IPv6
}

func (p probe) String() string {
	return fmt.Sprintf("%d bytes, tos %#02x, ttl %d, mtu discovery %d", p.size, p.tos, p.ttl, p.discover)
}

// probes vary one thing at a time: DSCP, ECN, TTL, DF and the size.
func probes() []probe {
	const want, dont, do = unix.IP_PMTUDISC_WANT, unix.IP_PMTUDISC_DONT, unix.IP_PMTUDISC_DO
	var all []probe
	for _, tos := range []byte{0, 0x20, 0xb8, 1, 2, 3, 0xbb} {
		all = append(all, probe{100, tos, 64, want})
	}
	for _, ttl := range []byte{1, 17, 128, 255} {
		all = append(all, probe{100, 0, ttl, want})
	}
	for _, discover := range []int{dont, do} {
		all = append(all, probe{100, 0, 64, discover}, probe{101, 2, 64, discover})
	}
	for _, size := range []int{1, 2, 3, 4, 15, 16, 17, 64, 1000, 1300} {
		all = append(all, probe{size, 0, 64, want})
	}
	return append(all, probe{1300, 0, 64, dont})
}

// prepare makes the socket send as the probe says.
func (e *endpoint) prepare(p probe) error {
	if e.family == 4 {
		return errors.Join(
			unix.SetsockoptInt(e.fd, unix.IPPROTO_IP, unix.IP_TOS, int(p.tos)),
			unix.SetsockoptInt(e.fd, unix.IPPROTO_IP, unix.IP_TTL, int(p.ttl)),
			unix.SetsockoptInt(e.fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, p.discover))
	}
	return errors.Join(
		unix.SetsockoptInt(e.fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(p.tos)),
		unix.SetsockoptInt(e.fd, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, int(p.ttl)),
		unix.SetsockoptInt(e.fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, p.discover))
}

// A trace is what one datagram looked like on the wire and on arrival.
type trace struct {
	wire     []outer
	tos, ttl byte
}

// zeroID says whether the first packet's identification is 0.
func (a trace) zeroID() bool { return len(a.wire) > 0 && a.wire[0].idZero }

// diff names the fields that differ.
func (a trace) diff(b trace) (fields []string) {
	note := func(name string, x, y any) {
		if x != y {
			fields = append(fields, fmt.Sprintf("%s %v/%v", name, x, y))
		}
	}
	note("packets", len(a.wire), len(b.wire))
	note("arrived-tos", a.tos, b.tos)
	note("arrived-ttl", a.ttl, b.ttl)
	for i := range min(len(a.wire), len(b.wire), 1) {
		x, y := a.wire[i], b.wire[i]
		note("tos", x.tos, y.tos)
		note("ttl", x.ttl, y.ttl)
		note("df", x.df, y.df)
		note("label", x.label, y.label)
		note("fragment", x.fragment, y.fragment)
		note("next", x.next, y.next)
		note("length", x.length, y.length)
		note("checksum", x.checksum, y.checksum)
		note("id-zero", x.idZero, y.idZero)
	}
	return fields
}

// variations are the rows whose headers are compared.
func variations() (all []combination) {
	for _, f := range forms {
		for _, udp := range []bool{false, true} {
			for _, flags := range [][2]string{{}, {"noecn"}, {"decap-dscp"}, {"nopmtudisc"}, {"", "dont-encap-dscp"}} {
				if flags != [2]string{} && (udp || f.mode == "transport") {
					continue
				}
				all = append(all, combination{suite: suites[0], form: f, udp: udp, esn: true, flags: flags[0], extra: flags[1]})
			}
		}
	}
	return all
}

func TestHeadersOfKernelAndKernel(t *testing.T) {
	notUnderEmulation(t)
	p := sandbox.NewPair(t)
	compareHeaders(t, p, newKernelSide(t, p.A, 0), newKernelSide(t, p.B, 1), nil)
}

// notUnderEmulation skips what takes minutes there, and is no different from
// elsewhere.
func notUnderEmulation(t *testing.T) {
	t.Helper()
	if short() {
		t.Skip("needs a kernel that is not emulated: it would take minutes")
	}
}

// compareHeaders sends every probe in both directions and compares what either
// side made of it, but for accepted differences.
func compareHeaders(t *testing.T, p *sandbox.Pair, a, b side, accepted []difference) {
	w := listen(t, p)
	used := make([]bool, len(accepted))
	for i, c := range variations() {
		t.Run(c.String(), func(t *testing.T) {
			join(t, c, 0x8000+2*i, a, b)
			x, y := endpoints(t, c, a, b)
			for _, probe := range probes() {
				one, two, err := bothWays(w, x, y, probe)
				if err == nil && one.zeroID() != two.zeroID() {
					// an identification that counts is 0 once in 65,536 packets
					one, two, err = bothWays(w, x, y, probe)
				}
				if err != nil {
					t.Fatalf("%v: %v; %s; %s", probe, err, a.counters(t), b.counters(t))
				}
				if d := refuse(one.diff(two), c, accepted, used); len(d) > 0 {
					t.Errorf("%v: %s (A to B/B to A)\n%v\n%v", probe, strings.Join(d, ", "), one.wire, two.wire)
				}
			}
		})
	}
	for i, u := range used {
		if !u {
			t.Errorf("no longer a difference: %+v", accepted[i])
		}
	}
}

// A difference between kernel and engine is accepted for a reason.
type difference struct {
	field string // as diff names it
	rows  string // what the row's name must contain; all rows if empty
	why   string
}

// refuse drops what is accepted.
func refuse(fields []string, c combination, accepted []difference, used []bool) []string {
	return slices.DeleteFunc(fields, func(f string) bool {
		name, _, _ := strings.Cut(f, " ")
		for i, d := range accepted {
			if d.field == name && strings.Contains(c.String(), d.rows) {
				used[i] = true
				return true
			}
		}
		return false
	})
}

// bothWays sends the same datagram from x to y and from y to x.
func bothWays(w *tap, x, y *endpoint, p probe) (one, two trace, err error) {
	one, err1 := follow(w, x, y, p)
	two, err2 := follow(w, y, x, p)
	if err1 != nil || err2 != nil {
		return one, two, fmt.Errorf("A to B: %v, B to A: %v", err1, err2)
	}
	return one, two, nil
}

// follow sends one datagram and returns its trace.
func follow(w *tap, from, to *endpoint, p probe) (trace, error) {
	if err := from.prepare(p); err != nil {
		return trace{}, err
	}
	w.take()
	a, err := carry(from, to, content(p.size, 1))
	return trace{w.take(), a.tos, a.ttl}, err
}
