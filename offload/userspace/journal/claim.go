package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// A claim says what a journal has at least. It stands in two slots that are
// written in turn, so that one is whole whenever the writing stops.
//
//	slot  magic[8] installation[16] generation[8] frames[8] zero[8] sum[16]
const (
	slotLen  = 64
	claimLen = 2 * slotLen
)

var claimMagic = [8]byte{'x', 'f', 'r', 'm', 'g', 'e', 'n', '1'}

type claim struct {
	installation [16]byte
	generation   uint64
	frames       uint64
}

// encode returns the slot and its place in the file.
func (c *claim) encode() (slot []byte, at int64) {
	b := make([]byte, slotLen)
	copy(b, claimMagic[:])
	copy(b[8:], c.installation[:])
	binary.LittleEndian.PutUint64(b[24:], c.generation)
	binary.LittleEndian.PutUint64(b[32:], c.frames)
	sum := sha256.Sum256(b[:slotLen-macLen])
	copy(b[slotLen-macLen:], sum[:])
	return b, int64((c.generation+c.frames)%2) * slotLen
}

// decodeClaim returns the newer of the slots.
func decodeClaim(b []byte) (c claim, err error) {
	err = errDamaged
	for ; len(b) >= slotLen; b = b[slotLen:] {
		sum := sha256.Sum256(b[:slotLen-macLen])
		if !bytes.Equal(b[:8], claimMagic[:]) || !bytes.Equal(sum[:macLen], b[slotLen-macLen:slotLen]) {
			continue
		}
		s := claim{
			installation: [16]byte(b[8:24]),
			generation:   binary.LittleEndian.Uint64(b[24:]),
			frames:       binary.LittleEndian.Uint64(b[32:]),
		}
		if err != nil || s.after(&c) {
			c, err = s, nil
		}
	}
	return c, err
}

// after reports whether c claims more than d.
func (c *claim) after(d *claim) bool {
	return c.generation > d.generation || c.generation == d.generation && c.frames > d.frames
}
