package ipxfrm

import (
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strconv"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// The JSON form has the words of the grammar, in snake case where they have a
// hyphen. Numbers are numbers; SPIs, bit maps and masks of algorithms are
// strings in hex; names that are not known are their numbers as strings. What
// an object does not have is left out, except that limits that are never
// reached and times that never were are null. Times are RFC 3339 in UTC.
// Members may be added; none changes its meaning.

// hiddenKey stands for a key that is not shown.
const hiddenKey = "<hidden>"

// jsonHex is a number as 0x and eight digits.
type jsonHex uint32

// MarshalText implements encoding.TextMarshaler.
func (h jsonHex) MarshalText() ([]byte, error) {
	t := textRecord{}
	t.str("0x").hexPad(uint32(h), 8)
	return t.b, nil
}

// jsonCount is a limit of bytes or packets; null is unlimited.
type jsonCount uint64

// MarshalJSON implements json.Marshaler.
func (c jsonCount) MarshalJSON() ([]byte, error) {
	if uint64(c) == netlinkx.Inf {
		return []byte("null"), nil
	}
	return strconv.AppendUint(nil, uint64(c), 10), nil
}

// jsonSeconds is a limit of time; null is unlimited.
type jsonSeconds uint64

// MarshalJSON implements json.Marshaler.
func (s jsonSeconds) MarshalJSON() ([]byte, error) {
	if s == 0 {
		return []byte("null"), nil
	}
	return strconv.AppendUint(nil, uint64(s), 10), nil
}

// jsonTime is a time in Unix seconds, null for never. A time that RFC 3339
// cannot express stays a number of seconds.
type jsonTime uint64

// MarshalJSON implements json.Marshaler.
func (s jsonTime) MarshalJSON() ([]byte, error) {
	const endOfYear9999 = 253402300799
	switch {
	case s == 0:
		return []byte("null"), nil
	case s > endOfYear9999:
		return strconv.AppendUint(nil, uint64(s), 10), nil
	}
	return time.Unix(int64(s), 0).UTC().AppendFormat(nil, `"`+time.RFC3339+`"`), nil
}

// jsonOpt is a number that may be absent, for members with omitzero.
type jsonOpt[T any] netlinkx.Opt[T]

// MarshalJSON implements json.Marshaler.
func (o jsonOpt[T]) MarshalJSON() ([]byte, error) { return json.Marshal(o.V) }

// IsZero implements the test of omitzero.
func (o jsonOpt[T]) IsZero() bool { return !o.Valid }

type jsonMark struct {
	Value uint32 `json:"value"`
	Mask  uint32 `json:"mask"`
}

func newJSONMark(m netlinkx.Mark) *jsonMark {
	if m == (netlinkx.Mark{}) {
		return nil
	}
	return &jsonMark{m.Value, m.Mask}
}

// jsonAlgo is an algorithm; type is the word of the grammar in front of it.
type jsonAlgo struct {
	Type    string          `json:"type"`
	Name    string          `json:"name"`
	Key     string          `json:"key,omitempty"`
	KeyBits int             `json:"key_bits"`
	ICVBits jsonOpt[uint32] `json:"icv_bits,omitzero"`
}

// jsonAlgo shows the key only if the printer does; an algorithm without one
// has no member for it.
func (p *Printer) jsonAlgo(kind, name string, k netlinkx.Key, icv netlinkx.Opt[uint32]) jsonAlgo {
	a := jsonAlgo{Type: kind, Name: name, KeyBits: 8 * k.Len(), ICVBits: jsonOpt[uint32](icv)}
	switch {
	case k.Len() == 0:
	case p.keys():
		a.Key = "0x" + hex.EncodeToString(k.Reveal())
	default:
		a.Key = hiddenKey
	}
	return a
}

type jsonLimits struct {
	ByteSoft    jsonCount   `json:"byte_soft"`
	ByteHard    jsonCount   `json:"byte_hard"`
	PacketSoft  jsonCount   `json:"packet_soft"`
	PacketHard  jsonCount   `json:"packet_hard"`
	TimeSoft    jsonSeconds `json:"time_soft"`
	TimeHard    jsonSeconds `json:"time_hard"`
	TimeUseSoft jsonSeconds `json:"time_use_soft"`
	TimeUseHard jsonSeconds `json:"time_use_hard"`
}

func newJSONLimits(l *netlinkx.Limits) jsonLimits {
	return jsonLimits{
		jsonCount(l.SoftBytes), jsonCount(l.HardBytes), jsonCount(l.SoftPackets), jsonCount(l.HardPackets),
		jsonSeconds(l.SoftAdd), jsonSeconds(l.HardAdd), jsonSeconds(l.SoftUse), jsonSeconds(l.HardUse),
	}
}

type jsonLifetime struct {
	Bytes   uint64   `json:"bytes"`
	Packets uint64   `json:"packets"`
	Add     jsonTime `json:"add"`
	Use     jsonTime `json:"use"`
}

func newJSONLifetime(u *netlinkx.Usage) jsonLifetime {
	return jsonLifetime{u.Bytes, u.Packets, jsonTime(u.AddTime), jsonTime(u.UseTime)}
}

type jsonSecCtx struct {
	Context string `json:"context"`
	DOI     uint8  `json:"doi"`
	Alg     uint8  `json:"alg"`
}

func newJSONSecCtx(c *netlinkx.SecCtx) *jsonSecCtx {
	if c == nil {
		return nil
	}
	return &jsonSecCtx{c.Context, c.DOI, c.Alg}
}

type jsonOffload struct {
	Dev     string   `json:"dev"`
	IfIndex int32    `json:"ifindex"`
	Dir     string   `json:"dir,omitempty"` // of SAs
	Mode    string   `json:"mode"`
	Flags   []string `json:"flags,omitempty"` // other than those of dir and mode
}

// jsonOffload describes an offload; of policies it has no direction.
func (p *Printer) jsonOffload(o *netlinkx.Offload, directed bool) *jsonOffload {
	if o == nil {
		return nil
	}
	j := &jsonOffload{Dev: p.jsonDevice(o.IfIndex), IfIndex: o.IfIndex, Mode: "crypto"}
	if o.Flags&netlinkx.OffloadPacket != 0 {
		j.Mode = "packet"
	}
	rest := o.Flags &^ netlinkx.OffloadPacket
	if directed {
		j.Dir = "out"
		if o.Flags&netlinkx.OffloadInbound != 0 {
			j.Dir = "in"
		}
		rest &^= netlinkx.OffloadInbound
	}
	if rest != 0 {
		j.Flags = jsonFlags(shownOffloadFlags, uint32(rest))
	}
	return j
}

var shownOffloadFlags = []flagName{
	{uint32(netlinkx.OffloadIPv6), "ipv6"},
	{uint32(netlinkx.OffloadInbound), "inbound"},
}

type jsonEncap struct {
	Type  string `json:"type"`
	SPort uint16 `json:"sport"`
	DPort uint16 `json:"dport"`
	Addr  string `json:"addr,omitempty"`
}

func newJSONEncap(e *netlinkx.Encap) *jsonEncap {
	if e == nil {
		return nil
	}
	return &jsonEncap{shownEncap(e.Type), e.SrcPort, e.DstPort, jsonAddr(e.OriginalAddr)}
}

// jsonFlags names the set bits; unknown ones are one number in hex.
func jsonFlags(names []flagName, v uint32) []string {
	out := []string{}
	for _, f := range names {
		if v&f.bit != 0 {
			out = append(out, f.name)
			v &^= f.bit
		}
	}
	if v != 0 {
		out = append(out, "0x"+strconv.FormatUint(uint64(v), 16))
	}
	return out
}

// jsonAddr is an address in the form of the text, "" for none.
func jsonAddr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	t := textRecord{}
	t.addr(a, netlinkx.FamilyUnspec)
	return string(t.b)
}

func jsonPrefix(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return jsonAddr(p.Addr()) + "/" + strconv.Itoa(p.Bits())
}

// jsonFamily names a family, "" for none.
func jsonFamily(f netlinkx.Family) string {
	if f == netlinkx.FamilyUnspec {
		return ""
	}
	return f.String()
}

func (p *Printer) jsonDevice(index int32) string {
	t := textRecord{p: p}
	t.device(index)
	return string(t.b)
}

func (p *Printer) jsonUpper(proto uint8) string {
	if proto == 0 {
		return ""
	}
	t := textRecord{p: p}
	t.upper(proto)
	return string(t.b)
}
