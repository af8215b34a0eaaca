package outer

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// packet4 is an IPv4 packet with n bytes behind the header.
func packet4(n int) []byte {
	b := make([]byte, 20+n)
	b[0], b[8], b[9] = 0x45, 64, 50
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	for i := range b[20:] {
		b[20+i] = byte(i * 7)
	}
	return b
}

// packet6 is an IPv6 packet with the given extension headers, each of 8 bytes.
func packet6(n int, extensions ...byte) []byte {
	b := make([]byte, 40, 40+8*len(extensions)+n)
	b[0], b[7] = 0x60, 64
	place := 6
	for _, x := range extensions {
		b[place] = x
		place = len(b)
		b = append(b, make([]byte, 8)...)
	}
	b[place] = 50
	for i := range n {
		b = append(b, byte(i*7))
	}
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	return b
}

// together puts fragments together, the slow and obvious way.
func together(t *testing.T, f *fragments, mtu int) (whole []byte, count int) {
	t.Helper()
	var payload []byte
	for more := true; ; count++ {
		head, part := f.next()
		if head == nil {
			if more {
				t.Fatal("the last fragment says that more follow")
			}
			return payload, count
		}
		if len(head)+len(part) > mtu {
			t.Fatalf("fragment of %d bytes, MTU %d", len(head)+len(part), mtu)
		}
		var offset int
		if head[0]>>4 == 4 {
			word := binary.BigEndian.Uint16(head[6:])
			offset, more = int(word&0x1fff)*8, word&0x2000 != 0
			if int(binary.BigEndian.Uint16(head[2:])) != len(head)+len(part) || binary.BigEndian.Uint16(head[4:]) != 0x5678 {
				t.Fatalf("header % x", head)
			}
		} else {
			h := head[len(head)-8:]
			word := binary.BigEndian.Uint16(h[2:])
			offset, more = int(word&^7), word&1 != 0
			if int(binary.BigEndian.Uint16(head[4:])) != len(head)-40+len(part) || binary.BigEndian.Uint32(h[4:]) != 0x12345678 {
				t.Fatalf("header % x", head)
			}
		}
		if offset != len(payload) {
			t.Fatalf("offset %d after %d bytes", offset, len(payload))
		}
		payload = append(payload, part...)
	}
}

func TestFragments(t *testing.T) {
	for _, mtu := range []int{576, 1280, 1500} {
		for _, n := range []int{1, 8, 1259, 1260, 1261, 1472, 1480, 1481, 4000, 65000} {
			for _, pkt := range [][]byte{packet4(n), packet6(n)} {
				var f fragments
				if !f.init(pkt, mtu, 0x12345678) {
					t.Fatalf("%d bytes, MTU %d: not cut", n, mtu)
				}
				got, count := together(t, &f, mtu)
				want := pkt[len(pkt)-n:]
				if !bytes.Equal(got, want) || count != (n+f.each-1)/f.each {
					t.Errorf("%d bytes, MTU %d: %d bytes in %d fragments", n, mtu, len(got), count)
				}
			}
		}
	}
}

func TestFragmentsRepeatHeaders(t *testing.T) {
	tests := []struct {
		name       string
		extensions []byte
		repeated   int // of the extension headers
	}{
		{"none", nil, 0},
		{"hop by hop", []byte{0}, 1},
		{"destination options", []byte{60}, 0},
		{"hop by hop and destination options", []byte{0, 60}, 1},
		{"destination options before routing", []byte{60, 43, 60}, 2},
	}
	for _, tt := range tests {
		pkt := packet6(3000, tt.extensions...)
		var f fragments
		if !f.init(pkt, 1500, 0x12345678) {
			t.Fatalf("%s: not cut", tt.name)
		}
		head, part := f.next()
		if n := 40 + 8*tt.repeated + 8; len(head) != n || !bytes.Equal(part, pkt[n-8:n-8+len(part)]) {
			t.Errorf("%s: header of %d bytes, want %d", tt.name, len(head), n)
		}
		if f.v6 && head[len(head)-8] != append(tt.extensions, 50)[tt.repeated] {
			t.Errorf("%s: the fragment header is followed by %d", tt.name, head[len(head)-8])
		}
	}
}

func TestFragmentsRefuse(t *testing.T) {
	long := packet6(100, bytes.Repeat([]byte{0}, 40)...)
	for _, pkt := range [][]byte{nil, {0x45}, packet4(0), packet6(0), long, append([]byte{0x41}, packet4(50)[1:]...)} {
		var f fragments
		if f.init(pkt, 1500, 1) {
			t.Errorf("% x was cut", pkt)
		}
	}
	var f fragments
	if f.init(packet4(100), 24, 1) || f.init(packet6(100), 48, 1) {
		t.Error("cut for an MTU that has no room")
	}
}
