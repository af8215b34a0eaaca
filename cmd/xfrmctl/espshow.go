package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
)

// fetchStatus asks the running engine how it is.
func (e *env) fetchStatus() (*userspace.Status, error) {
	path, err := e.socketPath()
	if err != nil {
		return nil, err
	}
	doc, err := nlsock.Status(path)
	if err != nil {
		return nil, connectError(engineError(err, path))
	}
	s := &userspace.Status{}
	if err := json.Unmarshal(doc, s); err != nil {
		return nil, &exitError{code: exitCheck, msg: fmt.Sprintf("engine at %s: its status cannot be understood: %v", path, err), err: err}
	}
	return s, nil
}

// espStatus prints how the engine is.
func (e *env) espStatus() error {
	s, err := e.fetchStatus()
	if err != nil {
		return err
	}
	if e.opts.json {
		return e.printJSON(s)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "engine %s, process %d, at %s, for %s\n", s.Version, s.PID, s.Socket, shortDuration(s.UptimeSeconds))
	fmt.Fprintf(&b, "  %d SAs; policies: %d in, %d out, %d fwd\n", s.SAs, s.Policies.In, s.Policies.Out, s.Policies.Forward)
	for _, d := range s.Devices {
		fmt.Fprintf(&b, "  interface %s\n", deviceLine(&d))
	}
	fmt.Fprintf(&b, "  keys: %s\n", journalLine(s))
	fmt.Fprintf(&b, "  privileges: %s\n", confinedLine(s))
	lawLines(&b, &s.Law)
	_, err = e.stdout.Write(b.Bytes())
	return err
}

func shortDuration(seconds float64) string {
	return (time.Duration(seconds) * time.Second).String()
}

func deviceLine(d *userspace.DeviceStatus) string {
	id := fmt.Sprintf("if_id %#x", d.IfID)
	if d.External {
		id = "external"
	}
	text := fmt.Sprintf("%s: %s, %d queues", d.Name, id, d.Queues)
	if d.Underlay != "" {
		text += ", through " + d.Underlay
	}
	return text
}

func deviceCounters(c *userspace.DeviceStats) string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("; received %d packets, %d bytes, %d errors; sent %d packets, %d bytes, %d errors",
		c.RXPackets, c.RXBytes, c.RXErrors+c.RXDropped, c.TXPackets, c.TXBytes, c.TXErrors+c.TXDropped)
}

func journalLine(s *userspace.Status) string {
	switch j := s.Journal; {
	case j == nil:
		return "forgotten when it ends"
	case j.Lost != "":
		return "REFUSED: " + j.Lost
	case j.Error != "":
		return "trouble: " + j.Error
	default:
		return fmt.Sprintf("%d remembered, %d leases in %d writes", j.Keys, j.Leases, j.Syncs)
	}
}

func confinedLine(s *userspace.Status) string {
	c := s.Confined
	if c == nil {
		return "all that it was started with"
	}
	text := strings.Join(c.Capabilities, ", ")
	if text == "" {
		text = "none"
	}
	if c.Seccomp {
		text += "; system calls filtered"
	}
	if len(c.Missing) > 0 {
		text += "; MISSING: " + strings.Join(c.Missing, "; ")
	}
	return text
}

func lawLines(b *bytes.Buffer, l *userspace.Law) {
	word := "every packet is accounted for"
	if !l.Holds {
		word = "PACKETS ARE MISSING in these sums"
	}
	fmt.Fprintf(b, "  in:  %d received = %d delivered + %d dropped\n", l.OuterReceived, l.InnerDelivered, l.InDropped)
	fmt.Fprintf(b, "  out: %d received = %d sent + %d dropped; %s\n", l.InnerReceived, l.OuterSent, l.OutDropped, word)
}

// espStats prints the counters of packets, and those of each SA.
func (e *env) espStats() error {
	s, err := e.fetchStatus()
	if err != nil {
		return err
	}
	e.opts.engine = "userspace" // whatever else there is
	sas, err := e.espSAs()
	if err != nil {
		return err
	}
	if e.opts.json {
		return e.printJSON(&espStatsJSON{Law: s.Law, Counters: s.Counters, Own: s.Own, Calls: s.Calls, Devices: s.Devices, SAs: sas})
	}
	var b bytes.Buffer
	lawLines(&b, &s.Law)
	counterLines(&b, s.Counters)
	counterLines(&b, s.Own)
	for _, d := range s.Devices {
		fmt.Fprintf(&b, "  interface %s%s\n", deviceLine(&d), deviceCounters(d.Stats))
	}
	for _, sa := range sas {
		fmt.Fprintf(&b, "  SA %s to %s: %d packets, %d bytes; %d replayed, %d outside the window, %d forged%s\n",
			sa.SPI, sa.Dst, sa.Packets, sa.Bytes, sa.Replay, sa.ReplayWindow, sa.IntegrityFailed, sa.headroomText())
	}
	_, err = e.stdout.Write(b.Bytes())
	return err
}

// counterLines prints the counters that are not zero.
func counterLines(b *bytes.Buffer, counters map[string]uint64) {
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		if n := counters[name]; n > 0 {
			fmt.Fprintf(b, "  %-24s %d\n", name, n)
		}
	}
}

// espStatsJSON is what `esp stats -j` prints. Its names are a promise.
type espStatsJSON struct {
	Law      userspace.Law            `json:"law"`
	Counters map[string]uint64        `json:"counters"`
	Own      map[string]uint64        `json:"own_counters"`
	Calls    userspace.Calls          `json:"calls"`
	Devices  []userspace.DeviceStatus `json:"devices"`
	SAs      []espSA                  `json:"sas"`
}

// espSA is what an SA has carried.
type espSA struct {
	Dst   string `json:"dst"`
	SPI   string `json:"spi"`
	Proto string `json:"proto"`
	Mode  string `json:"mode"`
	Dir   string `json:"dir,omitempty"`
	IfID  uint32 `json:"if_id,omitempty"`

	Packets         uint64           `json:"packets"`
	Bytes           uint64           `json:"bytes"`
	ReplayWindow    uint32           `json:"replay_window"`
	Replay          uint32           `json:"replay"`
	IntegrityFailed uint32           `json:"failed"`
	Headroom        *ipxfrm.Headroom `json:"headroom,omitempty"`
}

func newESPSA(sa *netlinkx.SA) espSA {
	return espSA{
		Dst: sa.Dst.String(), SPI: sa.SPI.String(), Proto: sa.Proto.String(), Mode: sa.Mode.String(), Dir: sa.Dir.String(), IfID: sa.IfID,
		Packets: sa.Usage.Packets, Bytes: sa.Usage.Bytes,
		ReplayWindow: sa.Stats.ReplayWindow, Replay: sa.Stats.Replay, IntegrityFailed: sa.Stats.IntegrityFailed,
		Headroom: ipxfrm.NewHeadroom(sa),
	}
}

func (sa *espSA) headroomText() string {
	if sa.Headroom == nil {
		return ""
	}
	return fmt.Sprintf("; %.1f %% of its sequence numbers left", sa.Headroom.LeftPercent)
}

// espSAs lists the engine's SAs.
func (e *env) espSAs() ([]espSA, error) {
	c, err := e.connection()
	if err != nil {
		return nil, err
	}
	out := []espSA{}
	for sa, err := range c.ScanSAs(e.ctx, nil) {
		if err != nil {
			return nil, dumpError(err)
		}
		out = append(out, newESPSA(sa))
	}
	return out, nil
}
