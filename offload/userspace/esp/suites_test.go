package esp

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// randomBytes is what testBytes cuts from.
var randomBytes = func() []byte {
	r := rand.NewChaCha8([32]byte{7})
	b := make([]byte, 1<<17)
	_, _ = r.Read(b)
	return b
}()

// testBytes returns n bytes, up to 65,536, that depend on seed alone.
func testBytes(n int, seed uint64) []byte {
	return bytes.Clone(randomBytes[seed*31%65521:][:n])
}

// allSuites is every suite with every key and ICV length, by name.
func allSuites() map[string]Algorithms {
	m := map[string]Algorithms{}
	for _, d := range algorithms {
		for _, n := range d.keyLens {
			key := netlinkx.NewKey(testBytes(n, uint64(n)))
			switch d.kind {
			case AEAD:
				for _, bits := range d.icvBits {
					m[fmt.Sprintf("%s-%d-%d", d.name, 8*(n-saltLen), bits)] = Algorithms{AEAD: d.name, AEADKey: key, ICVBits: uint32(bits)}
				}
			case Crypt:
				for _, h := range algorithms {
					if h.kind != Auth {
						continue
					}
					a := Algorithms{Crypt: d.name, CryptKey: key, Auth: h.name, AuthKey: netlinkx.NewKey(testBytes(h.fullBits/8, 9))}
					m[fmt.Sprintf("%s-%d+%s-%d", d.name, 8*n, h.name, h.defBits)] = a
					if h.fullBits > 0 {
						a.ICVBits = uint32(h.fullBits / 2) // RFC 4868
						m[fmt.Sprintf("%s-%d+%s-%d", d.name, 8*n, h.name, a.ICVBits)] = a
						a.ICVBits = uint32(h.fullBits)
						m[fmt.Sprintf("%s-%d+%s-%d", d.name, 8*n, h.name, a.ICVBits)] = a
					}
				}
			}
		}
	}
	return m
}

// reference opens an ESP packet slowly and obviously: the RFC's text with the
// standard library, one allocation after another. It returns payload with
// trailer.
func reference(a Algorithms, esn bool, pkt []byte, hi uint32) ([]byte, bool) {
	if a.AEAD != "" {
		return referenceAEAD(a, esn, pkt, hi)
	}
	h := map[string]func() hash.Hash{"hmac(sha1)": sha1.New, "hmac(sha256)": sha256.New, "hmac(sha384)": sha512.New384, "hmac(sha512)": sha512.New}[a.Auth]
	icv := int(a.ICVBits) / 8
	if icv == 0 {
		icv = DefaultICVBits(a.Auth) / 8
	}
	body, tag := pkt[:len(pkt)-icv], pkt[len(pkt)-icv:]
	if h != nil {
		m := hmac.New(h, a.AuthKey.Reveal())
		m.Write(body)
		if esn {
			m.Write(binary.BigEndian.AppendUint32(nil, hi))
		}
		if !bytes.Equal(m.Sum(nil)[:icv], tag) {
			return nil, false
		}
	}
	key := a.CryptKey.Reveal()
	switch a.Crypt {
	case "cbc(aes)":
		b, _ := aes.NewCipher(key)
		out := make([]byte, len(body)-24)
		cipher.NewCBCDecrypter(b, body[8:24]).CryptBlocks(out, body[24:])
		return out, true
	case "rfc3686(ctr(aes))":
		b, _ := aes.NewCipher(key[:len(key)-4])
		iv := append(append(bytes.Clone(key[len(key)-4:]), body[8:16]...), 0, 0, 0, 1)
		out := make([]byte, len(body)-16)
		cipher.NewCTR(b, iv).XORKeyStream(out, body[16:])
		return out, true
	}
	return body[8:], true
}

func referenceAEAD(a Algorithms, esn bool, pkt []byte, hi uint32) ([]byte, bool) {
	key := a.AEADKey.Reveal()
	key, salt := key[:len(key)-4], key[len(key)-4:]
	nonce := append(bytes.Clone(salt), pkt[8:16]...)
	aad := bytes.Clone(pkt[:8])
	if esn {
		aad = append(binary.BigEndian.AppendUint32(bytes.Clone(pkt[:4]), hi), pkt[4:8]...)
	}
	icv := int(a.ICVBits) / 8
	text, tag := pkt[16:len(pkt)-icv], pkt[len(pkt)-icv:]
	if a.AEAD == "rfc7539esp(chacha20,poly1305)" {
		x, _ := chacha20poly1305.New(key)
		out, err := x.Open(nil, nonce, pkt[16:], aad)
		return out, err == nil
	}
	b, _ := aes.NewCipher(key)
	g, _ := cipher.NewGCM(b)
	if a.AEAD == "rfc4543(gcm(aes))" {
		aad = append(append(aad, pkt[8:16]...), text...)
		return text, bytes.Equal(g.Seal(nil, nonce, nil, aad), tag)
	}
	plain := g.Seal(nil, nonce, text, aad)[:len(text)] // counter mode: decrypts
	again := g.Seal(nil, nonce, plain, aad)
	return plain, bytes.Equal(again[len(text):len(text)+icv], tag)
}

