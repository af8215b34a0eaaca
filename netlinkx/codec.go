package netlinkx

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

var (
	host = binary.NativeEndian
	be   = binary.BigEndian
)

const (
	sizeHeader  = 16
	sizeAttr    = 4
	algoNameLen = 64 // with the terminating NUL
)

// Netlink header flags that this package sets or tests.
const (
	flagRequest = 0x1
	flagMulti   = 0x2
	flagAck     = 0x4
	flagReplace = 0x100
	flagDump    = 0x300
	flagIntr    = 0x10
	flagCapped  = 0x100
	flagAckTLVs = 0x200
)

// DecodeError tells that a message or attribute does not have the form that
// linux/xfrm.h gives it.
type DecodeError struct {
	Msg    MsgType
	Attr   string // name, "" for the fixed part
	Reason string
}

// Error names the message and the attribute.
func (e *DecodeError) Error() string {
	if e.Attr == "" {
		return fmt.Sprintf("malformed %s message: %s", e.Msg, e.Reason)
	}
	return fmt.Sprintf("malformed %s message: attribute %s: %s", e.Msg, e.Attr, e.Reason)
}

// align4 rounds up to a multiple of 4 (NLMSG_ALIGN, NLA_ALIGN).
func align4(n int) int { return (n + 3) &^ 3 }

// grow appends n zero bytes, and returns the whole and the new part.
func grow(b []byte, n int) (whole, part []byte) {
	l := len(b)
	if cap(b)-l < n {
		b = append(b, make([]byte, n)...)
		return b, b[l:]
	}
	b = b[:l+n]
	clear(b[l:])
	return b, b[l:]
}

// attr appends an attribute of n payload bytes, padded, and returns the
// whole and the zeroed payload.
func attr(b []byte, t AttrType, n int) (whole, payload []byte) {
	start := align4(len(b))
	b, _ = grow(b, start-len(b)+align4(sizeAttr+n))
	host.PutUint16(b[start:], uint16(sizeAttr+n))
	host.PutUint16(b[start+2:], uint16(t))
	return b, b[start+sizeAttr : start+sizeAttr+n]
}

func attrU32(b []byte, t AttrType, v uint32) []byte {
	b, p := attr(b, t, 4)
	host.PutUint32(p, v)
	return b
}

// attrU32NZ appends v unless it is zero.
func attrU32NZ(b []byte, t AttrType, v uint32) []byte {
	if v == 0 {
		return b
	}
	return attrU32(b, t, v)
}

func attrOpt32(b []byte, t AttrType, v Opt[uint32]) []byte {
	if !v.Valid {
		return b
	}
	return attrU32(b, t, v.V)
}

// attrs walks the attributes of a message. next returns false at the end or
// on a malformed header, which err then holds.
type attrs struct {
	msg  MsgType
	b    []byte
	typ  AttrType
	data []byte
	err  error
	name func(AttrType) string // nil: the general space
}

func (a *attrs) next() bool {
	if a.err != nil || len(a.b) < sizeAttr {
		if a.err == nil && len(a.b) > 0 {
			a.err = &DecodeError{Msg: a.msg, Reason: fmt.Sprintf("%d stray bytes after the attributes", len(a.b))}
		}
		return false
	}
	n := int(host.Uint16(a.b))
	a.typ = AttrType(host.Uint16(a.b[2:]) & 0x3fff) // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
	if n < sizeAttr || n > len(a.b) {
		a.fail(fmt.Sprintf("length %d, %d bytes left", n, len(a.b)))
		return false
	}
	a.data = a.b[sizeAttr:n]
	a.b = a.b[min(align4(n), len(a.b)):]
	return true
}

// fail records what is wrong with the present attribute.
func (a *attrs) fail(reason string) {
	if a.err == nil {
		name := a.typ.String()
		if a.name != nil {
			name = a.name(a.typ)
		}
		a.err = &DecodeError{Msg: a.msg, Attr: name, Reason: reason}
	}
}

// want checks the payload's exact length.
func (a *attrs) want(n int) bool {
	if len(a.data) == n {
		return true
	}
	a.fail(fmt.Sprintf("length %d, want %d", len(a.data), n))
	return false
}

func (a *attrs) u8() uint8 {
	if !a.want(1) {
		return 0
	}
	return a.data[0]
}

func (a *attrs) u16() uint16 {
	if !a.want(2) {
		return 0
	}
	return host.Uint16(a.data)
}

func (a *attrs) u32() uint32 {
	if !a.want(4) {
		return 0
	}
	return host.Uint32(a.data)
}

func (a *attrs) u64() uint64 {
	if !a.want(8) {
		return 0
	}
	return host.Uint64(a.data)
}

// split cuts the fixed part of size n off a message's payload. The attributes
// begin at the next multiple of 4.
func split(msg MsgType, p []byte, n int) (fixed []byte, rest attrs, err error) {
	if len(p) < n {
		return nil, attrs{}, &DecodeError{Msg: msg, Reason: fmt.Sprintf("%d bytes, want at least %d", len(p), n)}
	}
	return p[:n], attrs{msg: msg, b: p[min(align4(n), len(p)):]}, nil
}

// putAddr writes a as xfrm_address_t; an invalid one as zeros.
func putAddr(p []byte, a netip.Addr) {
	switch {
	case a.Is4():
		v := a.As4()
		copy(p, v[:])
	case a.Is6():
		v := a.As16()
		copy(p, v[:])
	}
}

// getAddr reads an xfrm_address_t; the zero Addr for an unknown family.
func getAddr(p []byte, f Family) netip.Addr {
	switch f {
	case FamilyIPv4:
		return netip.AddrFrom4([4]byte(p))
	case FamilyIPv6:
		return netip.AddrFrom16([16]byte(p))
	}
	return netip.Addr{}
}

// familyOf returns given, or else the family of the first valid address.
func familyOf(given Family, addrs ...netip.Addr) Family {
	if given != FamilyUnspec {
		return given
	}
	for _, a := range addrs {
		if a.IsValid() {
			return FamilyOf(a)
		}
	}
	return FamilyUnspec
}

// orIPv4 is familyOf with IPv4, which the kernel demands of objects that have
// no address at all, for the unknown.
func orIPv4(f Family) Family {
	if f == FamilyUnspec {
		return FamilyIPv4
	}
	return f
}
