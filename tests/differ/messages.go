package differ

import (
	"encoding/binary"
	"math/rand/v2"
)

// messages makes random messages as a kernel could send them: bodies and
// attributes of every kind, with values that are usual, extreme, or of a
// newer kernel. Both tools decode them with `monitor file`.
type messages struct {
	r *rand.Rand
	// ifindexes that exist, so that names can be shown
	devices []uint32
	// the replay window of the last SA: the kernel has none there for an SA
	// with XFRMA_REPLAY_ESN_VAL
	window byte
}

func (m *messages) chance(n int) bool { return m.r.IntN(100) < n }

func choose[T any](m *messages, list ...T) T { return list[m.r.IntN(len(list))] }

func (m *messages) u32() uint32 {
	return choose[uint32](m, 0, 1, 5, 0xff, 0x1000, 1<<31, ^uint32(0), m.r.Uint32())
}

func (m *messages) u64() uint64 {
	return choose[uint64](m, 0, 1, 3600, 1<<32, 1<<63, ^uint64(0), m.r.Uint64())
}

// stamp is a time in seconds.
func (m *messages) stamp() uint64 {
	return choose[uint64](m, 0, 1, 1700000000, 4102444800)
}

func (m *messages) family() uint16 { return choose[uint16](m, 2, 2, 10) }

// address is 16 bytes, of which IPv4 uses four.
func (m *messages) address(family uint16) []byte {
	b := make([]byte, 16)
	if m.chance(12) {
		return b
	}
	if family == 10 {
		copy(b, choose(m, []byte{0xfd}, []byte{0x20, 0x01, 0x0d, 0xb8}, make([]byte, 10)))
		binary.BigEndian.PutUint32(b[12:], m.r.Uint32())
		if m.chance(10) {
			b[10], b[11] = 0xff, 0xff
		}
		return b
	}
	binary.BigEndian.PutUint32(b, m.r.Uint32())
	return b
}

func (m *messages) ifindex() uint32 {
	if m.chance(70) || len(m.devices) == 0 {
		return 0
	}
	return choose(m, append(m.devices, 4242)...)
}

func (m *messages) selector(family uint16) []byte {
	b := make([]byte, 0, 56)
	if m.chance(10) {
		return make([]byte, 56)
	}
	b = append(b, m.address(family)...)
	b = append(b, m.address(family)...)
	proto := choose[byte](m, 0, 1, 6, 17, 47, 50, 58, 132, 33, 135, 200, 253, 255)
	for range 2 {
		port := choose[uint16](m, 0, 80, 0x0800, 65535)
		mask := choose[uint16](m, 0, 0xffff, 0xffff, 0xff00)
		b = binary.BigEndian.AppendUint16(b, port)
		b = binary.BigEndian.AppendUint16(b, mask)
	}
	b = native.AppendUint16(b, family)
	bits := byte(32)
	if family == 10 {
		bits = 128
	}
	b = append(b, choose(m, 0, 8, 24, bits), choose(m, 0, 8, 24, bits), proto, 0, 0, 0)
	b = native.AppendUint32(b, m.ifindex())
	return native.AppendUint32(b, choose[uint32](m, 0, 0, 1000))
}

func (m *messages) id(family uint16) []byte {
	b := m.address(family)
	b = binary.BigEndian.AppendUint32(b, m.u32())
	return append(b, choose[byte](m, 50, 50, 51, 108, 43, 60, 4, 255, 0), 0, 0, 0)
}

func (m *messages) limits() []byte {
	var b []byte
	for i := range 8 {
		v := ^uint64(0)
		if i >= 4 {
			v = 0
		}
		if m.chance(30) {
			v = m.u64()
		}
		b = native.AppendUint64(b, v)
	}
	return b
}

func (m *messages) used() []byte {
	b := native.AppendUint64(nil, m.u64())
	b = native.AppendUint64(b, m.u64())
	b = native.AppendUint64(b, m.stamp())
	return native.AppendUint64(b, m.stamp())
}

