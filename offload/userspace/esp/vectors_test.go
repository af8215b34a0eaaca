package esp

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// hexBytes is a JSON string of hex digits.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// vector is a case of testdata/vectors, see the README there.
type vector struct {
	ID         string   `json:"id"`
	Kind       string   `json:"kind"`
	Algorithm  string   `json:"algorithm"`
	ESN        bool     `json:"esn"`
	Key        hexBytes `json:"key"`
	Salt       hexBytes `json:"salt"`
	AuthKey    hexBytes `json:"auth_key"`
	IV         hexBytes `json:"iv"`
	SPI        hexBytes `json:"spi"`
	Seq        uint64   `json:"seq"`
	ICVLen     int      `json:"icv_len"`
	Plaintext  hexBytes `json:"plaintext"`
	Payload    hexBytes `json:"payload"`
	PadLen     int      `json:"pad_len"`
	NextHeader byte     `json:"next_header"`
	Packet     hexBytes `json:"packet"`
	Ciphertext hexBytes `json:"ciphertext"`
	Tag        hexBytes `json:"tag"`
	AAD        hexBytes `json:"aad"`
}

// algorithms names the vector's suite as the kernel does.
func (v *vector) algorithms(t testing.TB) Algorithms {
	aead := func(name string) Algorithms {
		key := netlinkx.NewKey(append(append([]byte{}, v.Key...), v.Salt...))
		bits := uint32(8 * v.ICVLen)
		if v.ICVLen == 0 {
			bits = uint32(8 * len(v.Tag))
		}
		return Algorithms{AEAD: name, AEADKey: key, ICVBits: bits}
	}
	switch {
	case strings.HasPrefix(v.Algorithm, "aes-gcm-"):
		return aead("rfc4106(gcm(aes))")
	case strings.HasPrefix(v.Algorithm, "null-aes-gmac-"):
		return aead("rfc4543(gcm(aes))")
	case v.Algorithm == "chacha20-poly1305":
		return aead("rfc7539esp(chacha20,poly1305)")
	}
	crypt, auth, _ := strings.Cut(v.Algorithm, "+")
	a := Algorithms{AuthKey: netlinkx.NewKey(v.AuthKey), ICVBits: uint32(8 * v.ICVLen)}
	switch {
	case strings.HasPrefix(crypt, "aes-cbc-"):
		a.Crypt, a.CryptKey = "cbc(aes)", netlinkx.NewKey(v.Key)
	case strings.HasPrefix(crypt, "aes-ctr-"):
		a.Crypt = "rfc3686(ctr(aes))"
		a.CryptKey = netlinkx.NewKey(append(append([]byte{}, v.Key...), v.Salt...))
	default:
		t.Fatalf("%s: algorithm %q unknown to the test", v.ID, v.Algorithm)
	}
	if auth != "" {
		hash, _, _ := strings.Cut(strings.TrimPrefix(auth, "hmac-"), "-")
		a.Auth = "hmac(" + hash + ")"
	}
	return a
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil || len(files) != 5 {
		t.Fatalf("vector files: %v, %v", files, err)
	}
	var all []vector
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct{ Cases []vector }
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, doc.Cases...)
	}
	if len(all) != 157 {
		t.Fatalf("%d vectors, want 157", len(all))
	}
	return all
}

// sealVector makes the vector's packet anew. IVs of CBC are random; the test
// puts the vector's into the pool that Seal draws from.
func (v *vector) seal(t testing.TB, c *Cipher, s *Scratch, inPlace bool) []byte {
	if n := copy(s.ivs[ivPool-len(v.IV):], v.IV); n == 16 {
		s.ivLeft = n
	}
	p := Seal{SPI: be32(v.SPI), Seq: v.Seq, NextHeader: v.NextHeader}
	if len(v.IV) == 8 {
		for _, b := range v.IV {
			p.IV = p.IV<<8 | uint64(b)
		}
	}
	dst := make([]byte, c.SealedLen(len(v.Payload), 0))
	payload := append(make([]byte, 0, len(v.Payload)+32), v.Payload...)
	if inPlace {
		payload = dst[c.Headroom():][:copy(dst[c.Headroom():], v.Payload)]
	}
	n, err := c.Seal(dst, payload, &p, s)
	if err != nil {
		t.Fatalf("%s: seal: %v", v.ID, err)
	}
	return dst[:n]
}

