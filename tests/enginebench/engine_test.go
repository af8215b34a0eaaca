package enginebench_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// The names of the engine's peers.
const (
	oursUDP   = "xfrmctl esp, ESP in UDP"
	oursPlain = "xfrmctl esp, plain ESP"
	oursCopy  = "the same in UDP, cipher only copies"
)

// ours sets up the engine on both sides with AES-128-GCM, from a binary.
func ours(t *testing.T, name, binary string, udp bool) *peer {
	p := &peer{name: name, pair: sandbox.NewPair(t), target: engine.InnerB}
	a, b := engine.StartBinary(t, binary, p.pair.A), engine.StartBinary(t, binary, p.pair.B)
	engine.NewTunnel(0x1000, udp).Join(t, a, b)
	p.pids = []int{a.PID(), b.PID()}
	p.reaches(t)
	return p
}

func engineUDP(t *testing.T) *peer   { return ours(t, oursUDP, engine.Binary(t), true) }
func enginePlain(t *testing.T) *peer { return ours(t, oursPlain, engine.Binary(t), false) }

// engineCopy is an engine of which the cipher copies and does nothing else: it
// shows what the rest of the pipeline costs. It is built for this alone.
func engineCopy(t *testing.T) *peer {
	binary := filepath.Join(t.TempDir(), "xfrmctl-copy")
	if _, err := output("../..", []string{"CGO_ENABLED=0"}, "go", "build", "-buildvcs=false", "-tags", "espcopy", "-o", binary, "./cmd/xfrmctl"); err != nil {
		return &peer{name: oursCopy, notes: strings.SplitN(err.Error(), "\n", 2)[0]}
	}
	return ours(t, oursCopy, binary, true)
}
