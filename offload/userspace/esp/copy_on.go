//go:build espcopy

package esp

// copying returns a transform that protects nothing: it copies the payload
// once, for benchmarks that measure everything but the cipher. Only programs
// built with the tag espcopy have it.
func copying() transform { return copier{} }

type copier struct{}

func (copier) seal(c *Cipher, pkt, text []byte, _ uint32, s *Scratch) {
	head := c.Headroom()
	copy(s.buf(len(text)), text)
	copy(pkt[head:], text)
	clear(pkt[head+len(text):])
}

func (copier) open(c *Cipher, out, pkt []byte, _ uint32, s *Scratch) bool {
	head := c.Headroom()
	copy(s.buf(len(out)), out)
	copy(out, pkt[head:head+len(out)])
	return true
}
