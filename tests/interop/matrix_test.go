// Package interop_test lets the userspace engine speak with the kernel's ESP,
// and with itself: every suite, mode and family, plain and in UDP, with and
// without ESN, in both directions. It compares what arrives byte for byte and
// what is seen on the wire header by header.
//
// Unless XFRMCTL_INTEROP=1 each suite meets each form once instead of four
// times, and with XFRMCTL_TEST_SHORT=1, under emulation, there is one row for
// each form, with fewer sizes, of the kernel with the engine.
package interop_test

import (
	"os"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// sizes of UDP datagrams: around the cipher's blocks, the devices' MTUs, and
// up to the largest.
var sizes = []int{1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 255, 256, 511, 1000,
	1290, 1300, 1310, 1318, 1319, 1320, 1330, 1331, 1332, 1333, 1336, 1340, 1344, 1351, 1352, 1353, 1360, 1380, 1390, 1400, 1420, 1440, 1452, 1453, 1471, 1472, 1473, 1500,
	2000, 2700, 4000, 9000, 16000, 32000, 60000, 65400, 65507}

// espMost is the largest datagram in transport and BEET mode: ESP protects
// whole packets, and what comes out must still be an IP packet, of at most
// 65,535 bytes.
const espMost = 65400

func full() bool  { return os.Getenv("XFRMCTL_INTEROP") != "" }
func short() bool { return os.Getenv("XFRMCTL_TEST_SHORT") != "" }

// matrix lists the combinations.
func matrix() []combination {
	var all []combination
	for i, s := range suites {
		for j, f := range forms {
			for k := range 4 {
				if !full() && k != (i+j)%4 || short() && i != j%len(suites) {
					continue
				}
				all = append(all, combination{suite: s, form: f, udp: k&1 != 0, esn: k&2 != 0})
			}
		}
	}
	return all
}

func TestKernelWithKernel(t *testing.T) {
	notUnderEmulation(t)
	p := sandbox.NewPair(t)
	runMatrix(t, p, newKernelSide(t, p.A, 0), newKernelSide(t, p.B, 1))
}

// runMatrix runs all combinations between two sides.
func runMatrix(t *testing.T, p *sandbox.Pair, a, b side) {
	w := listen(t, p)
	for i, c := range matrix() {
		t.Run(c.String(), func(t *testing.T) {
			join(t, c, 0x1000+2*i, a, b)
			exchange(t, c, w, a, b)
		})
	}
}

// join sets both sides up for a combination, and empties them afterwards.
func join(t *testing.T, c combination, spi int, a, b side) {
	t.Helper()
	batches := c.batches(spi, [2]int{a.ifID(c.form.mode), b.ifID(c.form.mode)})
	t.Cleanup(func() {
		a.clear(t)
		b.clear(t)
	})
	a.batch(t, batches[0])
	b.batch(t, batches[1])
}

// endpoints opens a socket on each side.
func endpoints(t *testing.T, c combination, a, b side) (x, y *endpoint) {
	t.Helper()
	_, inner := c.form.addresses()
	return open(t, a.ns(), c.form.inner, inner[0], inner[1]), open(t, b.ns(), c.form.inner, inner[1], inner[0])
}

// exchange sends every size in both directions and checks the wire.
func exchange(t *testing.T, c combination, w *tap, a, b side) {
	t.Helper()
	x, y := endpoints(t, c, a, b)
	w.take()
	failures := 0
	for i, size := range sizes {
		if short() && i%4 != 3 {
			continue
		}
		if c.form.mode != "tunnel" && size > espMost || c.form.inner == 6 && size > 65487 {
			continue
		}
		for direction, pair := range [2][2]*endpoint{{x, y}, {y, x}} {
			if _, err := carry(pair[0], pair[1], content(size, uint64(direction))); err != nil {
				t.Errorf("%s: %v", [2]string{"A to B", "B to A"}[direction], err)
				if failures++; failures > 3 {
					t.Fatalf("and so on; %s; %s", a.counters(t), b.counters(t))
				}
			}
		}
	}
	if n := x.rest() + y.rest(); n > 0 {
		t.Errorf("%d datagrams arrived twice", n)
	}
	seen := w.take()
	if n, first := inClear(seen); n > 0 || len(seen) < len(sizes)/2 {
		t.Errorf("%d packets on the wire, %d of them in clear: %v", len(seen), n, first)
	}
}
