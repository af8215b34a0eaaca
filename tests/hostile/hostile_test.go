// Package hostile_test sends a running engine what an attacker would: packets
// that were changed, cut, replayed or made up, with and without the right key.
// The engine must go on, its memory must stay, and its counters must account
// for every packet.
//
// XFRMCTL_HOSTILE is how many packets; `make hostile` sends ten million.
package hostile_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// growth is how much more memory the engine may have at the end than after the
// first tenth: its garbage collector lets it breathe.
const growth = 24 << 20

func packets(t *testing.T) int {
	t.Helper()
	text := os.Getenv("XFRMCTL_HOSTILE")
	if text == "" {
		return map[bool]int{true: 6_000, false: 300_000}[testing.Short()]
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		t.Fatalf("XFRMCTL_HOSTILE: not a number from 1000: %q", text)
	}
	return n
}

func TestHostilePackets(t *testing.T) {
	for _, udp := range []bool{true, false} {
		t.Run(map[bool]string{true: "in UDP", false: "plain"}[udp], func(t *testing.T) {
			p := sandbox.NewPair(t)
			b := engine.Start(t, p.B)
			x := engine.NewTunnel(0x1000, udp)
			x.Attach(t, b, 1)
			b.Batch(t, x.SAs()+x.Policies(1))
			attack(t, p, b, x, packets(t)/2)
		})
	}
}

// attack sends n packets from A and checks the engine in B.
func attack(t *testing.T, p *sandbox.Pair, b *engine.Engine, x *engine.Tunnel, n int) {
	s := newSender(t, p.A, x)
	a := newAttacker(t, x, 1)
	tenth := int64(0)
	for i := range 10 {
		for j := range n / 10 {
			if err := s.put(a.next()); err != nil {
				t.Fatal(err)
			}
			if j%chunk == chunk-1 {
				keepUp(t, b)
			}
		}
		keepUp(t, b)
		if i == 0 {
			tenth = b.RSS(t)
		}
	}
	var end int64
	sandbox.Await(func() bool { // garbage goes in the background
		end = b.RSS(t)
		return end-tenth <= growth
	})
	t.Logf("%d packets: memory %d KiB after a tenth, %d KiB at the end", n, tenth>>10, end>>10)
	if end-tenth > growth {
		t.Errorf("memory grew by %d KiB", (end-tenth)>>10)
	}
	settled := settle(t, b)
	t.Log(settled)
	if err := settled.Check(); err != nil {
		t.Error(err)
	}
	if settled.Law.OuterReceived < uint64(n)*9/10 {
		t.Errorf("only %d of %d packets came to the engine", settled.Law.OuterReceived, n)
	}
	if settled.Law.InnerDelivered == 0 || settled.Counters["XfrmInNoStates"] == 0 || settled.Counters["XfrmInStateSeqError"] == 0 || settled.Counters["XfrmInStateProtoError"] == 0 {
		t.Errorf("some kind of packet never came: %v", settled)
	}
	alive(t, b, a, s)
}
