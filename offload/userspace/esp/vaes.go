package esp

import (
	"crypto/aes"
	"encoding/binary"
	"math/bits"
)

// vaesGCM is RFC 4106 on processors with AVX-512 VAES, with any ICV length.
type vaesGCM struct{ k vaesKey }

func newVAESGCM(key []byte) *vaesGCM {
	t := new(vaesGCM)
	t.k.expand(key)
	t.k.hashKey()
	return t
}

// blocks returns the first counter block (salt, IV, 1) and the block of
// additional data (SPI, sequence number) as little-endian words.
func (c *Cipher) blocks(pkt []byte, hi uint32) (j0Lo, j0Hi, aadLo, aadHi uint64, aadBits int) {
	salt, iv := uint64(binary.LittleEndian.Uint32(c.salt[:])), binary.LittleEndian.Uint64(pkt[headerLen:])
	j0Lo, j0Hi = salt|iv<<32, iv>>32|1<<56
	aadLo, aadBits = binary.LittleEndian.Uint64(pkt), 8*headerLen
	if c.esn {
		aadHi, aadBits = aadLo>>32, 8*(headerLen+4)
		aadLo = aadLo&0xffffffff | uint64(bits.ReverseBytes32(hi))<<32
	}
	return j0Lo, j0Hi, aadLo, aadHi, aadBits
}

func (t *vaesGCM) seal(c *Cipher, pkt, text []byte, hi uint32, _ *Scratch) {
	j0Lo, j0Hi, aadLo, aadHi, aadBits := c.blocks(pkt, hi)
	head, n := c.Headroom(), len(text)
	lo, high := vaesSeal(&t.k, &pkt[head], &text[0], n, j0Lo, j0Hi, aadLo, aadHi, aadBits)
	icv := pkt[head+n:]
	binary.LittleEndian.PutUint64(icv, lo)
	switch len(icv) {
	case 16:
		binary.LittleEndian.PutUint64(icv[8:], high)
	case 12:
		binary.LittleEndian.PutUint32(icv[8:], uint32(high))
	}
}

func (t *vaesGCM) open(c *Cipher, out, pkt []byte, hi uint32, _ *Scratch) bool {
	j0Lo, j0Hi, aadLo, aadHi, aadBits := c.blocks(pkt, hi)
	head, n := c.Headroom(), len(out)
	icv := pkt[head+n:]
	// In place, out ends where the ICV starts: it is still there afterwards.
	lo, high := vaesOpen(&t.k, &out[0], &pkt[head], n, j0Lo, j0Hi, aadLo, aadHi, aadBits)
	// Differences are gathered, so that the time tells nothing about them.
	wrong := lo ^ binary.LittleEndian.Uint64(icv)
	switch len(icv) {
	case 16:
		wrong |= high ^ binary.LittleEndian.Uint64(icv[8:])
	case 12:
		wrong |= uint64(uint32(high) ^ binary.LittleEndian.Uint32(icv[8:]))
	}
	if wrong != 0 {
		clear(out) // it was decrypted on the way
	}
	return wrong == 0
}

// vaesCTRMode is RFC 3686 on the same processors.
type vaesCTRMode struct {
	m *mac
	k vaesRounds
}

func newVAESCTR(m *mac, key []byte) *vaesCTRMode {
	t := &vaesCTRMode{m: m}
	t.k.expand(key)
	return t
}

func (t *vaesCTRMode) seal(c *Cipher, pkt, text []byte, hi uint32, s *Scratch) {
	t.xor(c, pkt[c.Headroom():], text, pkt, s)
	t.m.seal(c, pkt, hi, s)
}

func (t *vaesCTRMode) open(c *Cipher, out, pkt []byte, hi uint32, s *Scratch) bool {
	if !t.m.verify(c, pkt, hi, s) {
		return false
	}
	t.xor(c, out, pkt[c.Headroom():][:len(out)], pkt, s)
	return true
}

func (t *vaesCTRMode) xor(c *Cipher, out, in, pkt []byte, s *Scratch) {
	c.nonce(pkt, s)
	s.nonce[12], s.nonce[13], s.nonce[14], s.nonce[15] = 0, 0, 0, 1
	vaesCTR(&t.k, &out[0], &in[0], len(in), &s.nonce)
}

// vaesCBC is RFC 3602 on the same processors.
type vaesCBC struct {
	m        *mac
	enc, dec vaesRounds
}

func newVAESCBC(m *mac, key []byte) *vaesCBC {
	t := &vaesCBC{m: m}
	t.enc.expand(key)
	t.dec.invert(&t.enc)
	return t
}

func (t *vaesCBC) seal(c *Cipher, pkt, text []byte, hi uint32, s *Scratch) {
	iv := (*[aes.BlockSize]byte)(pkt[headerLen:])
	vaesCBCSeal(&t.enc, &pkt[c.Headroom()], &text[0], len(text), iv)
	t.m.seal(c, pkt, hi, s)
}

func (t *vaesCBC) open(c *Cipher, out, pkt []byte, hi uint32, s *Scratch) bool {
	if !t.m.verify(c, pkt, hi, s) {
		return false
	}
	vaesCBCOpen(&t.dec, &out[0], &pkt[c.Headroom()], len(out))
	return true
}
