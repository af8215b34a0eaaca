package segment

import (
	"math/bits"

	"golang.org/x/sys/cpu"
)

// What this CPU can do; set once, before anything runs.
var (
	hasAVX2   = cpu.X86.HasAVX2
	hasAVX512 = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasBMI2
)

const (
	// From these lengths on vectors are worth it (measured: Zen 4).
	minAVX512, minAVX2 = 32, 128
	// vectorMax keeps the lanes of 32 bits from overflowing.
	vectorMax = 1 << 20
)

func sum(b []byte) uint16 {
	switch n := len(b); {
	case hasAVX512 && n >= minAVX512 && n <= vectorMax:
		return sumAVX512(b)
	case hasAVX2 && n >= minAVX2 && n <= vectorMax:
		return sumAVX2(b)
	}
	return sumGeneric(b)
}

// sumAVX512 takes any length up to vectorMax.
func sumAVX512(b []byte) uint16 {
	return bits.ReverseBytes16(fold64(wordsAVX512(b)))
}

// sumAVX2 leaves the last bytes to sumGeneric.
func sumAVX2(b []byte) uint16 {
	n := len(b) &^ 31
	return AddSums(bits.ReverseBytes16(fold64(wordsAVX2(b[:n]))), sumGeneric(b[n:]))
}

// wordsAVX512 adds the little-endian 16-bit words of b, of any length, the last
// one padded with zero. At most vectorMax bytes.
//
//go:noescape
func wordsAVX512(b []byte) uint64

// wordsAVX2 is the same for a multiple of 32 bytes.
//
//go:noescape
func wordsAVX2(b []byte) uint64
