// Package selftest proves that a NIC's ESP is right: datagrams of every size
// that fits go through a pair of devices, encrypted by the NIC or by the
// kernel, and what arrives is compared. The other end is always the kernel's
// software, so that an error is the NIC's.
//
// It adds SAs and policies of its own for one pair of UDP ports, removes them
// again, and touches nothing else. Start with Run.
package selftest

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Config says what to test. All but Sizes is required.
type Config struct {
	// NetNS is the device's namespace, PeerNS that of the other end: another
	// port of this machine, or what is wired to the device.
	NetNS, PeerNS netlinkx.NetNS
	Index         int32 // the device's
	// From is the device's address, To one of the other end.
	From, To netip.Addr
	MTU      uint32
	Sizes    Range // the zero Range is all
}

// algorithm is the one that every NIC with ESP knows.
const algorithm = "rfc4106(gcm(aes))"

// Description says what SAs are tried.
const Description = "transport mode, " + algorithm + " with a key of 128 bits"

// Range is sizes from First to Last, in bytes of UDP payload.
type Range struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// String returns "7" or "7-9".
func (r Range) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// Leg is one direction, done by the NIC or by the kernel.
type Leg struct {
	Dir string `json:"dir"` // out, in: as seen from the device
	By  string `json:"by"`  // hardware, software
	// Skipped says why the leg was not tried: no NIC took the SA.
	Skipped string `json:"skipped,omitempty"`
	Sizes   Range  `json:"sizes"`
	Arrived int    `json:"arrived"` // sizes that came whole and unchanged
	// Failed are the sizes that did not; the first of them comes first.
	Failed []Range `json:"failed,omitempty"`
	// Counters are the IPsec errors that the receiving side counted meanwhile.
	Counters map[string]uint64 `json:"counters,omitempty"`
}

// OK reports whether every size arrived.
func (l *Leg) OK() bool { return l.Skipped == "" && len(l.Failed) == 0 && l.Arrived > 0 }

// Report is the result, without keys and addresses: made to be passed on.
type Report struct {
	Version int    `json:"version"`
	Kernel  string `json:"kernel"` // uname -r
	Device  string `json:"device"`
	Driver  string `json:"driver"`
	MTU     uint32 `json:"mtu"`
	Family  string `json:"family"` // ipv4, ipv6
	SA      string `json:"sa"`     // what was tried
	// Features are the device's that matter to ESP, as ethtool -k shows them.
	Features map[string]string `json:"features"`
	Legs     []Leg             `json:"legs"`
	// Verified says how the driver's rules are known: "source" asks for the report.
	Verified string `json:"rules_verified,omitempty"`
}

// Fault returns what is wrong in one line, "" nothing. A leg that the hardware
// did not do is no fault of the hardware's.
func (r *Report) Fault() string {
	for i := range r.Legs {
		l := &r.Legs[i]
		if l.Skipped == "" && !l.OK() {
			return fmt.Sprintf("%s, %s: sizes %s do not arrive", l.By, l.Dir, l.Failed[0])
		}
	}
	return ""
}

// Window sizes and waits of a sweep.
const (
	windowSizes = 32
	firstWait   = time.Second
	shortWait   = 60 * time.Millisecond // after a window of which nothing came
	lateWait    = 20 * time.Millisecond // for what is there already
)

// window sends one datagram of each size and returns those that arrived whole,
// waiting no longer than it is told.
type window func(ctx context.Context, sizes []int, wait time.Duration) (arrived map[int]bool, err error)

// sweep goes through all sizes. A size that was lost is tried once more by
// itself: a full queue is no fault.
func sweep(ctx context.Context, all Range, send window) (arrived int, failed []Range, err error) {
	wait := firstWait
	for from := all.First; from <= all.Last; from += windowSizes {
		var sizes []int
		for n := from; n <= min(from+windowSizes-1, all.Last); n++ {
			sizes = append(sizes, n)
		}
		got, err := send(ctx, sizes, wait)
		if err != nil {
			return arrived, failed, err
		}
		wait = firstWait
		if len(got) == 0 {
			wait = shortWait
		}
		for _, n := range sizes {
			ok := got[n]
			if !ok && len(got) > 0 {
				again, err := send(ctx, []int{n}, shortWait)
				if err != nil {
					return arrived, failed, err
				}
				ok = again[n]
			}
			if ok {
				arrived++
				continue
			}
			failed = add(failed, n)
		}
	}
	return arrived, failed, ctx.Err()
}

// add appends a size that is above all others.
func add(rs []Range, n int) []Range {
	if len(rs) > 0 && rs[len(rs)-1].Last == n-1 {
		rs[len(rs)-1].Last = n
		return rs
	}
	return append(rs, Range{n, n})
}

// largest is the largest UDP payload that goes into one packet with ESP in
// transport mode around it: a header and an IV of 8 bytes each, padding to a
// multiple of 4 with its two bytes, an ICV of 16.
func largest(mtu uint32, v6 bool) int {
	ip := 20
	if v6 {
		ip = 40
	}
	return (int(mtu)-ip-8-8-16)&^3 - 2 - 8
}

// fill writes the pattern of a size, which no other size has.
func fill(b []byte) {
	for i := range b {
		b[i] = byte(len(b) + 7*i + i>>8)
	}
}

// whole reports whether a payload is what was sent.
func whole(b []byte) bool {
	for i := range b {
		if b[i] != byte(len(b)+7*i+i>>8) {
			return false
		}
	}
	return len(b) > 0
}
