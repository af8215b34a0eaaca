package interop_test

import (
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// A pairing puts one side into each namespace; A is the one that the engine
// is compared with.
type pairing struct {
	name string
	make func(t *testing.T, p *sandbox.Pair) (a, b side)
}

var (
	kernelWithEngine = pairing{"kernel with engine", func(t *testing.T, p *sandbox.Pair) (a, b side) {
		return newKernelSide(t, p.A, 0), newEngineSide(t, p.B, 1)
	}}
	engineWithEngine = pairing{"engine with engine", func(t *testing.T, p *sandbox.Pair) (a, b side) {
		return newEngineSide(t, p.A, 0), newEngineSide(t, p.B, 1)
	}}
)

func TestMatrixWithEngine(t *testing.T) {
	for _, pairing := range []pairing{kernelWithEngine, engineWithEngine} {
		t.Run(pairing.name, func(t *testing.T) {
			if pairing.name == engineWithEngine.name {
				notUnderEmulation(t)
			}
			p := sandbox.NewPair(t)
			a, b := pairing.make(t, p)
			runMatrix(t, p, a, b)
		})
	}
}

func TestRekeyWithEngine(t *testing.T) {
	for _, pairing := range []pairing{kernelWithEngine, engineWithEngine} {
		t.Run(pairing.name, func(t *testing.T) {
			if pairing.name == engineWithEngine.name {
				notUnderEmulation(t)
			}
			p := sandbox.NewPair(t)
			a, b := pairing.make(t, p)
			rekey(t, p, a, b, rekeys(t))
		})
	}
}

func TestHeadersOfKernelAndEngine(t *testing.T) {
	notUnderEmulation(t)
	p := sandbox.NewPair(t)
	a, b := kernelWithEngine.make(t, p)
	compareHeaders(t, p, a, b, differences)
}

// differences between what the kernel and the engine put on the wire, as in
// docs/differences.md.
var differences = []difference{
	{"checksum", "4 udp", "UDP_SEGMENT wants checksums; RFC 3948 asks for none in IPv4, and receivers not to mind"},
	{"id-zero", "4 udp", "the kernel's UDP gives packets that may not be fragmented no identification (RFC 6864)"},
}
