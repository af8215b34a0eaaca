package ipxfrm

import (
	"encoding/hex"
	"math/bits"
	"net/netip"
	"strconv"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// textRecord is a record under construction. Its methods append and return
// it, so that a line of output reads like one. It lives on the stack: a record
// costs no allocation beyond the growth of b.
type textRecord struct {
	b  []byte
	p  *Printer
	nl byte
}

func newTextRecord(b []byte, p *Printer) textRecord {
	t := textRecord{b: b, p: p, nl: '\n'}
	if p.OneLine {
		t.nl = '\\'
	}
	return t
}

// line ends a line of the record.
func (t *textRecord) line() { t.b = append(t.b, t.nl) }

// finish ends the record.
func (t *textRecord) finish() {
	if t.p.OneLine {
		t.b = append(t.b, '\n')
	}
}

func (t *textRecord) stats() bool { return t.p.Stats > 0 }

func (t *textRecord) str(s string) *textRecord {
	t.b = append(t.b, s...)
	return t
}

func (t *textRecord) dec(v uint64) *textRecord {
	t.b = strconv.AppendUint(t.b, v, 10)
	return t
}

// signed prints v as ip does where it takes a count for a signed number.
func (t *textRecord) signed(v uint32) *textRecord {
	t.b = strconv.AppendInt(t.b, int64(int32(v)), 10)
	return t
}

// hexDigits of numbers; strconv takes three times as long for them.
const hexDigits = "0123456789abcdef"

func (t *textRecord) hex(v uint32) *textRecord {
	if v < 16 {
		t.b = append(t.b, hexDigits[v])
		return t
	}
	return t.hexPad(v, 1)
}

// hexAlt prints v as C's %#x: zero has no 0x.
func (t *textRecord) hexAlt(v uint32) *textRecord {
	if v != 0 {
		t.str("0x")
	}
	return t.hex(v)
}

// hexPad prints v with at least width digits.
func (t *textRecord) hexPad(v uint32, width int) *textRecord {
	width = max(width, (bits.Len32(v)+3)/4)
	b := t.b
	for shift := 4 * (width - 1); shift >= 0; shift -= 4 {
		b = append(b, hexDigits[v>>shift&15])
	}
	t.b = b
	return t
}

// decPad prints v with at least 8 digits.
func (t *textRecord) decPad(v uint32) *textRecord {
	for n := uint32(10_000_000); n > 1 && v < n; n /= 10 {
		t.b = append(t.b, '0')
	}
	return t.dec(uint64(v))
}

// octet prints v in binary.
func (t *textRecord) octet(v uint8) *textRecord {
	for i := 7; i >= 0; i-- {
		t.b = append(t.b, '0'+v>>i&1)
	}
	return t
}

func (t *textRecord) keyHex(k []byte) *textRecord {
	t.b = hex.AppendEncode(t.b, k)
	return t
}

// addr prints an address as inet_ntop does; f stands in for an absent one.
func (t *textRecord) addr(a netip.Addr, f netlinkx.Family) *textRecord {
	if !a.IsValid() {
		a = f.Unspecified()
	}
	switch {
	case !a.IsValid():
		return t.str("???")
	case a.Is4():
		v := a.As4()
		return t.octetDec(v[0]).str(".").octetDec(v[1]).str(".").octetDec(v[2]).str(".").octetDec(v[3])
	}
	return t.addr6(a)
}

// octetDec prints v in decimal.
func (t *textRecord) octetDec(v uint8) *textRecord {
	switch {
	case v >= 100:
		t.b = append(t.b, '0'+v/100, '0'+v/10%10, '0'+v%10)
	case v >= 10:
		t.b = append(t.b, '0'+v/10, '0'+v%10)
	default:
		t.b = append(t.b, '0'+v)
	}
	return t
}

// addr6 differs from netip in the IPv4-compatible addresses ::/96, which
// inet_ntop ends in a dotted quad unless they are below ::1:0.
func (t *textRecord) addr6(a netip.Addr) *textRecord {
	v := a.As16()
	if [12]byte(v[:12]) == [12]byte{} && v[12]|v[13] != 0 {
		t.str("::")
		t.b = netip.AddrFrom4([4]byte(v[12:])).AppendTo(t.b)
		return t
	}
	t.b = a.WithZone("").AppendTo(t.b)
	return t
}

func (t *textRecord) prefix(p netip.Prefix, f netlinkx.Family) *textRecord {
	return t.addr(p.Addr(), f).str("/").dec(uint64(max(p.Bits(), 0)))
}

// device prints the name of an interface.
func (t *textRecord) device(index int32) *textRecord {
	if index == 0 {
		return t.str("*")
	}
	if n := t.p.deviceName(index); n != "" {
		return t.str(n)
	}
	return t.str("if").dec(uint64(uint32(index)))
}

func (p *Printer) deviceName(index int32) string {
	if p.DeviceName == nil {
		return ""
	}
	return p.DeviceName(index)
}

// upper prints an upper-layer protocol.
func (t *textRecord) upper(proto uint8) *textRecord {
	if n := t.p.protoName(proto); n != "" {
		return t.str(n)
	}
	return t.dec(uint64(proto))
}

func (p *Printer) protoName(proto uint8) string {
	if p.ProtoName == nil {
		return ""
	}
	return p.ProtoName(proto)
}

// The range of Unix times whose year fits C's struct tm.
const (
	maxTime = 67768036191676799
	minTime = -67768040609740800
)

// time prints Unix seconds as local time.
func (t *textRecord) time(sec uint64) *textRecord {
	s := int64(sec)
	if s == 0 {
		return t.str("-")
	}
	if s > maxTime || s < minTime {
		return t.str("invalid-time")
	}
	tm := time.Unix(s, 0).In(t.p.location())
	year, month, day := tm.Date()
	hour, minute, second := tm.Clock()
	t.b = strconv.AppendInt(t.b, int64(int32(year)), 10) // C's int wraps, too
	t.two('-', int(month)).two('-', day)
	t.two(' ', hour).two(':', minute).two(':', second)
	return t
}

func (t *textRecord) two(sep byte, v int) *textRecord {
	t.b = append(t.b, sep, byte('0'+v/10), byte('0'+v%10))
	return t
}

func (p *Printer) location() *time.Location {
	if p.Location == nil {
		return time.Local
	}
	return p.Location
}

// flags prints the names of the set bits, then the rest in hex, with single
// blanks between.
func (t *textRecord) flags(names []flagName, v uint32) {
	sep := ""
	for _, f := range names {
		if v&f.bit != 0 {
			v &^= f.bit
			t.str(sep).str(f.name)
			sep = " "
		}
	}
	if v != 0 {
		t.str(sep).hex(v)
	}
}
