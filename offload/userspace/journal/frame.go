package journal

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// Layout of the journal. Numbers are little-endian.
//
//	header  magic[8] installation[16] generation[8] zero[16] mac[16]
//	frame   magic[4] count[4] number[8] count*record mac[16]
//	record  key[16] base[8] until[8] seq[8] day[4] zero[4]
//
// Frames are numbered from 1. The mac of a frame covers the header as well, so
// that frames of another generation do not fit.
const (
	headerLen    = 64
	frameHeadLen = 16
	recordLen    = 48
	macLen       = 16

	// maxFrame bounds what a damaged count makes us read, in records.
	maxFrame = 1 << 16
)

var (
	journalMagic = [8]byte{'x', 'f', 'r', 'm', 'j', 'n', 'l', '1'}
	frameMagic   = [4]byte{'f', 'r', 'm', '1'}
)

// fingerprint stands for a key.
type fingerprint [16]byte

// record is the newest word on one key. The IVs of positions below until may
// have been used; no SA with the key has used a sequence number above seq+until.
type record struct {
	key   fingerprint
	base  uint64 // IV of position 0
	until uint64
	seq   uint64
	day   uint32 // when it was written, days since 1970
}

// header begins a journal.
type header struct {
	installation [16]byte
	generation   uint64
}

// secret is what fingerprints and checksums are keyed with.
type secret [32]byte

// sum returns the keyed checksum of the parts; use keeps the uses apart.
func (s *secret) sum(use string, parts ...[]byte) (out [macLen]byte) {
	h := hmac.New(sha256.New, s[:])
	h.Write([]byte(use))
	for _, p := range parts {
		h.Write(p)
	}
	copy(out[:], h.Sum(nil))
	return out
}

// fingerprint returns what stands for a key.
func (s *secret) fingerprint(key []byte) fingerprint {
	return fingerprint(s.sum("xfrmctl esp key\x00", key))
}

func (h *header) encode(s *secret) []byte {
	b := make([]byte, headerLen)
	copy(b, journalMagic[:])
	copy(b[8:], h.installation[:])
	binary.LittleEndian.PutUint64(b[24:], h.generation)
	mac := s.sum("xfrmctl esp journal\x00", b[:headerLen-macLen])
	copy(b[headerLen-macLen:], mac[:])
	return b
}

// errDamaged tells of bytes that nobody wrote as they are.
var errDamaged = errors.New("damaged")

func decodeHeader(b []byte, s *secret) (h header, err error) {
	if len(b) < headerLen || !bytes.Equal(b[:8], journalMagic[:]) {
		return h, errDamaged
	}
	mac := s.sum("xfrmctl esp journal\x00", b[:headerLen-macLen])
	if !hmac.Equal(mac[:], b[headerLen-macLen:headerLen]) {
		return h, errDamaged
	}
	copy(h.installation[:], b[8:])
	h.generation = binary.LittleEndian.Uint64(b[24:])
	return h, nil
}

// frames reads and writes those of one journal.
type frames struct {
	secret *secret
	header []byte // encoded
}

// append adds a frame to b.
func (f *frames) append(b []byte, number uint64, recs []record) []byte {
	start := len(b)
	b = append(b, frameMagic[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(recs)))
	b = binary.LittleEndian.AppendUint64(b, number)
	for i := range recs {
		r := &recs[i]
		b = append(b, r.key[:]...)
		b = binary.LittleEndian.AppendUint64(b, r.base)
		b = binary.LittleEndian.AppendUint64(b, r.until)
		b = binary.LittleEndian.AppendUint64(b, r.seq)
		b = binary.LittleEndian.AppendUint32(b, r.day)
		b = append(b, 0, 0, 0, 0)
	}
	mac := f.secret.sum("xfrmctl esp frame\x00", f.header, b[start:])
	return append(b, mac[:]...)
}

// next returns the body of the frame that b begins with and what follows. ok
// is false when b does not begin with that frame, whole and undamaged.
func (f *frames) next(b []byte, number uint64) (body, rest []byte, ok bool) {
	if len(b) < frameHeadLen || !bytes.Equal(b[:4], frameMagic[:]) {
		return nil, b, false
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if n > maxFrame || binary.LittleEndian.Uint64(b[8:]) != number {
		return nil, b, false
	}
	end := frameHeadLen + int(n)*recordLen
	if len(b) < end+macLen {
		return nil, b, false
	}
	mac := f.secret.sum("xfrmctl esp frame\x00", f.header, b[:end])
	if !hmac.Equal(mac[:], b[end:end+macLen]) {
		return nil, b, false
	}
	return b[frameHeadLen:end], b[end+macLen:], true
}

// anyAfter reports whether a whole frame with a number above number begins
// anywhere in b. A frame is written when those before it are on disk, so a
// damaged one before it was damaged later.
func (f *frames) anyAfter(b []byte, number uint64) bool {
	for {
		i := bytes.Index(b, frameMagic[:])
		if i < 0 || len(b)-i < frameHeadLen {
			return false
		}
		b = b[i:]
		if n := binary.LittleEndian.Uint64(b[8:]); n > number {
			if _, _, ok := f.next(b, n); ok {
				return true
			}
		}
		b = b[1:]
	}
}

// eachRecord calls fn with the records of a frame's body.
func eachRecord(body []byte, fn func(record)) {
	for ; len(body) >= recordLen; body = body[recordLen:] {
		fn(record{
			key:   fingerprint(body[:16]),
			base:  binary.LittleEndian.Uint64(body[16:]),
			until: binary.LittleEndian.Uint64(body[24:]),
			seq:   binary.LittleEndian.Uint64(body[32:]),
			day:   binary.LittleEndian.Uint32(body[40:]),
		})
	}
}
