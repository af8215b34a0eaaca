package sandbox

import (
	"strings"
	"testing"
)

// A Pair is two namespaces joined by a veth pair whose ends are called Wire,
// with an outer MTU of 1500.
type Pair struct{ A, B *NS }

// Wire is the name of the device on either side of a Pair.
const Wire = "wire0"

// The outer addresses of a Pair.
const (
	A4, B4 = "192.0.2.1", "192.0.2.2"
	A6, B6 = "2001:db8::1", "2001:db8::2"
)

// NewPair makes two namespaces and the wire between them.
func NewPair(t testing.TB) *Pair {
	t.Helper()
	p := &Pair{New(t), New(t)}
	p.A.MustRun(t, IP(), "link", "add", Wire, "type", "veth", "peer", "name", Wire, "netns", p.B.Path())
	for _, side := range []struct {
		ns     *NS
		v4, v6 string
	}{{p.A, A4, A6}, {p.B, B4, B6}} {
		side.ns.MustRun(t, IP(), "link", "set", "lo", "up")
		side.ns.MustRun(t, IP(), "addr", "add", side.v4+"/24", "dev", Wire)
		side.ns.MustRun(t, IP(), "addr", "add", side.v6+"/64", "dev", Wire, "nodad")
		side.ns.MustRun(t, IP(), "link", "set", Wire, "up")
	}
	return p
}

// Settle waits until both ends of the wire have their link-local addresses,
// which the kernel makes when it notices the carrier: whoever compares what is
// there before and after wants them before.
func (p *Pair) Settle(t testing.TB) {
	t.Helper()
	for _, ns := range []*NS{p.A, p.B} {
		if !Await(func() bool {
			return strings.Contains(ns.MustRun(t, IP(), "-6", "addr", "show", "dev", Wire, "scope", "link"), "fe80::")
		}) {
			t.Fatalf("%s has no link-local address", Wire)
		}
	}
}