func (m *messages) sa() []byte {
	family := m.family()
	selector := family
	if m.chance(10) {
		selector = m.family()
	}
	b := m.selector(selector)
	b = append(b, m.id(family)...)
	b = append(b, m.address(family)...)
	b = append(b, m.limits()...)
	b = append(b, m.used()...)
	for range 3 {
		b = native.AppendUint32(b, m.u32()) // statistics
	}
	b = native.AppendUint32(b, m.u32()) // seq
	b = native.AppendUint32(b, m.u32()) // reqid
	b = native.AppendUint16(b, family)
	flags := choose[byte](m, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 0x21, 0xff)
	m.window = choose[byte](m, 0, 0, 32, 255)
	return append(b, choose[byte](m, 0, 1, 1, 2, 3, 4, 5, 9), m.window, flags, 0, 0, 0, 0, 0, 0, 0)
}

func (m *messages) policy() []byte {
	b := m.selector(m.family())
	b = append(b, m.limits()...)
	b = append(b, m.used()...)
	b = native.AppendUint32(b, m.u32())
	b = native.AppendUint32(b, m.u32())
	b = append(b, choose[byte](m, 0, 1, 2, 3, 4, 5), choose[byte](m, 0, 0, 1, 7), choose[byte](m, 0, 0, 1, 2, 3, 4, 0xff), choose[byte](m, 0, 0, 1, 2, 3, 9))
	return append(b, 0, 0, 0, 0)
}

// algorithm returns a name padded to 64 bytes and what follows it.
func (m *messages) algorithm(extra bool) []byte {
	b := make([]byte, 64)
	copy(b, choose(m, "cbc(aes)", "hmac(sha256)", "rfc4106(gcm(aes))", "deflate", "ecb(cipher_null)", "digest_null", ""))
	size := choose(m, 0, 16, 20, 32, 1, 64)
	b = native.AppendUint32(b, uint32(8*size))
	if extra {
		b = native.AppendUint32(b, choose[uint32](m, 0, 96, 128, 256))
	}
	for range size {
		b = append(b, byte(m.r.Uint32()))
	}
	return b
}

// mark is never all zeros, and nonZero not zero: the kernel leaves those out.
func (m *messages) mark() []byte {
	value := m.u32()
	mask := m.u32()
	if value == 0 && mask == 0 {
		mask = 1
	}
	return native.AppendUint32(native.AppendUint32(nil, value), mask)
}

func (m *messages) nonZero() []byte { return native.AppendUint32(nil, 1+m.u32()/2) }

func (m *messages) word() []byte { return native.AppendUint32(nil, m.u32()) }

func (m *messages) replay() []byte {
	return append(append(m.word(), m.word()...), m.word()...)
}

func (m *messages) replayESN() []byte {
	words := choose[uint32](m, 0, 1, 2, 4, 8, 9, 17, 128)
	b := native.AppendUint32(nil, words)
	for range 5 {
		b = append(b, m.word()...)
	}
	for range words {
		b = append(b, m.word()...)
	}
	return b
}

func (m *messages) encap() []byte {
	b := native.AppendUint16(nil, choose[uint16](m, 1, 2, 7, 9, 0))
	b = binary.BigEndian.AppendUint16(b, uint16(m.u32()))
	b = binary.BigEndian.AppendUint16(b, uint16(m.u32()))
	return append(append(b, 0, 0), m.address(2)...)
}

func (m *messages) securityContext() []byte {
	text := choose(m, "system_u:object_r:ipsec_spd_t:s0\x00", "x\x00")
	b := native.AppendUint16(nil, uint16(8+len(text)))
	b = native.AppendUint16(b, 8)
	b = append(b, 1, 1)
	b = native.AppendUint16(b, uint16(len(text)))
	return append(b, text...)
}

func (m *messages) offload(packet bool) []byte {
	b := native.AppendUint32(nil, choose(m, append(m.devices, 4242)...))
	if packet {
		return append(b, 4, 0, 0, 0)
	}
	return append(b, choose[byte](m, 0, 2, 4, 6, 1), 0, 0, 0)
}

