package esp

import "crypto/subtle"

// vaesGCM is RFC 4106 on processors with AVX-512 VAES, with any ICV length.
type vaesGCM struct{ k vaesKey }

func newVAESGCM(key []byte) *vaesGCM {
	t := new(vaesGCM)
	t.k.expand(key)
	t.k.hashKey()
	return t
}

// blocks fills the first counter block and the block of additional data, whose
// length in bits it returns.
func (t *vaesGCM) blocks(c *Cipher, pkt []byte, hi uint32, s *Scratch) int {
	c.nonce(pkt, s)
	s.nonce[12], s.nonce[13], s.nonce[14], s.nonce[15] = 0, 0, 0, 1
	if c.esn {
		putESN(s.aad[:], pkt, hi)
		clear(s.aad[12:])
		return 12 * 8
	}
	copy(s.aad[:], pkt[:headerLen])
	clear(s.aad[headerLen:])
	return headerLen * 8
}

func (t *vaesGCM) seal(c *Cipher, pkt, text []byte, hi uint32, s *Scratch) {
	bits := t.blocks(c, pkt, hi, s)
	head, n := c.Headroom(), len(text)
	tag := (*[tagLen]byte)(s.sum[:])
	vaesSeal(&t.k, &pkt[head], &text[0], n, &s.nonce, &s.aad, bits, tag)
	copy(pkt[head+n:], tag[:])
}

func (t *vaesGCM) open(c *Cipher, out, pkt []byte, hi uint32, s *Scratch) bool {
	bits := t.blocks(c, pkt, hi, s)
	head, n := c.Headroom(), len(out)
	tag := (*[tagLen]byte)(s.sum[:])
	vaesOpen(&t.k, &out[0], &pkt[head], n, &s.nonce, &s.aad, bits, tag)
	if subtle.ConstantTimeCompare(tag[:c.icvLen], pkt[head+n:]) != 1 {
		clear(out) // it was decrypted on the way
		return false
	}
	return true
}

// vaesCTRMode is RFC 3686 on the same processors.
type vaesCTRMode struct {
	m *mac
	k vaesKey
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
