package flow

import "math/rand/v2"

var (
	src4 = []byte{192, 0, 2, 1}
	dst4 = []byte{198, 51, 100, 7}
	src6 = []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}
	dst6 = []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}
)

// ip4 is a packet with the given flags and fragment offset field.
func ip4(proto uint8, frag uint16, payload ...byte) []byte {
	p := []byte{0x45, 0xb9, 0, 0, 0x12, 0x34, 0, 0, 63, proto, 0, 0}
	p = append(append(append(p, src4...), dst4...), payload...)
	be.PutUint16(p[2:], uint16(len(p)))
	be.PutUint16(p[6:], frag)
	be.PutUint16(p[10:], ^slowSum(p[:20]))
	return p
}

// ip6 is a packet whose payload begins with extension headers, if any.
func ip6(next uint8, payload ...byte) []byte {
	p := []byte{0x6b, 0x9a, 0xbc, 0xde, 0, 0, next, 62}
	p = append(append(append(p, src6...), dst6...), payload...)
	be.PutUint16(p[4:], uint16(len(p)-40))
	return p
}

// ext is an extension header of 8*(n+1) bytes.
func ext(next uint8, n int) []byte {
	return append([]byte{next, byte(n)}, make([]byte, 8*(n+1)-2)...)
}

func fragHeader(next uint8, off int, more bool, id uint32) []byte {
	h := []byte{next, 0, byte(off >> 8), byte(off)}
	if more {
		h[3] |= 1
	}
	return be.AppendUint32(h, id)
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func slowSum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func random(n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