func (m *messages) templates() []byte {
	var b []byte
	for range choose(m, 1, 1, 1, 2, 6) {
		family := m.family()
		b = append(b, m.id(family)...)
		b = append(native.AppendUint16(b, family), 0, 0)
		b = append(b, m.address(family)...)
		b = native.AppendUint32(b, m.u32())
		b = append(b, choose[byte](m, 0, 1, 1, 2, 4, 5), choose[byte](m, 0, 0, 1, 2, 3), choose[byte](m, 0, 0, 1), 0)
		for range 3 {
			b = native.AppendUint32(b, choose(m, ^uint32(0), ^uint32(0), 0, m.r.Uint32()))
		}
	}
	return b
}

// maybe appends an attribute in n of 100 cases.
func (m *messages) maybe(b []byte, n int, kind uint16, value func() []byte) []byte {
	if !m.chance(n) {
		return b
	}
	return attribute(b, kind, value())
}

// Attribute numbers of linux/xfrm.h that only this file needs.
const (
	attrAuth = 1 + iota
	attrCrypt
	attrComp
	attrEncap
	attrTemplates
	attrSA
	attrPolicy
	attrContext
	attrLifetime
	attrReplay
	attrReplayThresh
	attrTimerThresh
	attrSource
	attrCareOf
	attrLastUsed
)

const (
	attrAEAD         = 18
	attrAuthTrunc    = 20
	attrMark         = 21
	attrTFC          = 22
	attrReplayESN    = 23
	attrExtraFlags   = 24
	attrOffload      = 28
	attrOutMark      = 29
	attrOutMarkMask  = 30
	attrIfID         = 31
	attrMappingTimer = 32
	attrDir          = 33
	attrKeepalive    = 34
	attrPCPU         = 35
)

// saAttributes appends what may stand behind an SA.
func (m *messages) saAttributes(b []byte) []byte {
	algorithm := func() []byte { return m.algorithm(false) }
	long := func() []byte { return m.algorithm(true) }
	b = m.maybe(b, 20, attrLastUsed, func() []byte { return native.AppendUint64(nil, 1+m.stamp()) })
	b = m.maybe(b, 15, attrCareOf, func() []byte { return m.address(10) })
	b = m.maybe(b, 30, attrAEAD, long)
	b = m.maybe(b, 25, attrAuth, algorithm)
	b = m.maybe(b, 25, attrAuthTrunc, long)
	b = m.maybe(b, 35, attrCrypt, algorithm)
	b = m.maybe(b, 15, attrComp, algorithm)
	b = m.maybe(b, 25, attrEncap, m.encap)
	b = m.maybe(b, 15, attrTFC, m.nonZero)
	b = m.maybe(b, 30, attrMark, m.mark)
	if m.chance(30) { // the kernel sends both or none, and none of zeros
		b = attribute(attribute(b, attrOutMark, m.word()), attrOutMarkMask, native.AppendUint32(nil, 1|m.u32()))
	}
	b = m.maybe(b, 30, attrReplay, m.replay)
	if m.window == 0 {
		b = m.maybe(b, 50, attrReplayESN, m.replayESN)
	}
	b = m.maybe(b, 20, attrExtraFlags, func() []byte { return native.AppendUint32(nil, choose[uint32](m, 1, 2, 3, 4, 0xffffffff)) })
	b = m.maybe(b, 20, attrOffload, func() []byte { return m.offload(false) })
	b = m.maybe(b, 15, attrContext, m.securityContext)
	b = m.maybe(b, 30, attrIfID, m.nonZero)
	b = m.maybe(b, 25, attrDir, func() []byte { return []byte{choose[byte](m, 1, 2)} })
	b = m.maybe(b, 20, attrPCPU, m.nonZero)
	b = m.maybe(b, 10, attrMappingTimer, m.word)
	b = m.maybe(b, 10, attrKeepalive, m.word)
	return m.maybe(b, 10, attrReplayThresh, m.word)
}

// policyAttributes appends what may stand behind a policy.
func (m *messages) policyAttributes(b []byte) []byte {
	b = m.maybe(b, 65, attrTemplates, m.templates)
	b = m.maybe(b, 15, attrContext, m.securityContext)
	b = m.maybe(b, 60, attrPolicyType, func() []byte { return []byte{choose[byte](m, 0, 0, 1, 7), 0, 0, 0, 0, 0} })
	b = m.maybe(b, 30, attrMark, m.mark)
	b = m.maybe(b, 30, attrIfID, m.nonZero)
	return m.maybe(b, 10, attrOffload, func() []byte { return m.offload(true) })
}

