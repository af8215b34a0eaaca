package esp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

func newPairTransform(d *algorithm, key []byte, m *mac, vaes bool) (transform, error) {
	switch {
	case d.suite == suiteNull:
		return &null{m}, nil
	case d.suite == suiteCTR && vaes:
		return newVAESCTR(m, key), nil
	case vaes:
		return newVAESCBC(m, key), nil
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, &AlgorithmError{Kind: Crypt, Name: d.name, Reason: ReasonForbidden}
	}
	if d.suite == suiteCTR {
		return &ctr{m, b}, nil
	}
	return &cbc{m, b}, nil
}

// null is RFC 2410: the payload in clear.
type null struct{ m *mac }

func (t *null) seal(c *Cipher, pkt, text []byte, hi uint32, s *Scratch) {
	copy(pkt[c.Headroom():], text)
	t.m.seal(c, pkt, hi, s)
}

func (t *null) open(c *Cipher, out, pkt []byte, hi uint32, s *Scratch) bool {
	if !t.m.verify(c, pkt, hi, s) {
		return false
	}
	copy(out, pkt[c.Headroom():])
	return true
}

// ctr is AES in counter mode, RFC 3686.
type ctr struct {
	m *mac
	b cipher.Block
}

func (t *ctr) seal(c *Cipher, pkt, text []byte, hi uint32, s *Scratch) {
	t.xor(c, pkt[c.Headroom():][:len(text)], text, pkt, s)
	t.m.seal(c, pkt, hi, s)
}

func (t *ctr) open(c *Cipher, out, pkt []byte, hi uint32, s *Scratch) bool {
	if !t.m.verify(c, pkt, hi, s) {
		return false
	}
	t.xor(c, out, pkt[c.Headroom():][:len(out)], pkt, s)
	return true
}

// xor is both directions. The counter block is nonce, IV and a counter from 1.
// (cipher.NewCTR would allocate for each packet.)
func (t *ctr) xor(c *Cipher, out, in, pkt []byte, s *Scratch) {
	n := s.nonce[:]
	copy(n, c.salt[:])
	copy(n[saltLen:], pkt[headerLen:headerLen+8])
	for i := uint32(1); len(in) > 0; {
		stream := s.stream[:min(len(s.stream), (len(in)+aes.BlockSize-1)&^(aes.BlockSize-1))]
		for at := 0; at < len(stream); at += aes.BlockSize {
			binary.BigEndian.PutUint32(n[12:], i)
			t.b.Encrypt(stream[at:], n)
			i++
		}
		done := subtle.XORBytes(out, in, stream)
		out, in = out[done:], in[done:]
	}
}

// cbc is AES in cipher block chaining, RFC 3602.
type cbc struct {
	m *mac
	b cipher.Block
}

func (t *cbc) seal(c *Cipher, pkt, text []byte, hi uint32, s *Scratch) {
	last, out := pkt[headerLen:c.Headroom()], pkt[c.Headroom():]
	for at := 0; at < len(text); at += aes.BlockSize {
		block := out[at : at+aes.BlockSize]
		subtle.XORBytes(block, text[at:at+aes.BlockSize], last)
		t.b.Encrypt(block, block)
		last = block
	}
	t.m.seal(c, pkt, hi, s)
}

func (t *cbc) open(c *Cipher, out, pkt []byte, hi uint32, s *Scratch) bool {
	if !t.m.verify(c, pkt, hi, s) {
		return false
	}
	// Backwards, so that in place each block still finds its predecessor.
	// The IV is the predecessor of the first.
	for at := len(out) - aes.BlockSize; at >= 0; at -= aes.BlockSize {
		in := pkt[headerLen+at:] // predecessor, then the block
		t.b.Decrypt(s.stream[:aes.BlockSize], in[aes.BlockSize:2*aes.BlockSize])
		subtle.XORBytes(out[at:at+aes.BlockSize], s.stream[:aes.BlockSize], in[:aes.BlockSize])
	}
	return true
}
