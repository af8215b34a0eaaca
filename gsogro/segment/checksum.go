package segment

import (
	"encoding/binary"
	"math/bits"
)

// Sum is the ones' complement sum of the big-endian 16-bit words of b, an odd
// byte at the end being padded with zero (RFC 1071); the Internet checksum is
// its complement. Of no bytes it is 0. Safe for concurrent use.
func Sum(b []byte) uint16 { return sum(b) }

// AddSums adds two ones' complement sums.
func AddSums(a, b uint16) uint16 {
	s := uint32(a) + uint32(b)
	return uint16(s + s>>16)
}

// PseudoSum is the sum of the pseudo-header that TCP, UDP and ICMPv6 checksums
// include (RFC 9293 section 3.1, RFC 8200 section 8.1). Both addresses have 4
// or 16 bytes; n is the length of the upper layer in bytes.
func PseudoSum(src, dst []byte, proto uint8, n int) uint16 {
	s := uint32(Sum(src)) + uint32(Sum(dst)) + uint32(proto) + uint32(n)&0xffff + uint32(n)>>16
	return fold(s)
}

func fold(s uint32) uint16 {
	s = s&0xffff + s>>16
	return uint16(s + s>>16)
}

// sumGeneric adds words of 64 bits in little-endian order, which gives the sum
// with its bytes swapped (RFC 1071 section 2 (B)), with the carry of one
// addition going into the next.
func sumGeneric(b []byte) uint16 {
	var s, c uint64
	le := binary.LittleEndian
	for len(b) >= 64 {
		s, c = bits.Add64(s, le.Uint64(b), c)
		s, c = bits.Add64(s, le.Uint64(b[8:]), c)
		s, c = bits.Add64(s, le.Uint64(b[16:]), c)
		s, c = bits.Add64(s, le.Uint64(b[24:]), c)
		s, c = bits.Add64(s, le.Uint64(b[32:]), c)
		s, c = bits.Add64(s, le.Uint64(b[40:]), c)
		s, c = bits.Add64(s, le.Uint64(b[48:]), c)
		s, c = bits.Add64(s, le.Uint64(b[56:]), c)
		b = b[64:]
	}
	for len(b) >= 8 {
		s, c = bits.Add64(s, le.Uint64(b), c)
		b = b[8:]
	}
	s, c = bits.Add64(s, tail(b), c)
	return bits.ReverseBytes16(fold64(s&0xffffffff + s>>32 + c))
}

// tail is fewer than 8 bytes as a word, padded with zeros.
func tail(b []byte) uint64 {
	var w uint64
	le := binary.LittleEndian
	if n := len(b); n&4 != 0 {
		w = uint64(le.Uint32(b))
		b = b[4:]
		if n&2 != 0 {
			w |= uint64(le.Uint16(b)) << 32
			b = b[2:]
		}
		if n&1 != 0 {
			w |= uint64(b[0]) << (32 + n&2*8)
		}
		return w
	}
	if len(b) >= 2 {
		w = uint64(le.Uint16(b))
		if len(b) == 3 {
			w |= uint64(b[2]) << 16
		}
		return w
	}
	if len(b) == 1 {
		w = uint64(b[0])
	}
	return w
}

// fold64 folds a sum of less than 2^48. Of words in the other byte order it
// gives the sum in that order.
func fold64(s uint64) uint16 {
	s = s&0xffff + s>>16&0xffff + s>>32
	s = s&0xffff + s>>16
	return uint16(s&0xffff + s>>16)
}
