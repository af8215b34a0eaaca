package esp

// NextHeaderDummy is the next header of a packet that only fills the line
// (RFC 4303 section 2.6): whoever opens one drops it without a trace.
const NextHeaderDummy = 59

// Open verifies pkt, an ESP packet from SPI to ICV, and decrypts it into dst,
// which is either exactly pkt[Headroom:] or does not overlap pkt, and has room
// for all that stands between IV and ICV. It returns the payload, a part of
// dst, TFC padding included, and the next header.
//
// seqHi is the high half of the sequence number that the replay window infers;
// it counts with ESN only. The caller checks the window before and commits
// the number after.
//
// Errors are ErrShort, ErrRoom, ErrAuth and ErrPadding. After an error dst
// holds nothing to be used: no plaintext that was not verified.
func (c *Cipher) Open(dst, pkt []byte, seqHi uint32, s *Scratch) (payload []byte, nextHeader byte, err error) {
	text := len(pkt) - c.Headroom() - int(c.icvLen)
	if text < trailerLen || c.suite == suiteCBC && text%int(c.block) != 0 {
		return nil, 0, ErrShort
	}
	if len(dst) < text {
		return nil, 0, ErrRoom
	}
	out := dst[:text:text]
	if !c.t.open(c, out, pkt, seqHi, s) {
		return nil, 0, ErrAuth
	}
	pad := int(out[text-trailerLen])
	if pad+trailerLen > text {
		return nil, 0, ErrPadding
	}
	return out[:text-trailerLen-pad], out[text-1], nil
}

// SeqOf returns SPI and sequence number (its low half with ESN) of an ESP
// packet, and whether pkt is long enough to have them.
func SeqOf(pkt []byte) (spi, seq uint32, ok bool) {
	if len(pkt) < headerLen {
		return 0, 0, false
	}
	return be32(pkt), be32(pkt[4:]), true
}

func be32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
