package esp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"

	"golang.org/x/crypto/chacha20poly1305"
)

const tagLen = 16

func newAEADTransform(d *algorithm, key []byte, icv int, vaes bool) (transform, error) {
	if t := copying(); t != nil {
		return t, nil
	}
	if d.suite == suiteChaCha {
		a, err := chacha20poly1305.New(key)
		if err != nil {
			return nil, &AlgorithmError{Kind: AEAD, Name: d.name, Reason: ReasonForbidden}
		}
		return &aead{a}, nil
	}
	if d.suite == suiteGCM && vaes {
		return newVAESGCM(key), nil
	}
	g, err := newGCM(key, icv)
	if err != nil {
		return nil, &AlgorithmError{Kind: AEAD, Name: d.name, Reason: ReasonForbidden}
	}
	switch {
	case d.suite == suiteGMAC:
		return &gmac{g}, nil
	case icv < 12:
		return &shortGCM{g}, nil
	}
	return &aead{g}, nil
}

// newGCM returns the standard library's GCM with a tag of icv bytes, or of 16
// where it does not offer so short a one.
func newGCM(key []byte, icv int) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if icv < 12 {
		return cipher.NewGCM(b)
	}
	return cipher.NewGCMWithTagSize(b, icv)
}

// nonce returns salt and IV: the nonce of RFC 4106, 4543 and 7634.
func (c *Cipher) nonce(pkt []byte, s *Scratch) []byte {
	n := s.nonce[:12]
	copy(n, c.salt[:])
	copy(n[saltLen:], pkt[headerLen:headerLen+8])
	return n
}

// aad returns SPI and sequence number, in full with ESN (RFC 4106 section 5).
func (c *Cipher) aad(pkt []byte, hi uint32, s *Scratch) []byte {
	if !c.esn {
		return pkt[:headerLen]
	}
	putESN(s.aad[:12], pkt, hi)
	return s.aad[:12]
}

func putESN(aad, pkt []byte, hi uint32) {
	copy(aad, pkt[:4])
	aad[4], aad[5], aad[6], aad[7] = byte(hi>>24), byte(hi>>16), byte(hi>>8), byte(hi)
	copy(aad[8:12], pkt[4:8])
}

// aead is a suite that is a cipher.AEAD with its own tag length.
type aead struct{ a cipher.AEAD }

func (t *aead) seal(c *Cipher, pkt, text []byte, hi uint32, s *Scratch) {
	head := c.Headroom()
	t.a.Seal(pkt[head:head], c.nonce(pkt, s), text, c.aad(pkt, hi, s))
}

func (t *aead) open(c *Cipher, out, pkt []byte, hi uint32, s *Scratch) bool {
	_, err := t.a.Open(out[:0], c.nonce(pkt, s), pkt[c.Headroom():], c.aad(pkt, hi, s))
	return err == nil
}

// shortGCM is GCM with a tag of 8 bytes, which the standard library does not
// offer: the tag of 16 is computed and its first half used.
type shortGCM struct{ a cipher.AEAD }

func (t *shortGCM) seal(c *Cipher, pkt, text []byte, hi uint32, s *Scratch) {
	head, n := c.Headroom(), len(text)
	// The longer tag has no room in pkt.
	out := t.a.Seal(s.buf(n + tagLen)[:0], c.nonce(pkt, s), text, c.aad(pkt, hi, s))
	copy(pkt[head:], out[:n+int(c.icvLen)])
}

// open decrypts aside by sealing the ciphertext (counter mode is its own
// inverse), seals that to learn the right tag, and lets the plaintext out only
// if the tags agree.
func (t *shortGCM) open(c *Cipher, out, pkt []byte, hi uint32, s *Scratch) bool {
	head, n := c.Headroom(), len(out)
	nonce, aad := c.nonce(pkt, s), c.aad(pkt, hi, s)
	room := s.buf(2 * (n + tagLen))
	plain := t.a.Seal(room[:0:n+tagLen], nonce, pkt[head:head+n], aad)[:n]
	again := t.a.Seal(room[n+tagLen:n+tagLen], nonce, plain, aad)
	ok := subtle.ConstantTimeCompare(again[n:n+int(c.icvLen)], pkt[head+n:]) == 1
	if ok {
		copy(out, plain)
	}
	clear(plain)
	return ok
}

// gmac is RFC 4543: nothing is encrypted; ESP header, IV and payload are the
// additional data of a GCM without plaintext.
type gmac struct{ a cipher.AEAD }

func (t *gmac) data(c *Cipher, pkt []byte, n int, hi uint32, s *Scratch) []byte {
	end := c.Headroom() + n
	if !c.esn {
		return pkt[:end]
	}
	b := s.buf(end + 4)
	putESN(b, pkt, hi)
	copy(b[12:], pkt[headerLen:end])
	return b
}

func (t *gmac) seal(c *Cipher, pkt, text []byte, hi uint32, s *Scratch) {
	head, n := c.Headroom(), len(text)
	copy(pkt[head:], text)
	t.a.Seal(pkt[head+n:head+n], c.nonce(pkt, s), nil, t.data(c, pkt, n, hi, s))
}

func (t *gmac) open(c *Cipher, out, pkt []byte, hi uint32, s *Scratch) bool {
	head, n := c.Headroom(), len(out)
	if _, err := t.a.Open(nil, c.nonce(pkt, s), pkt[head+n:], t.data(c, pkt, n, hi, s)); err != nil {
		return false
	}
	copy(out, pkt[head:])
	return true
}
