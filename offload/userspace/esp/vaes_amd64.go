//go:build !purego

package esp

import (
	"encoding/binary"
	"math/bits"

	"golang.org/x/sys/cpu"
)

// haveVAES reports whether this processor runs the assembly of vaes_amd64.s.
func haveVAES() bool {
	x := &cpu.X86
	return x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512DQ &&
		x.HasAVX512VAES && x.HasAVX512VPCLMULQDQ && x.HasAES && x.HasPCLMULQDQ && x.HasBMI2
}

// vaesRounds is an expanded AES key. The assembly knows its layout.
type vaesRounds struct {
	rounds [15][16]byte
	nr     int // rounds: 10, 12 or 14
}

// vaesKey is a GCM key. The assembly knows its layout.
type vaesKey struct {
	// powers are H^17 down to H^1, bytes reversed, shifted left by one: for
	// sixteen blocks, the last in part, and the block of lengths. The assembly
	// reads up to 48 bytes past H^1, and multiplies them by zero.
	powers [17][16]byte
	vaesRounds
}

// vaesSeal encrypts n bytes from src to dst and returns the whole tag. j0 is
// the first counter block, aad the additional data (at most 16 bytes, zeros
// behind), aadBits its length in bits. Blocks travel as two little-endian
// words: a block stored in parts and loaded whole would wait for the cache.
//
//go:noescape
func vaesSeal(k *vaesKey, dst, src *byte, n int, j0Lo, j0Hi, aadLo, aadHi uint64, aadBits int) (tagLo, tagHi uint64)

// vaesOpen decrypts n bytes from src to dst and returns the tag that src
// should have. The caller compares, and takes dst back if it differs.
//
//go:noescape
func vaesOpen(k *vaesKey, dst, src *byte, n int, j0Lo, j0Hi, aadLo, aadHi uint64, aadBits int) (tagLo, tagHi uint64)

// vaesCTR adds the key stream that starts at the counter block first.
//
//go:noescape
func vaesCTR(k *vaesRounds, dst, src *byte, n int, first *[16]byte)

// vaesCBCSeal encrypts n bytes, whole blocks, at least one.
//
//go:noescape
func vaesCBCSeal(k *vaesRounds, dst, src *byte, n int, iv *[16]byte)

// vaesCBCOpen decrypts n bytes, whole blocks. k is from invert. The IV lies in
// the 16 bytes before src.
//
//go:noescape
func vaesCBCOpen(k *vaesRounds, dst, src *byte, n int)

//go:noescape
func vaesInverse(dst, src *[16]byte)

func vaesSubWord(w uint32) uint32

//go:noescape
func vaesMul(dst, a, b *[16]byte)

// expand is the key schedule of FIPS 197 section 5.2.
func (k *vaesRounds) expand(key []byte) {
	nk := len(key) / 4
	k.nr = nk + 6
	var w [60]uint32
	defer clear(w[:])
	for i := range nk {
		w[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	rcon := uint32(1)
	for i := nk; i < 4*(k.nr+1); i++ {
		t := w[i-1]
		if i%nk == 0 {
			t = vaesSubWord(bits.RotateLeft32(t, -8)) ^ rcon
			if rcon <<= 1; rcon == 0x100 {
				rcon = 0x1b
			}
		} else if nk > 6 && i%nk == 4 {
			t = vaesSubWord(t)
		}
		w[i] = w[i-nk] ^ t
	}
	for i := range 4 * (k.nr + 1) {
		binary.LittleEndian.PutUint32(k.rounds[i/4][i%4*4:], w[i])
	}
}

// invert makes k the key that decrypts what e encrypts (the equivalent inverse
// cipher, FIPS 197 section 5.3.5).
func (k *vaesRounds) invert(e *vaesRounds) {
	k.nr = e.nr
	k.rounds[0], k.rounds[e.nr] = e.rounds[e.nr], e.rounds[0]
	for i := 1; i < e.nr; i++ {
		vaesInverse(&k.rounds[i], &e.rounds[e.nr-i])
	}
}

// hashKey derives H from the round keys and computes its powers.
func (k *vaesKey) hashKey() {
	var zero, h [16]byte
	defer clear(h[:])
	vaesCTR(&k.vaesRounds, &h[0], &zero[0], len(h), &zero)
	hi, lo := binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])
	carry := hi >> 63
	hi, lo = hi<<1|lo>>63, lo<<1
	hi ^= carry * 0xc200000000000000
	lo ^= carry
	h1 := &k.powers[16]
	binary.LittleEndian.PutUint64(h1[:], lo)
	binary.LittleEndian.PutUint64(h1[8:], hi)
	for i := 15; i >= 0; i-- {
		vaesMul(&k.powers[i], &k.powers[i+1], h1)
	}
}
