package esp

import "encoding/binary"

// Seal says what Cipher.Seal writes around a payload.
type Seal struct {
	SPI uint32
	// Seq is the sequence number, 1 and up. Without ESN only the lower half is
	// used, and a counter-mode suite refuses what does not fit it: no key of it
	// goes round. 0 as the lower half is sent, and refused by receivers.
	Seq uint64
	// IV is the explicit IV of a counter-mode suite (Cipher.Counter): never
	// twice the same under a key. Other suites ignore it; CBC draws a random
	// IV of its own.
	IV uint64
	// NextHeader is the protocol of the payload; 59 makes a dummy packet.
	NextHeader byte
	// PadTo is the length to which traffic flow confidentiality padding
	// extends the payload (RFC 4303 section 2.7), 0 for none.
	PadTo int
}

// Seal builds the ESP packet of payload in dst and returns its length, which
// is that of SealedLen. payload is either exactly dst[Headroom:Headroom+n], or
// does not overlap dst. Bytes behind payload are as they were when Seal
// returns, but while it runs up to 17 of them, as far as cap(payload) reaches,
// are borrowed for the trailer.
//
// ErrRoom, ErrTooLong, ErrSequence and ErrRandom leave dst without a packet.
func (c *Cipher) Seal(dst, payload []byte, p *Seal, s *Scratch) (int, error) {
	if p.Seq == 0 || !c.esn && c.counter && p.Seq > 0xffffffff {
		return 0, ErrSequence
	}
	if len(payload) > maxPacket || p.PadTo > maxPacket {
		return 0, ErrTooLong
	}
	text := c.textLen(len(payload), p.PadTo)
	head := c.Headroom()
	n := head + text + int(c.icvLen)
	if len(dst) < n {
		return 0, ErrRoom
	}
	pkt := dst[:n:n]
	binary.BigEndian.PutUint64(pkt, uint64(p.SPI)<<32|p.Seq&0xffffffff)
	if c.counter {
		binary.BigEndian.PutUint64(pkt[headerLen:], p.IV)
	} else if c.ivLen > 0 {
		if err := s.randomIV(pkt[headerLen:head]); err != nil {
			return 0, err
		}
	}
	c.sealText(pkt, payload, text, p, s)
	return n, nil
}

// sealText appends the trailer to the payload, wherever that lies, and runs
// the transform.
func (c *Cipher) sealText(pkt, payload []byte, text int, p *Seal, s *Scratch) {
	head, hi := c.Headroom(), uint32(p.Seq>>32)
	own := pkt[head : head+text]
	if len(payload) == 0 || &payload[0] == &own[0] {
		trailer(own, len(payload), p)
		c.t.seal(c, pkt, own, hi, s)
		return
	}
	tail := text - len(payload)
	if cap(payload) < text || tail > len(s.saved) {
		copy(own, payload)
		trailer(own, len(payload), p)
		c.t.seal(c, pkt, own, hi, s)
		return
	}
	whole := payload[:text]
	saved := s.saved[:copy(s.saved[:], whole[len(payload):])]
	trailer(whole, len(payload), p)
	c.t.seal(c, pkt, whole, hi, s)
	copy(whole[len(payload):], saved)
}

// trailer writes what follows the n bytes of payload in text: TFC padding of
// zeros, padding 1, 2, 3, … (RFC 4303 section 2.4), its length, next header.
func trailer(text []byte, n int, p *Seal) {
	end := len(text) - trailerLen
	if p.PadTo > n {
		clear(text[n:p.PadTo])
		n = p.PadTo
	}
	for i := n; i < end; i++ {
		text[i] = byte(i - n + 1)
	}
	text[end] = byte(end - n)
	text[end+1] = p.NextHeader
}
