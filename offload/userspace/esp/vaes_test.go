package esp

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"testing"
)

func skipWithoutVAES(t testing.TB) {
	if !haveVAES() {
		t.Skip("needs AVX-512 with VAES and VPCLMULQDQ: the assembly was not tested")
	}
}

func newVAESKey(key []byte) *vaesKey {
	k := new(vaesKey)
	k.expand(key)
	k.hashKey()
	return k
}

// TestVAESAgainstGCM compares each body with the standard library for every
// length to 2048 and some longer, for every key length, with 8 and 12 bytes of
// additional data, in place and not, at every alignment.
func TestVAESAgainstGCM(t *testing.T) {
	skipWithoutVAES(t)
	for _, keyLen := range []int{16, 24, 32} {
		key := testBytes(keyLen, 3)
		k := newVAESKey(key)
		b, _ := aes.NewCipher(key)
		g, _ := cipher.NewGCM(b)
		r := rand.New(rand.NewPCG(1, uint64(keyLen)))
		sizes := []int{4095, 4096, 4097, 16384, 65000, 65535, 65536}
		for n := range 2049 {
			sizes = append(sizes, n)
		}
		for _, n := range sizes {
			againstGCM(t, k, g, n, 8+4*(n%2), r)
		}
	}
}

// againstGCM seals and opens n random bytes with both.
func againstGCM(t testing.TB, k *vaesKey, g cipher.AEAD, n, aadLen int, r *rand.Rand) {
	t.Helper()
	nonce, aad, text := testBytes(12, r.Uint64()>>8), testBytes(aadLen, r.Uint64()>>8), testBytes(n, r.Uint64()>>8)
	want := g.Seal(nil, nonce, text, aad)

	le := binary.LittleEndian
	j0 := append(bytes.Clone(nonce), 0, 0, 0, 1)
	aadBlock := append(bytes.Clone(aad), make([]byte, 16-aadLen)...)
	run := func(f func(*vaesKey, *byte, *byte, int, uint64, uint64, uint64, uint64, int) (uint64, uint64), dst, src *byte) []byte {
		lo, hi := f(k, dst, src, n, le.Uint64(j0), le.Uint64(j0[8:]), le.Uint64(aadBlock), le.Uint64(aadBlock[8:]), aadLen*8)
		return le.AppendUint64(le.AppendUint64(nil, lo), hi)
	}
	const guard = 64
	at := guard + r.IntN(64)
	buf := bytes.Repeat([]byte{0xee}, at+n+guard)
	src := append(text, 0) // never empty, so that it has an address
	if r.IntN(2) == 0 {
		copy(buf[at:], text)
		src = buf[at:]
	}
	tag := run(vaesSeal, &buf[at], &src[0])
	if got := append(bytes.Clone(buf[at:at+n]), tag...); !bytes.Equal(got, want) {
		t.Fatalf("seal of %d bytes:\n%x, want\n%x", n, got, want)
	}
	src = append(want[:n:n], 0)
	if r.IntN(2) == 0 {
		src = buf[at:]
	}
	tag = run(vaesOpen, &buf[at], &src[0])
	if !bytes.Equal(buf[at:at+n], text[:n]) || !bytes.Equal(tag, want[n:]) {
		t.Fatalf("open of %d bytes: tag %x, want %x; text right: %v", n, tag, want[n:], bytes.Equal(buf[at:at+n], text[:n]))
	}
	for i, c := range buf {
		if (i < at || i >= at+n) && c != 0xee {
			t.Fatalf("%d bytes: wrote at %d, outside", n, i-at)
		}
	}
}

// TestVAESCTR compares the key stream with the standard library's.
func TestVAESCTR(t *testing.T) {
	skipWithoutVAES(t)
	for _, keyLen := range []int{16, 24, 32} {
		key := testBytes(keyLen, 4)
		k := &newVAESKey(key).vaesRounds
		b, _ := aes.NewCipher(key)
		for n := 1; n < 2049; n++ {
			text, iv := testBytes(n, uint64(n)), testBytes(16, uint64(n)+9)
			iv[12] = 0 // 32 bits do not wrap within a packet
			want := make([]byte, n)
			cipher.NewCTR(b, iv).XORKeyStream(want, text)
			got := make([]byte, n)
			vaesCTR(k, &got[0], &text[0], n, (*[16]byte)(iv))
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: %x, want %x", n, got, want)
			}
		}
	}
}

// TestVAESCBC compares both directions with the standard library.
func TestVAESCBC(t *testing.T) {
	skipWithoutVAES(t)
	for _, keyLen := range []int{16, 24, 32} {
		key := testBytes(keyLen, 5)
		var enc, dec vaesRounds
		enc.expand(key)
		dec.invert(&enc)
		b, _ := aes.NewCipher(key)
		for n := 16; n <= 2048; n += 16 {
			text, iv := testBytes(n, uint64(n)), [16]byte(testBytes(16, uint64(n)+9))
			want := make([]byte, n)
			cipher.NewCBCEncrypter(b, iv[:]).CryptBlocks(want, text)
			buf := append(append(iv[:], text...), "guard"...)
			vaesCBCSeal(&enc, &buf[16], &buf[16], n, &iv)
			if !bytes.Equal(buf[16:16+n], want) || string(buf[16+n:]) != "guard" {
				t.Fatalf("seal of %d bytes: %x, want %x", n, buf, want)
			}
			apart := append(make([]byte, n), "guard"...)
			vaesCBCOpen(&dec, &apart[0], &buf[16], n)
			vaesCBCOpen(&dec, &buf[16], &buf[16], n)
			if !bytes.Equal(buf[16:16+n], text) || !bytes.Equal(apart[:n], text) || string(buf[16+n:]) != "guard" || string(apart[n:]) != "guard" {
				t.Fatalf("open of %d bytes: %x and %x, want %x", n, buf, apart, text)
			}
		}
	}
}

// FuzzVAES compares with the standard library on the fuzzer's key and text.
func FuzzVAES(f *testing.F) {
	skipWithoutVAES(f)
	f.Add([]byte("a key of 32 bytes for the cipher"), 100, uint64(1))
	f.Add([]byte{}, 255, uint64(2))
	f.Add(bytes.Repeat([]byte{0xff}, 32), 257, uint64(3))
	f.Fuzz(func(t *testing.T, key []byte, n int, seed uint64) {
		full := make([]byte, 32)
		copy(full, key)
		full = full[:16+8*(seed%3)]
		b, _ := aes.NewCipher(full)
		g, _ := cipher.NewGCM(b)
		againstGCM(t, newVAESKey(full), g, int(uint(n)%65537), 8+4*int(seed>>8&1), rand.New(rand.NewPCG(seed, 1)))
	})
}

func BenchmarkVAES(b *testing.B) {
	skipWithoutVAES(b)
	k := newVAESKey(make([]byte, 16))
	var first [16]byte
	for _, n := range []int{16, 68, 1404, 16388} {
		buf, src := make([]byte, n), make([]byte, n)
		for name, f := range map[string]func(){
			"seal": func() { vaesSeal(k, &buf[0], &src[0], n, 1, 2, 3, 0, 64) },
			"open": func() { vaesOpen(k, &buf[0], &src[0], n, 1, 2, 3, 0, 64) },
			"ctr":  func() { vaesCTR(&k.vaesRounds, &buf[0], &src[0], n, &first) },
		} {
			b.Run(name+"/"+strconv.Itoa(n), func(b *testing.B) {
				b.SetBytes(int64(n))
				for b.Loop() {
					f()
				}
			})
		}
	}
}
