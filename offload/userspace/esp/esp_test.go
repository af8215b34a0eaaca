package esp

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func mustNew(t testing.TB, a Algorithms, esn bool) *Cipher {
	t.Helper()
	c, err := New(a, esn)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func gcm128() Algorithms {
	return Algorithms{AEAD: "rfc4106(gcm(aes))", AEADKey: netlinkx.NewKey(testBytes(20, 1)), ICVBits: 128}
}

func cbcSHA256() Algorithms {
	return Algorithms{Crypt: "aes", CryptKey: netlinkx.NewKey(testBytes(16, 1)), Auth: "sha256", AuthKey: netlinkx.NewKey(testBytes(32, 2)), ICVBits: 128}
}

func TestNewRefuses(t *testing.T) {
	key := func(n int) netlinkx.Key { return netlinkx.NewKey(bytes.Repeat([]byte{'K'}, n)) }
	for _, tc := range []struct {
		name string
		a    Algorithms
		want AlgorithmError
		text string
	}{
		{"nothing", Algorithms{}, AlgorithmError{Reason: ReasonCombination}, "ESP needs either"},
		{"auth alone", Algorithms{Auth: "sha1", AuthKey: key(20)}, AlgorithmError{Reason: ReasonCombination}, "ESP needs either"},
		{"aead with auth", Algorithms{AEAD: "rfc4106(gcm(aes))", AEADKey: key(20), ICVBits: 128, Auth: "sha1"}, AlgorithmError{Reason: ReasonCombination}, ""},
		{"aead unknown", Algorithms{AEAD: "rfc4309(ccm(aes))", AEADKey: key(19), ICVBits: 128}, AlgorithmError{Kind: AEAD, Name: "rfc4309(ccm(aes))", Reason: ReasonUnknown}, "not known"},
		{"aead icv 0", Algorithms{AEAD: "rfc4106(gcm(aes))", AEADKey: key(20)}, AlgorithmError{Kind: AEAD, Name: "rfc4106(gcm(aes))", Reason: ReasonICV}, "offered: [64 96 128]"},
		{"gmac icv 96", Algorithms{AEAD: "rfc4543(gcm(aes))", AEADKey: key(20), ICVBits: 96}, AlgorithmError{Kind: AEAD, Name: "rfc4543(gcm(aes))", Reason: ReasonICV, Got: 96}, "96 bits"},
		{"gcm without salt", Algorithms{AEAD: "rfc4106(gcm(aes))", AEADKey: key(16), ICVBits: 128}, AlgorithmError{Kind: AEAD, Name: "rfc4106(gcm(aes))", Reason: ReasonKeyLength, Got: 16}, "takes [20 28 36]"},
		{"crypt unknown", Algorithms{Crypt: "cbc(des)", CryptKey: key(8)}, AlgorithmError{Kind: Crypt, Name: "cbc(des)", Reason: ReasonUnknown}, ""},
		{"auth unknown", Algorithms{Crypt: "aes", CryptKey: key(16), Auth: "md5"}, AlgorithmError{Kind: Auth, Name: "md5", Reason: ReasonUnknown}, ""},
		{"cbc key", Algorithms{Crypt: "aes", CryptKey: key(20)}, AlgorithmError{Kind: Crypt, Name: "cbc(aes)", Reason: ReasonKeyLength, Got: 20}, "20 bytes"},
		{"null with key", Algorithms{Crypt: "cipher_null", CryptKey: key(1)}, AlgorithmError{Kind: Crypt, Name: "ecb(cipher_null)", Reason: ReasonKeyLength, Got: 1}, ""},
		{"truncation too long", Algorithms{Crypt: "aes", CryptKey: key(16), Auth: "sha1", ICVBits: 168}, AlgorithmError{Kind: Auth, Name: "hmac(sha1)", Reason: ReasonICV, Got: 168}, "at most 160"},
		{"truncation to nothing", Algorithms{Crypt: "aes", CryptKey: key(16), Auth: "sha1", ICVBits: 7}, AlgorithmError{Kind: Auth, Name: "hmac(sha1)", Reason: ReasonICV, Got: 7}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := New(tc.a, false)
			var got *AlgorithmError
			if c != nil || !errors.As(err, &got) || *got != tc.want {
				t.Fatalf("%v, %#v, want %#v", c, err, tc.want)
			}
			if !strings.Contains(err.Error(), tc.text) || strings.Contains(err.Error(), "KKK") {
				t.Errorf("text %q", err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, tc := range []struct {
		kind       Kind
		name, want string
	}{
		{Crypt, "aes", "cbc(aes)"}, {Crypt, "cbc(aes)", "cbc(aes)"}, {Crypt, "cipher_null", "ecb(cipher_null)"},
		{Auth, "sha1", "hmac(sha1)"}, {Auth, "sha256", "hmac(sha256)"}, {Auth, "hmac(sha384)", "hmac(sha384)"},
		{Auth, "sha512", ""}, {Auth, "aes", ""}, {AEAD, "rfc4106(gcm(aes))", "rfc4106(gcm(aes))"}, {AEAD, "", ""}, {Auth, "", ""},
	} {
		if got, ok := CanonicalName(tc.kind, tc.name); got != tc.want || ok != (tc.want != "") {
			t.Errorf("%s %q: %q, %v, want %q", tc.kind, tc.name, got, ok, tc.want)
		}
	}
	for auth, want := range map[string]int{"sha1": 96, "hmac(sha256)": 96, "hmac(sha384)": 192, "hmac(sha512)": 256, "digest_null": 0, "none": 0} {
		if got := DefaultICVBits(auth); got != want {
			t.Errorf("%s: default of %d bits, want %d", auth, got, want)
		}
	}
}

func TestSealRefuses(t *testing.T) {
	var s Scratch
	c, esn := mustNew(t, gcm128(), false), mustNew(t, gcm128(), true)
	dst := make([]byte, 70000)
	for _, tc := range []struct {
		name    string
		c       *Cipher
		dst     []byte
		payload int
		p       Seal
		want    error
	}{
		{"sequence 0", c, dst, 10, Seal{}, ErrSequence},
		{"sequence beyond 32 bits", c, dst, 10, Seal{Seq: 1 << 32}, ErrSequence},
		{"with ESN it may", esn, dst, 10, Seal{Seq: 1 << 32}, nil},
		{"no room", c, dst[:c.SealedLen(10, 0)-1], 10, Seal{Seq: 1}, ErrRoom},
		{"no room for TFC", c, dst[:c.SealedLen(10, 100)-1], 10, Seal{Seq: 1, PadTo: 100}, ErrRoom},
		{"just room", c, dst[:c.SealedLen(10, 0)], 10, Seal{Seq: 1}, nil},
		{"too long", c, dst, 65537, Seal{Seq: 1}, ErrTooLong},
		{"TFC too long", c, dst, 1, Seal{Seq: 1, PadTo: 65537}, ErrTooLong},
	} {
		if _, err := tc.c.Seal(tc.dst, make([]byte, tc.payload), &tc.p, &s); err != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

// TestSealGoesRound: behind 2^32-1 follows 0, but not with a counter-mode key.
func TestSealGoesRound(t *testing.T) {
	var s Scratch
	for name, a := range allSuites() {
		c := mustNew(t, a, false)
		payload := []byte("behind the end of the numbers")
		pkt, got := make([]byte, c.SealedLen(len(payload), 0)), make([]byte, 200)
		for seq, want := range map[uint64]uint32{1<<32 - 1: 1<<32 - 1, 1 << 32: 0, 3<<32 | 7: 7} {
			_, err := c.Seal(pkt, payload, &Seal{SPI: 1, Seq: seq, IV: 1, NextHeader: 4}, &s)
			if c.Counter() && seq > 1<<32-1 {
				if err != ErrSequence {
					t.Errorf("%s: number %d: %v, want ErrSequence", name, seq, err)
				}
				continue
			}
			if _, number, _ := SeqOf(pkt); err != nil || number != want {
				t.Errorf("%s: number %d: %v, sent as %d", name, seq, err, number)
			}
			if text, _, err := c.Open(got, pkt, 0, &s); err != nil || string(text) != string(payload) {
				t.Errorf("%s: number %d: opened as %q, %v", name, seq, text, err)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	var s Scratch
	for name, a := range allSuites() {
		c := mustNew(t, a, false)
		dst := make([]byte, 200)
		for n := range c.Headroom() + c.ICVLen() + trailerLen {
			if _, _, err := c.Open(dst, make([]byte, n), 0, &s); err != ErrShort {
				t.Errorf("%s: %d bytes: %v, want ErrShort", name, n, err)
			}
		}
		n := c.SealedLen(50, 0)
		if _, _, err := c.Open(dst[:n-c.Headroom()-c.ICVLen()-1], make([]byte, n), 0, &s); err != ErrRoom {
			t.Errorf("%s: short destination: %v, want ErrRoom", name, err)
		}
	}
	c := mustNew(t, cbcSHA256(), false)
	if _, _, err := c.Open(make([]byte, 100), make([]byte, c.SealedLen(20, 0)+1), 0, &s); err != ErrShort {
		t.Errorf("CBC not of whole blocks: %v, want ErrShort", err)
	}
}

// TestPadding opens authentic packets whose trailer is made up.
func TestPadding(t *testing.T) {
	var s Scratch
	c := mustNew(t, gcm128(), false)
	for _, tc := range []struct {
		text []byte
		want int // payload length, -1 for ErrPadding
	}{
		{[]byte{0, 4}, 0},
		{[]byte{1, 4}, -1},
		{[]byte{9, 9, 9, 1, 2, 4}, 2}, // contents of padding are not looked at, as in Linux
		{[]byte{9, 9, 9, 1, 4, 4}, 0},
		{[]byte{9, 9, 9, 1, 5, 4}, -1},
		{append(bytes.Repeat([]byte{1}, 300), 255, 4), 45},
	} {
		pkt := make([]byte, c.Headroom()+len(tc.text)+c.ICVLen())
		c.t.seal(c, pkt, bytes.Clone(tc.text), 0, &s)
		got, next, err := c.Open(pkt[c.Headroom():], pkt, 0, &s)
		if tc.want < 0 && err != ErrPadding || tc.want >= 0 && (err != nil || len(got) != tc.want || next != 4) {
			t.Errorf("%d bytes with trailer %v: %d bytes, next header %d, %v; want %d", len(tc.text), tc.text[len(tc.text)-2:], len(got), next, err, tc.want)
		}
	}
}

func TestTFCPaddingAndDummies(t *testing.T) {
	var s Scratch
	for name, a := range allSuites() {
		for _, c := range bodies(t, a) {
			for _, tc := range []struct{ n, padTo, want int }{{0, 0, 0}, {100, 100, 100}, {100, 99, 100}, {100, 101, 101}, {40, 1400, 1400}, {0, 500, 500}} {
				dst := bytes.Repeat([]byte{0xee}, c.SealedLen(tc.n, tc.padTo))
				payload := testBytes(tc.n, 3)
				n, err := c.Seal(dst, payload, &Seal{Seq: 9, NextHeader: NextHeaderDummy, PadTo: tc.padTo}, &s)
				if err != nil || n != len(dst) {
					t.Fatalf("%s: %d bytes, %v", name, n, err)
				}
				got, next, err := c.Open(dst[c.Headroom():], dst, 0, &s)
				if err != nil || next != NextHeaderDummy || len(got) != tc.want || !bytes.Equal(got[:tc.n], payload) {
					t.Fatalf("%s: %d padded to %d: %d bytes, next %d, %v", name, tc.n, tc.padTo, len(got), next, err)
				}
				if !bytes.Equal(got[tc.n:], make([]byte, tc.want-tc.n)) {
					t.Errorf("%s: TFC padding is not zero", name)
				}
			}
		}
	}
}

// TestPlaintextStaysInside opens forged packets into a buffer of their own and
// in place, and looks for the plaintext there.
func TestPlaintextStaysInside(t *testing.T) {
	var s Scratch
	for name, a := range allSuites() {
		if a.Auth == "digest_null" || a.Crypt == "ecb(cipher_null)" || a.AEAD == "rfc4543(gcm(aes))" {
			continue // nothing secret, or nothing to tell a forgery by
		}
		for _, c := range bodies(t, a) {
			for _, n := range []int{16, 100, 300, 1400} {
				secret := bytes.Repeat([]byte("secret! "), n/8+1)[:n]
				pkt := make([]byte, c.SealedLen(n, 0))
				if _, err := c.Seal(pkt, bytes.Clone(secret), &Seal{Seq: 9}, &s); err != nil {
					t.Fatal(err)
				}
				pkt[len(pkt)-1] ^= 1
				out := make([]byte, len(pkt))
				for _, dst := range [][]byte{out, pkt[c.Headroom():]} {
					if _, _, err := c.Open(dst, pkt, 0, &s); err != ErrAuth {
						t.Fatalf("%s: %v", name, err)
					}
					if bytes.Contains(dst, []byte("secret")) {
						t.Fatalf("%s: %d bytes of a forged packet: plaintext came out", name, n)
					}
				}
			}
		}
	}
}

func TestBehindPayloadIsKept(t *testing.T) {
	var s Scratch
	for name, a := range allSuites() {
		for _, c := range bodies(t, a) {
			buf := testBytes(200, 5)
			want := bytes.Clone(buf)
			dst := make([]byte, 300)
			for n := 1; n < 100; n++ {
				for _, room := range []int{0, 1, 5, 20, 100} {
					if _, err := c.Seal(dst, buf[:n:n+room], &Seal{Seq: 1}, &s); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !bytes.Equal(buf, want) {
				t.Errorf("%s: the payload's buffer was changed", name)
			}
		}
	}
}

func TestSizes(t *testing.T) {
	for name, a := range allSuites() {
		c := mustNew(t, a, false)
		for mtu := range 3000 {
			n := c.MaxPayload(mtu)
			if n > 0 && c.SealedLen(n, 0) > mtu || c.SealedLen(n+1, 0) <= mtu {
				t.Fatalf("%s: MaxPayload(%d) = %d, which makes %d, one more %d", name, mtu, n, c.SealedLen(n, 0), c.SealedLen(n+1, 0))
			}
			if l := c.SealedLen(mtu, 0); l > c.Headroom()+mtu+c.Tailroom() || l < c.Headroom()+mtu+trailerLen+c.ICVLen() {
				t.Fatalf("%s: SealedLen(%d) = %d", name, mtu, l)
			}
		}
	}
	c := mustNew(t, gcm128(), false)
	// IPv4 tunnel over 1500 bytes, as measured on Linux: 1446 bytes inside.
	if n := c.MaxPayload(1500 - 20); n != 1446 {
		t.Errorf("GCM over 1480 bytes: %d, want 1446", n)
	}
	if n := mustNew(t, cbcSHA256(), false).MaxPayload(1500 - 20); n != 1438 {
		t.Errorf("CBC over 1480 bytes: %d, want 1438", n)
	}
	if c.Headroom() != 16 || c.ICVLen() != 16 || !c.Counter() || mustNew(t, cbcSHA256(), false).Counter() {
		t.Error("sizes of GCM")
	}
}

// TestCBCIVs checks that IVs neither repeat nor follow each other.
func TestCBCIVs(t *testing.T) {
	var s Scratch
	c := mustNew(t, cbcSHA256(), false)
	seen := map[string]bool{}
	for i := range 500 {
		pkt := make([]byte, c.SealedLen(10, 0))
		if _, err := c.Seal(pkt, make([]byte, 10), &Seal{Seq: uint64(i + 1), IV: 1}, &s); err != nil {
			t.Fatal(err)
		}
		iv := string(pkt[8:24])
		if seen[iv] {
			t.Fatalf("IV %x twice", iv)
		}
		seen[iv] = true
	}
}

func TestCipherHidesKeys(t *testing.T) {
	for name, a := range allSuites() {
		c := mustNew(t, a, false)
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if got := fmt.Sprintf(format, c); got != "<esp cipher>" {
				t.Errorf("%s: %s prints %q", name, format, got)
			}
			if got := fmt.Sprintf(format, *c); got != "<esp cipher>" { //nolint:govet // a copy, to print
				t.Errorf("%s: %s of a value prints %q", name, format, got)
			}
		}
	}
}

func TestSeqOf(t *testing.T) {
	if _, _, ok := SeqOf(make([]byte, 7)); ok {
		t.Error("7 bytes have a sequence number")
	}
	if spi, seq, ok := SeqOf([]byte{1, 2, 3, 4, 5, 6, 7, 8}); spi != 0x01020304 || seq != 0x05060708 || !ok {
		t.Errorf("%#x %#x %v", spi, seq, ok)
	}
}

// TestAllocations: after the first packet a goroutine's packets cost none.
func TestAllocations(t *testing.T) {
	for name, a := range allSuites() {
		for _, c := range bodies(t, a) {
			var s Scratch
			buf := make([]byte, 3000)
			p := &Seal{SPI: 1, Seq: 1, NextHeader: 4}
			run := func() {
				p.IV++
				n, err := c.Seal(buf, buf[c.Headroom():][:1400], p, &s)
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := c.Open(buf[c.Headroom():], buf[:n], 0, &s); err != nil {
					t.Fatal(err)
				}
			}
			run()
			if c.suite == suiteChaCha && runtime.GOARCH != "amd64" {
				continue // x/crypto's portable ChaCha20 allocates
			}
			if got := testing.AllocsPerRun(50, run); got != 0 {
				t.Errorf("%s, esn %v: %v allocations a packet", name, c.ESN(), got)
			}
		}
	}
}

// TestConcurrentUse has several goroutines share a cipher; run with -race.
func TestConcurrentUse(t *testing.T) {
	for name, a := range allSuites() {
		for _, c := range bodies(t, a) {
			done := make(chan error)
			for g := range 4 {
				go func() {
					var s Scratch
					buf, want := make([]byte, 400), testBytes(200, uint64(g))
					for i := range 20 {
						copy(buf[c.Headroom():], want)
						n, err := c.Seal(buf, buf[c.Headroom():][:200], &Seal{Seq: uint64(i + 1), IV: uint64(g*100 + i)}, &s)
						if err != nil {
							done <- err
							return
						}
						got, _, err := c.Open(buf[c.Headroom():], buf[:n], 0, &s)
						if err != nil || !bytes.Equal(got, want) {
							done <- fmt.Errorf("packet %d: %w", i, err)
							return
						}
					}
					done <- nil
				}()
			}
			for range 4 {
				if err := <-done; err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

// TestMemory keeps the cipher within its part of an SA's 4 KiB.
func TestMemory(t *testing.T) {
	const count, most = 500, 1500
	for name, a := range allSuites() {
		var before, after runtime.MemStats
		kept := make([]*Cipher, count)
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range kept {
			kept[i] = mustNew(t, a, true)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / count
		t.Logf("%-45s %5d bytes", name, each)
		if each > most {
			t.Errorf("%s: %d bytes a cipher, at most %d", name, each, most)
		}
		runtime.KeepAlive(kept)
	}
}