// bodies returns the suite's cipher without and with ESN, and as often again
// if this processor runs assembly that differs from the portable code.
func bodies(t testing.TB, a Algorithms) (cs []*Cipher) {
	t.Helper()
	for _, vaes := range []bool{false, true} {
		portable := a.Crypt == "ecb(cipher_null)" || a.AEAD != "" && a.AEAD != "rfc4106(gcm(aes))"
		if vaes && (portable || !haveVAES()) {
			continue
		}
		for _, esn := range []bool{false, true} {
			c, err := newCipher(&a, esn, vaes)
			if err != nil {
				t.Fatal(err)
			}
			cs = append(cs, c)
		}
	}
	return cs
}

// TestInverse seals payloads of every length with every suite, opens them with
// the reference and with Open, in place and not, with and without ESN.
func TestInverse(t *testing.T) {
	for name, a := range allSuites() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s Scratch
			for _, c := range bodies(t, a) {
				for _, n := range inverseSizes(c, testing.Short() || raceDetector) {
					inverse(t, c, a, n, &s)
				}
			}
		})
	}
}

// inverseSizes is 0 to 2048, or where a suite has blocks and batches of
// blocks, and the longest packets.
func inverseSizes(c *Cipher, short bool) (sizes []int) {
	for n := range 2049 {
		if !short || n < 150 || n > 240 && n < 275 || n > 1395 && n < 1420 {
			sizes = append(sizes, n)
		}
	}
	for n := 65536 - 70; n <= 65536; n += 1 + c.BlockLen() {
		sizes = append(sizes, n)
	}
	return sizes
}

func inverse(t *testing.T, c *Cipher, a Algorithms, n int, s *Scratch) {
	t.Helper()
	seq := uint64(n) + 1
	if c.esn {
		seq |= uint64(n*7+1) << 32
	}
	inPlace := n%2 == 0
	p := &Seal{SPI: 0x1000, Seq: seq, IV: uint64(n) * 0x0101010101, NextHeader: byte(n)}
	want := testBytes(n, uint64(n))
	dst := make([]byte, c.SealedLen(n, 0)+8)
	payload := append(make([]byte, 0, n+20), want...)
	if inPlace {
		payload = dst[c.Headroom():][:copy(dst[c.Headroom():], want)]
	}
	behind := dst[len(dst)-8:]
	copy(behind, "untouchd")
	size, err := c.Seal(dst, payload, p, s)
	if err != nil || size != c.SealedLen(n, 0) || string(behind) != "untouchd" {
		t.Fatalf("seal %d bytes: length %d (want %d), behind it %q: %v", n, size, c.SealedLen(n, 0), behind, err)
	}
	pkt, hi := dst[:size:size], uint32(seq>>32)
	if text, ok := reference(a, c.esn, pkt, hi); !ok || !bytes.Equal(text[:n], want) || text[len(text)-1] != byte(n) {
		t.Fatalf("%d bytes: the reference does not open the packet (authentic: %v)", n, ok)
	}
	out := pkt[c.Headroom():]
	if inPlace {
		out = make([]byte, len(pkt))
	}
	got, next, err := c.Open(out, pkt, hi, s)
	if err != nil || next != byte(n) || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes: opened to %d bytes, next header %d: %v", n, len(got), next, err)
	}
}

// TestLastBitRefused damages the end of packets of many lengths, where
// implementations treat partial blocks apart.
func TestLastBitRefused(t *testing.T) {
	for name, a := range allSuites() {
		if a.Auth == "digest_null" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range bodies(t, a) {
				for n := 0; n < 600; n += 3 {
					damage(t, c, n)
				}
			}
		})
	}
}

func damage(t *testing.T, c *Cipher, n int) {
	t.Helper()
	var s Scratch
	pkt := make([]byte, c.SealedLen(n, 0))
	if _, err := c.Seal(pkt, testBytes(n, 1), &Seal{Seq: 1, IV: 5}, &s); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{len(pkt) - 1, len(pkt) - c.ICVLen(), len(pkt) - c.ICVLen() - 1, c.Headroom(), 0, 7, 8} {
		bad := bytes.Clone(pkt)
		bad[at] ^= 0x80
		out := bad[c.Headroom():]
		if _, _, err := c.Open(out, bad, 0, &s); err != ErrAuth {
			t.Fatalf("%d bytes, byte %d damaged: %v", n, at, err)
		}
	}
}
