package esp

import (
	"bytes"
	"testing"
)

// fuzzSuites are one of each transform, with and without ESN.
func fuzzSuites(t testing.TB) []*Cipher {
	var cs []*Cipher
	all := allSuites()
	for _, name := range []string{
		"rfc4106(gcm(aes))-128-128", "rfc4106(gcm(aes))-256-96", "rfc4106(gcm(aes))-192-64", "rfc4543(gcm(aes))-128-128",
		"rfc7539esp(chacha20,poly1305)-256-128", "cbc(aes)-128+hmac(sha256)-128", "rfc3686(ctr(aes))-160+hmac(sha1)-96",
		"ecb(cipher_null)-0+hmac(sha512)-256", "ecb(cipher_null)-0+digest_null-0",
	} {
		a, ok := all[name]
		if !ok {
			t.Fatalf("no suite %s", name)
		}
		cs = append(cs, bodies(t, a)...)
	}
	return cs
}

// FuzzOpen throws bytes at Open: an error or a payload within the packet, and
// no payload at all from a suite with an ICV, which nobody can guess.
func FuzzOpen(f *testing.F) {
	for i, v := range readVectors(f) {
		if i%8 == 0 {
			f.Add([]byte(v.Packet), uint32(v.Seq>>32), uint8(i))
		}
	}
	f.Add([]byte{}, uint32(0), uint8(0))
	cs := fuzzSuites(f)
	f.Fuzz(func(t *testing.T, pkt []byte, hi uint32, suite uint8) {
		var s Scratch
		c := cs[int(suite)%len(cs)]
		out := make([]byte, len(pkt))
		got, _, err := c.Open(out, bytes.Clone(pkt), hi, &s)
		if err == nil && c.ICVLen() > 0 {
			t.Fatalf("a packet of the fuzzer's verifies: %x", pkt)
		}
		if err != nil && got != nil || len(got) > len(pkt) {
			t.Fatalf("%d bytes from a packet of %d, %v", len(got), len(pkt), err)
		}
	})
}

// FuzzOpenAuthentic seals the fuzzer's bytes as payload, padding, pad length
// and next header, so that what lies behind the ICV check is reached.
func FuzzOpenAuthentic(f *testing.F) {
	f.Add([]byte("payload\x01\x02\x02\x04"), uint32(1), uint8(0))
	f.Add([]byte{0, 59}, uint32(0), uint8(3))
	f.Add([]byte{1, 59}, uint32(0), uint8(5))
	f.Add([]byte{255, 0}, uint32(0), uint8(9))
	f.Add(bytes.Repeat([]byte{200}, 300), uint32(7), uint8(10))
	cs := fuzzSuites(f)
	f.Fuzz(func(t *testing.T, text []byte, hi uint32, suite uint8) {
		var s Scratch
		c := cs[int(suite)%len(cs)]
		text = text[:len(text)&^(c.BlockLen()-1)]
		pkt := make([]byte, c.Headroom()+len(text)+c.ICVLen())
		if len(text) > 0 {
			c.t.seal(c, pkt, bytes.Clone(text), hi, &s)
		}
		got, next, err := c.Open(pkt[c.Headroom():], pkt, hi, &s)
		if len(text) < trailerLen {
			if err != ErrShort {
				t.Fatalf("%d bytes of text: %v", len(text), err)
			}
			return
		}
		pad := int(text[len(text)-2])
		if pad+trailerLen > len(text) {
			if err != ErrPadding {
				t.Fatalf("pad length %d in %d: %v", pad, len(text), err)
			}
			return
		}
		if err != nil || next != text[len(text)-1] || !bytes.Equal(got, text[:len(text)-2-pad]) {
			t.Fatalf("opened to %x, next header %d, %v; sealed %x", got, next, err, text)
		}
	})
}
