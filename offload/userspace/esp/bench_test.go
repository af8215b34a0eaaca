package esp

import (
	"fmt"
	"testing"
)

// benchSuites are the suites that peers propose.
var benchSuites = []string{
	"rfc4106(gcm(aes))-128-128", "rfc4106(gcm(aes))-256-128", "rfc4106(gcm(aes))-128-64", "rfc4543(gcm(aes))-128-128",
	"rfc7539esp(chacha20,poly1305)-256-128", "cbc(aes)-128+hmac(sha1)-96", "cbc(aes)-128+hmac(sha256)-128", "cbc(aes)-256+hmac(sha512)-256",
	"rfc3686(ctr(aes))-160+hmac(sha256)-128", "ecb(cipher_null)-0+hmac(sha256)-128",
}

// Payloads: a small packet, a packet of an Ethernet path, and what a jumbo
// path or a loopback carries.
var benchSizes = []int{64, 1400, 16384}

func benchmark(b *testing.B, run func(b *testing.B, c *Cipher, n int)) {
	all := allSuites()
	for _, name := range benchSuites {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				run(b, mustNew(b, all[name], true), n)
			})
		}
	}
}

// BenchmarkSeal seals a payload that lies elsewhere, as when the segments of a
// super-packet go into a send buffer.
func BenchmarkSeal(b *testing.B) {
	benchmark(b, func(b *testing.B, c *Cipher, n int) {
		var s Scratch
		payload, dst := make([]byte, n+32), make([]byte, c.SealedLen(n, 0))
		p := &Seal{SPI: 1, NextHeader: 4}
		for b.Loop() {
			p.Seq++
			p.IV++
			if _, err := c.Seal(dst, payload[:n], p, &s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSealInPlace seals where the payload lies.
func BenchmarkSealInPlace(b *testing.B) {
	benchmark(b, func(b *testing.B, c *Cipher, n int) {
		var s Scratch
		dst := make([]byte, c.SealedLen(n, 0))
		p := &Seal{SPI: 1, NextHeader: 4}
		for b.Loop() {
			p.Seq++
			p.IV++
			if _, err := c.Seal(dst, dst[c.Headroom():][:n], p, &s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkOpen opens into another buffer, so that the packet stays good.
func BenchmarkOpen(b *testing.B) {
	benchmark(b, func(b *testing.B, c *Cipher, n int) {
		var s Scratch
		pkt, dst := make([]byte, c.SealedLen(n, 0)), make([]byte, n+32)
		if _, err := c.Seal(pkt, dst[:n], &Seal{SPI: 1, Seq: 1}, &s); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, _, err := c.Open(dst, pkt, 0, &s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkNew is the cost of an SA, and its memory.
func BenchmarkNew(b *testing.B) {
	all := allSuites()
	for _, name := range benchSuites {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := New(all[name], true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
