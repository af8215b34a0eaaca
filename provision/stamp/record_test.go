package stamp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// message is one of a type, with what an encoder has put into a request.
func message(t *testing.T, r netlinkx.Request) []byte {
	t.Helper()
	b, err := netlinkx.AppendRequest(nil, r, 7, 0)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// attr appends an attribute, and makes the message that much longer.
func attr(m []byte, typ uint16, data []byte) []byte {
	m = binary.NativeEndian.AppendUint16(m, uint16(4+len(data)))
	m = binary.NativeEndian.AppendUint16(m, typ)
	m = append(m, data...)
	for len(m)%4 != 0 {
		m = append(m, 0)
	}
	binary.NativeEndian.PutUint32(m, uint32(len(m)))
	return m
}

func filled(n int) []byte { return bytes.Repeat([]byte{0x5a}, n) }

func sa(t *testing.T) []byte {
	x := netlinkx.NewSA()
	x.Src, x.Dst, x.Dir = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netlinkx.DirIn
	x.Proto, x.SPI, x.ReqID, x.Mode, x.ReplayWindow = netlinkx.ProtoESP, 0x1000, 1, netlinkx.ModeTunnel, 1024
	x.Flags, x.IfID, x.OutputMark = netlinkx.FlagESN, 5, netlinkx.Mark{Value: 1, Mask: 3}
	x.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128, Key: netlinkx.NewKey(filled(20))}
	const bitmap = 1024 / 8
	return attr(attr(message(t, netlinkx.AddSA(x)), 15, filled(8)), 23, filled(netlinkx.SizeReplayESN+bitmap))
}

func policy(t *testing.T) []byte {
	p := netlinkx.NewPolicy()
	p.Dir, p.Priority, p.IfID = netlinkx.PolicyOut, 10, 5
	p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.1.0.0/16"), Dst: netip.MustParsePrefix("10.2.0.0/16")}
	tmpl := netlinkx.NewTemplate()
	tmpl.Src, tmpl.Dst, tmpl.Proto, tmpl.ReqID = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netlinkx.ProtoESP, 1
	p.Templates = []netlinkx.Template{tmpl}
	return message(t, netlinkx.AddPolicy(p))
}

// route is an rtnetlink message of a type, with attributes.
func route(typ uint16, fixed int, attrs ...[]byte) []byte {
	m := make([]byte, headerSize)
	binary.NativeEndian.PutUint16(m[headerType:], typ)
	m = append(m, filled(fixed)...)
	binary.NativeEndian.PutUint32(m, uint32(len(m)))
	for _, a := range attrs {
		m = attr(m, binary.NativeEndian.Uint16(a), a[2:])
	}
	return m
}

func typed(typ uint16, data []byte) []byte {
	return append(binary.NativeEndian.AppendUint16(nil, typ), data...)
}

// nested is an attribute that holds others.
func nested(typ uint16, inner ...[]byte) []byte {
	m := make([]byte, headerSize)
	for _, a := range inner {
		m = attr(m, binary.NativeEndian.Uint16(a), a[2:])
	}
	return typed(typ|0x8000, m[headerSize:])
}

// digest is what a Recorder has seen of one answer; nil when it is spoilt.
func digest(protocol int, m []byte) []byte {
	r := NewRecorder()
	r.tap(protocol, false, bytes.Clone(m))
	if r.spoilt {
		return nil
	}
	return r.sum.Sum(nil)
}