// TestVectors opens every packet and makes it again, in place and not.
func TestVectors(t *testing.T) {
	var s Scratch
	seen := map[string]int{}
	for _, v := range readVectors(t) {
		seen[v.Kind]++
		if v.Kind != "esp" {
			continue
		}
		for _, c := range v.ciphers(t) {
			v.openAndSeal(t, c, &s)
		}
	}
	if seen["esp"] != 152 || seen["cipher-only"] != 4 || seen["aead-only"] != 1 {
		t.Errorf("cases by kind: %v", seen)
	}
}

// ciphers returns the vector's cipher in each body that this processor has.
func (v *vector) ciphers(t testing.TB) (cs []*Cipher) {
	for _, c := range bodies(t, v.algorithms(t)) {
		if c.ESN() == v.ESN {
			cs = append(cs, c)
		}
	}
	return cs
}

func (v *vector) openAndSeal(t *testing.T, c *Cipher, s *Scratch) {
	for _, inPlace := range []bool{true, false} {
		pkt := bytes.Clone(v.Packet)
		dst := pkt[c.Headroom():]
		if !inPlace {
			dst = make([]byte, len(pkt))
		}
		got, next, err := c.Open(dst, pkt, uint32(v.Seq>>32), s)
		if err != nil {
			t.Errorf("%s: open: %v", v.ID, err)
			continue
		}
		if !bytes.Equal(got, v.Payload) || next != v.NextHeader {
			t.Errorf("%s: opened to %x next %d, want %x next %d", v.ID, got, next, v.Payload, v.NextHeader)
		}
		if sealed := v.seal(t, c, s, inPlace); !bytes.Equal(sealed, v.Packet) {
			t.Errorf("%s: sealed to\n%x, want\n%x", v.ID, sealed, v.Packet)
		}
	}
}

// TestVectorsBelowESP runs the cases that are not whole packets through what
// lies below: a cipher block chain without trailer, and an AEAD with the
// additional data of IKE.
func TestVectorsBelowESP(t *testing.T) {
	var s Scratch
	ran := 0
	for _, v := range readVectors(t) {
		if v.Kind == "esp" {
			continue
		}
		ran++
		c := mustNew(t, v.algorithms(t), false)
		want := append(bytes.Clone(v.Ciphertext), v.Tag...)
		var got, opened []byte
		if v.Kind == "aead-only" {
			a, nonce := c.t.(*aead).a, append(bytes.Clone(v.Salt), v.IV...)
			got = a.Seal(nil, nonce, v.Plaintext, v.AAD)
			opened, _ = a.Open(nil, nonce, want, v.AAD)
		} else {
			pkt := append(append(make([]byte, 8), v.IV...), v.Plaintext...)
			opened = make([]byte, len(v.Plaintext))
			c.t.seal(c, pkt, pkt[c.Headroom():], 0, &s)
			c.t.open(c, opened, pkt, 0, &s)
			got = pkt[c.Headroom():]
		}
		if !bytes.Equal(got, want) || !bytes.Equal(opened, v.Plaintext) {
			t.Errorf("%s: sealed to %x, want %x; opened to %x, want %x", v.ID, got, want, opened, v.Plaintext)
		}
	}
	if ran != 5 {
		t.Errorf("%d cases, want 5", ran)
	}
}

// TestEveryBitFlipRefused flips each bit of each packet that has an ICV, and
// each of the high half of the sequence number with ESN.
func TestEveryBitFlipRefused(t *testing.T) {
	var s Scratch
	flips := 0
	for _, v := range readVectors(t) {
		if v.Kind != "esp" || v.ICVLen == 0 {
			continue
		}
		for _, c := range v.ciphers(t) {
			flips += v.flip(t, c, &s)
		}
	}
	t.Logf("%d flips refused", flips)
}

func (v *vector) flip(t *testing.T, c *Cipher, s *Scratch) (flips int) {
	dst, hi := make([]byte, len(v.Packet)), uint32(v.Seq>>32)
	pkt := bytes.Clone(v.Packet)
	for bit := range 8 * len(pkt) {
		pkt[bit/8] ^= 1 << (bit % 8)
		if _, _, err := c.Open(dst, pkt, hi, s); err != ErrAuth {
			t.Fatalf("%s: bit %d flipped: %v", v.ID, bit, err)
		}
		pkt[bit/8] ^= 1 << (bit % 8)
		flips++
	}
	for bit := 0; v.ESN && bit < 32; bit++ {
		if _, _, err := c.Open(dst, pkt, hi^1<<bit, s); err != ErrAuth {
			t.Fatalf("%s: bit %d of the high half flipped: %v", v.ID, bit, err)
		}
		flips++
	}
	return flips
}
