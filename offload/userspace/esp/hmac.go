package esp

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding"
	"hash"
)

type hashKind uint8

const (
	hashNone hashKind = iota
	hashSHA1
	hashSHA256
	hashSHA384
	hashSHA512
	hashKinds
)

func (k hashKind) new() hash.Hash {
	switch k {
	case hashSHA1:
		return sha1.New()
	case hashSHA256:
		return sha256.New()
	case hashSHA384:
		return sha512.New384()
	case hashSHA512:
		return sha512.New()
	}
	return nil
}

// mac is HMAC (RFC 2104). It keeps the state of the hash after each padded
// key, so that a packet costs no hashing of keys and any goroutine's hash can
// take it up.
type mac struct {
	kind         hashKind
	inner, outer []byte // states as encoding.BinaryMarshaler gives them
}

func newMAC(kind hashKind, key []byte) (*mac, error) {
	m := &mac{kind: kind}
	h := kind.new()
	if h == nil {
		return m, nil
	}
	block := make([]byte, h.BlockSize())
	defer clear(block)
	if len(key) > len(block) {
		h.Write(key)
		h.Sum(block[:0])
	} else {
		copy(block, key)
	}
	var err error
	if m.inner, err = padded(h, block, 0x36); err != nil {
		return nil, err
	}
	m.outer, err = padded(h, block, 0x5c)
	return m, err
}

func padded(h hash.Hash, key []byte, pad byte) ([]byte, error) {
	b := make([]byte, len(key))
	defer clear(b)
	for i := range key {
		b[i] = key[i] ^ pad
	}
	h.Reset()
	h.Write(b)
	return h.(encoding.BinaryMarshaler).MarshalBinary()
}

func (m *mac) resume(state []byte, s *Scratch) hash.Hash {
	h := s.hashes[m.kind]
	if h == nil {
		h = m.kind.new()
		s.hashes[m.kind] = h
	}
	// The state is this hash's own, made by padded: it always fits.
	_ = h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)
	return h
}

// sum returns the untruncated HMAC of data, and with ESN of the high half of
// the sequence number behind it (RFC 4303 section 2.2.1). It lies in s.
func (m *mac) sum(c *Cipher, data []byte, hi uint32, s *Scratch) []byte {
	h := m.resume(m.inner, s)
	h.Write(data)
	if c.esn {
		a := s.aad[:4]
		a[0], a[1], a[2], a[3] = byte(hi>>24), byte(hi>>16), byte(hi>>8), byte(hi)
		h.Write(a)
	}
	d := h.Sum(s.sum[:0])
	h = m.resume(m.outer, s)
	h.Write(d)
	return h.Sum(s.sum[:0])
}

func (m *mac) seal(c *Cipher, pkt []byte, hi uint32, s *Scratch) {
	if m.kind != hashNone {
		n := len(pkt) - int(c.icvLen)
		copy(pkt[n:], m.sum(c, pkt[:n], hi, s))
	}
}

func (m *mac) verify(c *Cipher, pkt []byte, hi uint32, s *Scratch) bool {
	if m.kind == hashNone {
		return true
	}
	n := len(pkt) - int(c.icvLen)
	return subtle.ConstantTimeCompare(m.sum(c, pkt[:n], hi, s)[:c.icvLen], pkt[n:]) == 1
}
