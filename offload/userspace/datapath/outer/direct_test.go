package outer

import (
	"math/rand/v2"
	"testing"
)

// TestCompleteHeader: the sum over a complete header is 0xffff, whatever was in
// it.
func TestCompleteHeader(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		words := 5 + r.IntN(11)
		p := make([]byte, words*4+r.IntN(3))
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		p[0] = 0x40 | byte(words)
		completeHeader(p)
		sum := uint32(0)
		for i := 0; i < words*4; i += 2 {
			sum += uint32(p[i])<<8 | uint32(p[i+1])
		}
		if sum = sum&0xffff + sum>>16; sum&0xffff+sum>>16 != 0xffff {
			t.Fatalf("header of %d bytes sums to %#x", words*4, sum)
		}
	}
	completeHeader([]byte{0x4f, 0}) // does not panic
	completeHeader(make([]byte, 21))
}