// next makes a message of any type.
func (m *messages) next() message {
	makers := []func() message{
		func() message {
			return newMessage(choose[uint16](m, msgNewSA, msgNewSA, 0x1a), 0, m.saAttributes(m.sa()))
		},
		func() message {
			return newMessage(choose[uint16](m, msgNewPolicy, msgNewPolicy, 0x19), 0, m.policyAttributes(m.policy()))
		},
		func() message { return newMessage(0x11, 0, m.saAttributes(attribute(m.saID(), attrSA, m.sa()))) },
		func() message {
			body := append(m.selector(m.family()), m.word()...)
			body = append(body, choose[byte](m, 0, 1, 2), 0, 0, 0)
			return newMessage(0x14, 0, m.policyAttributes(attribute(body, attrPolicy, m.policy())))
		},
		func() message {
			body := append(m.sa(), choose[byte](m, 0, 1), 0, 0, 0, 0, 0, 0, 0)
			return newMessage(0x18, 0, m.maybe(m.maybe(body, 30, attrMark, m.mark), 30, attrIfID, m.nonZero))
		},
		func() message {
			body := append(m.policy(), choose[byte](m, 0, 1), 0, 0, 0, 0, 0, 0, 0)
			return newMessage(0x1b, 0, m.policyAttributes(body))
		},
		m.acquire, m.aevent, m.report, m.mapping,
		func() message {
			return newMessage(msgFlushSA, 0, []byte{choose[byte](m, 0, 50, 51, 108, 255, 43), 0, 0, 0})
		},
		func() message {
			return newMessage(msgFlushPolicy, 0, m.maybe(nil, 60, attrPolicyType, func() []byte { return []byte{choose[byte](m, 0, 1), 0, 0, 0, 0, 0} }))
		},
		func() message {
			return newMessage(msgGetDefault, 0, []byte{choose[byte](m, 1, 2), choose[byte](m, 1, 2), choose[byte](m, 1, 2), 0})
		},
	}
	return makers[m.r.IntN(len(makers))]()
}

// saID is xfrm_usersa_id.
func (m *messages) saID() []byte {
	family := m.family()
	b := m.address(family)
	b = binary.BigEndian.AppendUint32(b, m.u32())
	b = native.AppendUint16(b, family)
	return append(b, choose[byte](m, 50, 50, 51, 108, 43), 0)
}

func (m *messages) acquire() message {
	family := m.family()
	b := append(m.id(family), m.address(family)...)
	b = append(b, m.selector(family)...)
	b = append(b, m.policy()...)
	for range 4 {
		b = native.AppendUint32(b, m.u32())
	}
	return newMessage(0x17, 0, m.policyAttributes(b))
}

func (m *messages) aevent() message {
	b := m.saID()
	b = append(b, m.address(native.Uint16(b[20:]))...)
	b = native.AppendUint32(b, choose[uint32](m, 0, 16, 32, 64, 0x30, 0x60, 0xffff, 1))
	b = native.AppendUint32(b, m.u32())
	b = m.maybe(b, 60, attrReplay, m.replay)
	b = m.maybe(b, 60, attrLifetime, m.used)
	return newMessage(0x1e, 0, m.maybe(b, 30, attrMark, m.mark))
}

func (m *messages) report() message {
	b := append([]byte{choose[byte](m, 60, 43), 0, 0, 0}, m.selector(10)...)
	native.PutUint16(b[4+40:], 10) // one without a family does not come
	return newMessage(0x20, 0, m.maybe(b, 60, attrCareOf, func() []byte { return m.address(10) }))
}

func (m *messages) mapping() message {
	b := m.saID()
	family := native.Uint16(b[20:])
	b = native.AppendUint32(b, m.u32())
	b = append(b, m.address(family)...)
	b = append(b, m.address(family)...)
	b = binary.BigEndian.AppendUint16(b, uint16(m.u32()))
	return newMessage(0x26, 0, binary.BigEndian.AppendUint16(b, uint16(m.u32())))
}