// TestEveryByteCounts changes every byte of messages that answer, one at a time:
// what a Recorder has seen differs, but for the counters, which are given here by
// the number of bytes that they have.
func TestEveryByteCounts(t *testing.T) {
	const numbers = 8 // sequence and port of a message
	for _, tc := range []struct {
		name     string
		protocol int
		m        []byte
		counters int
	}{
		// bytes, packets, use time; struct xfrm_stats; the time of the last use; four
		// counters of the request's window, and of another with its bits
		{"SA", protocolXFRM, sa(t), 24 + 12 + 8 + 16 + 16 + 1024/8},
		{"policy", protocolXFRM, policy(t), 24},
		{"link", protocolRoute, route(16, 16, typed(3, []byte("ipsec0\x00\x00")), typed(7, filled(96)), typed(23, filled(200)), typed(4, filled(4)),
			nested(26, nested(2, typed(1, filled(16))), nested(10, typed(1, filled(4)), typed(2, filled(8)), typed(3, filled(40)), typed(5, filled(16)), typed(6, filled(48))))),
			96 + 200 + 40 + 16 + 48},
		{"address", protocolRoute, route(20, 8, typed(1, filled(4)), typed(6, filled(16)), typed(8, filled(4))), 16},
		{"route", protocolRoute, route(24, 12, typed(1, filled(4)), typed(12, filled(32)), typed(4, filled(4))), 32},
		{"of another type", protocolRoute, route(28, 12, typed(6, filled(16))), 0},
	} {
		plain := digest(tc.protocol, tc.m)
		if plain == nil {
			t.Fatalf("%s: cannot be taken up", tc.name)
		}
		same := 0
		for i := range tc.m {
			changed := bytes.Clone(tc.m)
			changed[i] ^= 1
			if bytes.Equal(digest(tc.protocol, changed), plain) {
				same++
			}
		}
		if same != tc.counters+numbers {
			t.Errorf("%s: %d bytes do not count, want %d", tc.name, same, tc.counters+numbers)
		}
	}
}

// TestWhatComesAndGoes: one more, one less, another order, or an end with an error.
func TestWhatComesAndGoes(t *testing.T) {
	a, b := sa(t), policy(t)
	see := func(msgs ...[]byte) string {
		r := NewRecorder()
		for _, m := range msgs {
			r.XFRM(false, m)
		}
		if r.spoilt {
			return "spoilt"
		}
		return string(r.sum.Sum(nil))
	}
	done := func(status uint32) []byte {
		m := make([]byte, headerSize)
		binary.NativeEndian.PutUint16(m[headerType:], typeDone)
		m = binary.NativeEndian.AppendUint32(m, status)
		binary.NativeEndian.PutUint32(m, uint32(len(m)))
		return m
	}
	both := see(a, b)
	for what, other := range map[string]string{"one less": see(a), "one more": see(a, b, b), "another order": see(b, a)} {
		if other == both {
			t.Error(what + " is no difference")
		}
	}
	joined := append(bytes.Clone(a), b...)
	if see(joined, done(0)) != both {
		t.Error("how messages are put into datagrams is a difference")
	}
	if see(a, b, done(0xfffffff4)) != "spoilt" || see(a, nil) != "spoilt" || see(a[:50]) != "spoilt" {
		t.Error("an answer that is not complete is taken for one")
	}
	short := bytes.Clone(a)
	binary.NativeEndian.PutUint16(short[headerSize+netlinkx.SizeSAInfo:], 3) // the length of an attribute
	if see(short) != "spoilt" {
		t.Error("an attribute without a length is taken up")
	}
}

// TestOnlyQuestions: what changes something is not asked again.
func TestOnlyQuestions(t *testing.T) {
	r := NewRecorder()
	r.XFRM(true, message(t, netlinkx.GetSA(&netlinkx.SAID{Dst: netip.MustParseAddr("192.0.2.1"), SPI: 0x1000, Proto: netlinkx.ProtoESP})))
	r.Routes(true, route(18, 16))
	if r.spoilt || len(r.asked) != 2 {
		t.Fatal("questions are not taken up")
	}
	for _, m := range [][]byte{sa(t), policy(t)} {
		r.Begin()
		if r.XFRM(true, m); !r.spoilt {
			t.Error("a message that changes something is a question")
		}
	}
	if r.Begin(); r.spoilt {
		t.Error("a new beginning is spoilt")
	}
	if r.Routes(true, route(16, 16)); !r.spoilt {
		t.Error("a link that is made is a question")
	}
}
