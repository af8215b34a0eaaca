package journal

import (
	"bytes"
	"testing"
)

// FuzzFrames reads damaged frames: what is taken for whole must be what was
// written.
func FuzzFrames(f *testing.F) {
	s := &secret{1, 2, 3}
	h := header{generation: 7}
	fr := frames{s, h.encode(s)}
	whole := fr.append(nil, 1, []record{{base: 1, until: 2, seq: 3, day: 4}, {base: 5}})
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		body, rest, ok := fr.next(b, 1)
		if ok && !bytes.Equal(b[:len(b)-len(rest)], whole) {
			t.Errorf("a frame that nobody wrote: %x", b)
		}
		eachRecord(body, func(record) {})
		fr.anyAfter(b, 0)
		if h, err := decodeHeader(b, s); err == nil && h.generation != 7 {
			t.Errorf("a header that nobody wrote: %x", b)
		}
		_, _ = decodeClaim(b)
	})
}
