package esp

import (
	"crypto/rand"
	"hash"
)

const (
	ivPool    = 512 // random bytes fetched at once: 32 IVs
	maxDigest = 64
)

// Scratch is what Seal and Open scribble on. The zero value is ready. Each
// goroutine has its own; one serves any number of ciphers. It must not be
// copied after first use. About 1 KiB, plus the longest packet seen for the
// few suites that need a copy (GMAC with ESN, GCM with an ICV of 8 bytes).
type Scratch struct {
	nonce  [16]byte
	aad    [16]byte
	sum    [maxDigest]byte
	saved  [32]byte
	stream [128]byte // key stream of 8 blocks, or a CBC block
	ivs    [ivPool]byte
	ivLeft int
	hashes [hashKinds]hash.Hash
	copied []byte
}

// buf returns n bytes of memory that lasts until the next call.
func (s *Scratch) buf(n int) []byte {
	if cap(s.copied) < n {
		s.copied = make([]byte, max(n, 2048))
	}
	return s.copied[:n]
}

// randomIV fills iv with bytes that nobody can predict.
func (s *Scratch) randomIV(iv []byte) error {
	if s.ivLeft < len(iv) {
		if _, err := rand.Read(s.ivs[:]); err != nil {
			return ErrRandom
		}
		s.ivLeft = ivPool
	}
	from := s.ivs[ivPool-s.ivLeft:][:len(iv)]
	copy(iv, from)
	clear(from)
	s.ivLeft -= len(iv)
	return nil
}
