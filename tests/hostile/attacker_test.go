package hostile_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/esp"
	"github.com/xfrmctl/xfrmctl/tests/engine"
)

// An attacker makes packets. It has the keys, so that some of what it makes
// gets past the cipher.
type attacker struct {
	r       *rand.Rand
	cipher  *esp.Cipher
	scratch esp.Scratch
	spi     uint32
	seq     uint64
	history [][]byte // packets to replay and to spoil
	kinds   []kind
}

// A kind of packet, and how often it comes.
type kind struct {
	name   string
	weight int
	make   func(a *attacker) []byte
}

// kinds of packets; each gives what follows the UDP or IP header.
var kinds = []kind{
	{"good", 10, (*attacker).good},
	{"replayed", 10, func(a *attacker) []byte { return a.old() }},
	{"bit flipped", 20, (*attacker).flipped},
	{"truncated", 10, func(a *attacker) []byte { p := a.old(); return p[:a.r.IntN(len(p)+1)] }},
	{"lengthened", 5, func(a *attacker) []byte { return append(a.old(), a.noise(1+a.r.IntN(64))...) }},
	{"noise with the right SPI", 10, (*attacker).known},
	{"noise", 5, func(a *attacker) []byte { return a.noise(a.r.IntN(1500)) }},
	{"unknown SPI", 10, func(a *attacker) []byte { return a.withSPI(a.r.Uint32()) }},
	{"reserved SPI", 2, func(a *attacker) []byte { return a.withSPI(a.r.Uint32N(256)) }},
	{"IKE", 3, func(a *attacker) []byte { return append(make([]byte, 4), a.noise(a.r.IntN(1400))...) }},
	{"keepalive", 2, func(a *attacker) []byte { return []byte{0xff} }},
	{"a few bytes", 3, func(a *attacker) []byte { return a.noise(a.r.IntN(20)) }},
	{"sealed noise", 10, func(a *attacker) []byte { return a.seal(a.noise(a.r.IntN(1400)), a.header()) }},
	{"sealed packet, spoiled", 20, (*attacker).spoiled},
	{"far sequence number", 5, (*attacker).far},
}

func newAttacker(t *testing.T, x *engine.Tunnel, seed uint64) *attacker {
	t.Helper()
	c, err := esp.New(esp.Algorithms{AEAD: "rfc4106(gcm(aes))", AEADKey: netlinkx.NewKey(x.Keys[0]), ICVBits: 128}, true)
	if err != nil {
		t.Fatal(err)
	}
	a := &attacker{r: rand.New(rand.NewPCG(seed, 1)), cipher: c, spi: x.SPI}
	for _, k := range kinds {
		for range k.weight {
			a.kinds = append(a.kinds, k)
		}
	}
	for range 64 {
		a.good()
	}
	return a
}

// next makes one packet, owned by the caller until the next.
func (a *attacker) next() []byte { return a.kinds[a.r.IntN(len(a.kinds))].make(a) }

func (a *attacker) noise(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 8 {
		var w [8]byte
		binary.NativeEndian.PutUint64(w[:], a.r.Uint64())
		copy(b[i:], w[:])
	}
	return b
}

// seal makes ESP of a payload, with the next sequence number.
func (a *attacker) seal(payload []byte, next byte) []byte {
	a.seq++
	b := make([]byte, a.cipher.Headroom()+len(payload)+a.cipher.Tailroom())
	n, err := a.cipher.Seal(b, payload, &esp.Seal{SPI: a.spi, Seq: a.seq, IV: a.r.Uint64(), NextHeader: next}, &a.scratch)
	if err != nil {
		panic(err) // the arguments are ours
	}
	b = b[:n]
	if len(a.history) < 64 {
		a.history = append(a.history, b)
	} else {
		a.history[a.r.IntN(64)] = b
	}
	return b
}

// old is a copy of a packet that was sent, or nearly so.
func (a *attacker) old() []byte {
	p := a.history[a.r.IntN(len(a.history))]
	return append(make([]byte, 0, len(p)+64), p...)
}

// header is a next header: mostly one that means something.
func (a *attacker) header() byte {
	known := []byte{4, 41, 59, 17, 6, 1, 58, 0, 43, 44, 60, 94, 50, byte(a.r.Uint32())}
	return known[a.r.IntN(len(known))]
}

// inner is a UDP datagram between the inner addresses that nobody listens to.
func (a *attacker) inner(payload int) []byte {
	b := append(make([]byte, 28), a.noise(payload)...)
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	src, dst := netip.MustParseAddr(engine.InnerA).As4(), netip.MustParseAddr(engine.InnerB).As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[20:], 9)
	binary.BigEndian.PutUint16(b[22:], uint16(20000+a.r.IntN(1000)))
	binary.BigEndian.PutUint16(b[24:], uint16(8+payload))
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
	return b
}

func (a *attacker) good() []byte { return a.seal(a.inner(a.r.IntN(1300)), 4) }

// spoiled is a packet whose inner headers are wrong, and sealed right.
func (a *attacker) spoiled() []byte {
	p := a.inner(a.r.IntN(200))
	next := byte(4)
	if a.r.IntN(3) == 0 { // IPv6 with extension headers
		next = 41
		p = append(a.noise(40), a.noise(a.r.IntN(300))...)
		p[0] = 0x60
		p[6] = a.header()
		for i := 40; i < len(p); i += 8 {
			p[i] = a.header()
		}
	}
	for range 1 + a.r.IntN(3) {
		if len(p) > 0 {
			p[a.r.IntN(min(len(p), 60))] = byte(a.r.Uint32())
		}
	}
	return a.seal(p[:len(p)-a.r.IntN(min(len(p), 8))], next)
}

func (a *attacker) flipped() []byte {
	p := a.old()
	for range 1 + a.r.IntN(4) {
		p[a.r.IntN(len(p))] ^= 1 << a.r.IntN(8)
	}
	return p
}

func (a *attacker) withSPI(spi uint32) []byte {
	p := a.old()
	binary.BigEndian.PutUint32(p, spi)
	return p
}

func (a *attacker) known() []byte {
	p := a.noise(8 + a.r.IntN(1400))
	binary.BigEndian.PutUint32(p, a.spi)
	return p
}

func (a *attacker) far() []byte {
	p := a.old()
	binary.BigEndian.PutUint32(p[4:], uint32(a.seq)+a.r.Uint32N(1<<31))
	return p
}
