package segment

import (
	"bytes"
	"testing"
)

// TestSum compares every body with the plainest form, at every length and
// alignment, for random bytes and for those that carry most.
func TestSum(t *testing.T) {
	for name, f := range sums() {
		t.Run(name, func(t *testing.T) {
			for fill, data := range map[string][]byte{
				"random": random(5000, 1), "ones": bytes.Repeat([]byte{0xff}, 5000), "zeros": make([]byte, 5000),
			} {
				for n := range 2100 {
					off := n % 67
					if got, want := f(data[off:off+n]), slowSum(data[off:off+n]); got != want {
						t.Fatalf("%s, %d bytes at %d: %#04x, want %#04x", fill, n, off, got, want)
					}
				}
			}
			for _, n := range []int{4096, 65534, 65535, 65536, 1 << 20} {
				for _, data := range [][]byte{random(n, 2), bytes.Repeat([]byte{0xff}, n)} {
					if got, want := f(data), slowSum(data); got != want {
						t.Fatalf("%d bytes: %#04x, want %#04x", n, got, want)
					}
				}
			}
		})
	}
}

// TestSumReadsNothingBehind: a body that reads whole vectors must not see, let
// alone fault on, what follows.
func TestSumReadsNothingBehind(t *testing.T) {
	for name, f := range sums() {
		for n := range 300 {
			a, b := make([]byte, n+128), bytes.Repeat([]byte{0xff}, n+128)
			copy(a, random(n, uint64(n)))
			copy(b, a[:n])
			if f(a[:n]) != f(b[:n]) {
				t.Fatalf("%s: what follows %d bytes is summed", name, n)
			}
		}
	}
}

func FuzzSum(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add(bytes.Repeat([]byte{0xff}, 1500), 3)
	f.Fuzz(func(t *testing.T, b []byte, off int) {
		b = b[min(max(off, 0), len(b)):]
		for name, sum := range sums() {
			if got, want := sum(b), slowSum(b); got != want {
				t.Fatalf("%s: %#04x, want %#04x", name, got, want)
			}
		}
	})
}

func TestPseudoSum(t *testing.T) {
	for _, n := range []int{0, 1, 0xffff, 0x10000, 0x12345} {
		src, dst := random(16, 3), random(16, 4)
		p := be.AppendUint32(append(append(append([]byte{}, src...), dst...), 0, 0, 0, 58), uint32(n))
		if got, want := PseudoSum(src, dst, 58, n), slowSum(p); got != want {
			t.Errorf("%d: %#04x, want %#04x", n, got, want)
		}
	}
}
