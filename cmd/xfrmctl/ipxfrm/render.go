package ipxfrm

import (
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// TimeStyle says how events are stamped with the time at which they are
// printed.
type TimeStyle uint8

// Time styles of events.
const (
	TimeNone  TimeStyle = iota
	TimeLong            // a line of its own (ip -t)
	TimeShort           // in front of the event (ip -ts)
)

// Printer renders netlinkx values as text and as values for encoding/json.
// The text is byte for byte that of `ip xfrm` 7.3 when ShowKeys is set and
// Extensions and NoKeys are not. The zero Printer hides keys and prints
// numbers where it has no names.
//
// A Printer keeps no state: it may be used concurrently as long as its
// functions may. It does not retain what it renders.
type Printer struct {
	// Stats is the number of -s options: 1 adds lifetimes, counters and raw
	// numbers, 2 also hash tables.
	Stats int
	// OneLine joins the lines of a record with backslashes (-o).
	OneLine bool
	// ShowKeys prints key material. Without it "<<Keys hidden>>" stands in
	// its place in text, "<hidden>" in JSON.
	ShowKeys bool
	// NoKeys hides keys in spite of ShowKeys (the word nokeys), also in
	// events, where ip ignores it.
	NoKeys bool
	// Extensions prints in text what ip has no words for: IP-TFS, NAT
	// keepalive, thresholds, migrations, lost events. JSON has them always.
	Extensions bool
	// Family is what an object without an address family is printed as (-4,
	// -6); zero prints its addresses as "???".
	Family netlinkx.Family
	// DeviceName names an interface; nil or "" prints "if" and the index.
	DeviceName func(index int32) string
	// ProtoName names an upper-layer protocol; nil or "" prints the number.
	ProtoName func(proto uint8) string
	// Location is the time zone of text, nil for time.Local. JSON is in UTC.
	Location *time.Location
	// Time stamps events. In JSON either style adds the member "time".
	Time TimeStyle
	// Now is the clock of Time, nil for time.Now.
	Now func() time.Time
	// AllNSID puts the namespace id in front of events in text (all-nsid).
	AllNSID bool
}

// AppendSA appends the text of an SA: `ip xfrm state list`.
func (p *Printer) AppendSA(b []byte, sa *netlinkx.SA) []byte {
	t := newTextRecord(b, p)
	t.sa(sa)
	t.finish()
	return t.b
}

// AppendPolicy appends the text of a policy: `ip xfrm policy list`.
func (p *Printer) AppendPolicy(b []byte, pol *netlinkx.Policy) []byte {
	t := newTextRecord(b, p)
	t.policy(pol, "", "\t")
	t.finish()
	return t.b
}

// AppendSADInfo appends the text of `ip xfrm state count`.
func (p *Printer) AppendSADInfo(b []byte, i *netlinkx.SADInfo) []byte {
	t := newTextRecord(b, p)
	t.str("\t SAD count ").dec(uint64(i.Count))
	if p.Stats > 0 {
		t.str(" (buckets count ").signed(i.HashCount)
		t.str(" Max ").signed(i.HashMaximum).str(")")
	}
	t.str("\n") // -o has no effect
	return t.b
}

// AppendSPDInfo appends the text of `ip xfrm policy count`.
func (p *Printer) AppendSPDInfo(b []byte, i *netlinkx.SPDInfo) []byte {
	t := newTextRecord(b, p)
	c := &i.Counts
	t.str("\t SPD IN  ").signed(c.In).str(" OUT ").signed(c.Out).str(" FWD ").signed(c.Fwd)
	if p.Stats > 0 {
		t.str(" (Sock: IN ").signed(c.SocketIn).str(" OUT ").signed(c.SocketOut)
		t.str(" FWD ").signed(c.SocketFwd).str(")")
	}
	t.line()
	if p.Stats > 1 {
		t.str("\t SPD buckets: count ").signed(i.HashCount).str(" Max ").signed(i.HashMaximum).line()
		t.threshold("IPv4", i.IPv4)
		t.threshold("IPv6", i.IPv6)
	}
	t.finish()
	return t.b
}

func (t *textRecord) threshold(family string, h netlinkx.Opt[netlinkx.HashThreshold]) {
	if !h.Valid {
		return
	}
	t.str("\t SPD ").str(family).str(" thresholds: local ").dec(uint64(h.V.Local))
	t.str(" remote ").dec(uint64(h.V.Remote)).line()
}

// AppendDefaults appends the text of `ip xfrm policy getdefault`.
func (p *Printer) AppendDefaults(b []byte, d *netlinkx.Defaults) []byte {
	t := newTextRecord(b, p)
	t.str("Default policies:\n in:  ").str(textDefault(d.In))
	t.str("\n fwd: ").str(textDefault(d.Fwd))
	t.str("\n out: ").str(textDefault(d.Out)).str("\n") // -o has no effect
	return t.b
}

func textDefault(a netlinkx.DefaultAction) string {
	switch a {
	case netlinkx.DefaultUnchanged:
		return "unspec"
	case netlinkx.DefaultBlock:
		return "block"
	case netlinkx.DefaultAccept:
		return "accept"
	}
	return "unknown"
}
