package demo

import (
	"fmt"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Report is what a run found. As JSON it is the output of `xfrmctl demo -j`.
// It holds no keys.
type Report struct {
	OK     bool   `json:"ok"`
	Engine string `json:"engine"`
	// Kernel is the running kernel's release, as uname -r prints it.
	Kernel string `json:"kernel"`
	// SADir: SAs had a direction, which this kernel keeps.
	SADir bool `json:"sa_dir"`
	// Tunnels has one entry for each mode and pair of families that was tried.
	Tunnels []Tunnel `json:"tunnels"`
	// Wire is all that passed the wire from first to last, the transfer aside.
	Wire Wire `json:"wire"`
	// Transfer is how fast TCP was through a tunnel; nil when it did not come
	// to that.
	Transfer *Transfer `json:"transfer,omitempty"`
	// Missing is what the kernel lacks; nothing was tried then.
	Missing []Feature `json:"missing,omitempty"`
	// Error is why OK is false; one line.
	Error string `json:"error,omitempty"`
}

// Tunnel is the result of one flow of pings.
type Tunnel struct {
	Mode      string `json:"mode"`  // tunnel, transport, beet
	Inner     string `json:"inner"` // ipv4, ipv6
	Outer     string `json:"outer"` // ipv4, ipv6
	Interface string `json:"interface,omitempty"`
	IfID      uint32 `json:"if_id,omitempty"`
	From      string `json:"from"`
	To        string `json:"to"`
	Sent      int    `json:"sent"`
	Received  int    `json:"received"` // answers
	// ESPPackets counts those with this tunnel's SPIs, both ways.
	ESPPackets int `json:"esp_packets"`
	// ClearPackets counts all IP packets that were not ESP, neighbour discovery
	// aside, and any packet in which a ping's payload could be read.
	ClearPackets int    `json:"clear_packets"`
	Algorithm    string `json:"algorithm"`
	KeyBits      int    `json:"key_bits"`
	ESN          bool   `json:"esn"`
	ReplayWindow uint32 `json:"replay_window"`
	Detail       string `json:"detail,omitempty"` // why an answer did not come, or what was in clear
}

// Wire counts packets.
type Wire struct {
	ESPPackets   int `json:"esp_packets"`
	ClearPackets int `json:"clear_packets"`
}

// newTunnel returns a result with what is known beforehand.
func newTunnel(t *tunnel, f *flow) Tunnel {
	return Tunnel{
		Mode: t.mode.String(), Inner: familyName(f.addr[left]), Outer: familyName(t.outer[left]),
		Interface: t.name, IfID: t.ifID, From: f.addr[left].String(), To: f.addr[right].String(),
		Algorithm: algorithm, KeyBits: keyBits, ESN: true, ReplayWindow: replayWindow,
	}
}

// ok reports whether every ping was answered and both ways went as ESP alone.
func (t *Tunnel) ok() bool {
	return t.Sent > 0 && t.Received == t.Sent && t.ESPPackets == 2*t.Sent && t.ClearPackets == 0
}

// name is how a tunnel is called in sentences.
func (t *Tunnel) name() string {
	return fmt.Sprintf("%s mode, %s in %s", t.Mode, t.Inner, t.Outer)
}

// fault says what is wrong with a tunnel.
func (t *Tunnel) fault() string {
	var s []string
	if t.Received != t.Sent {
		s = append(s, fmt.Sprintf("%d of %d pings answered", t.Received, t.Sent))
	}
	if t.ESPPackets != 2*t.Sent {
		s = append(s, fmt.Sprintf("%d ESP packets instead of %d", t.ESPPackets, 2*t.Sent))
	}
	if t.ClearPackets > 0 {
		s = append(s, fmt.Sprintf("%d packets in clear", t.ClearPackets))
	}
	if t.Detail != "" {
		s = append(s, t.Detail)
	}
	return t.name() + ": " + strings.Join(s, ", ")
}

// faults returns what is wrong with a run: its tunnels, and clear packets
// between their turns.
func (r *Report) faults() []string {
	var out []string
	during := 0
	for i := range r.Tunnels {
		t := &r.Tunnels[i]
		during += t.ClearPackets
		if !t.ok() {
			out = append(out, t.fault())
		}
	}
	if n := r.Wire.ClearPackets - during; n > 0 {
		out = append(out, fmt.Sprintf("%d packets in clear between the pings", n))
	}
	if len(r.Tunnels) == 0 {
		out = append(out, "no tunnel was tried")
	}
	if r.Transfer != nil && !r.Transfer.ok() {
		out = append(out, r.Transfer.fault())
	}
	return out
}

// Summary is one line that says what ran, where and with which result.
func (r *Report) Summary() string {
	where := fmt.Sprintf("on Linux %s (%s engine)", r.Kernel, r.Engine)
	if !r.OK {
		return fmt.Sprintf("demo: FAILED %s: %s", where, r.Error)
	}
	sent, received := 0, 0
	var modes []string
	for _, t := range r.Tunnels {
		sent += t.Sent
		received += t.Received
		if m := t.Mode; len(modes) == 0 || modes[len(modes)-1] != m {
			modes = append(modes, m)
		}
	}
	s := fmt.Sprintf("demo: ok %s: %d flows (%s mode), %d of %d pings answered, %d ESP packets and %d in clear on the wire",
		where, len(r.Tunnels), strings.Join(modes, ", "), received, sent, r.Wire.ESPPackets, r.Wire.ClearPackets)
	if r.Transfer != nil {
		s += ", TCP at " + rate(r.Transfer.BitsPerSecond)
	}
	return s
}

// rate writes bits per second as people do.
func rate(bits float64) string {
	if bits >= 1e9 {
		return fmt.Sprintf("%.2f Gbit/s", bits/1e9)
	}
	return fmt.Sprintf("%.0f Mbit/s", bits/1e6)
}

// carriage is what an SA must have carried.
type carriage struct {
	packets int
	more    bool // and more than these
}

// checkSAs compares the SAs of one side with what was installed there and with
// the packets that they must have carried.
func checkSAs(want []*netlinkx.SA, carried map[netlinkx.SPI]carriage, have []*netlinkx.SA) []string {
	found := make(map[netlinkx.SPI]*netlinkx.SA, len(have))
	for _, sa := range have {
		found[sa.SPI] = sa
	}
	var out []string
	for _, w := range want {
		h := found[w.SPI]
		if h == nil {
			out = append(out, fmt.Sprintf("%s is gone", w))
			continue
		}
		for _, s := range compareSA(w, h, carried[w.SPI]) {
			out = append(out, fmt.Sprintf("%s: %s", w, s))
		}
	}
	return out
}

func compareSA(want, have *netlinkx.SA, carried carriage) (out []string) {
	differ := func(what string, w, h any) {
		if w != h {
			out = append(out, fmt.Sprintf("%s %v, not %v", what, h, w))
		}
	}
	differ("mode", want.Mode, have.Mode)
	differ("if_id", want.IfID, have.IfID)
	differ("replay window", want.ReplayWindow, have.ReplayWindow)
	differ("direction", want.Dir, have.Dir)
	differ("ESN", true, have.Flags&netlinkx.FlagESN != 0)
	if carried.more {
		if n := uint64(carried.packets); have.Usage.Packets <= n {
			out = append(out, fmt.Sprintf("packets %d, not more than %d", have.Usage.Packets, n))
		}
	} else {
		differ("packets", uint64(carried.packets), have.Usage.Packets)
	}
	differ("errors", netlinkx.SAStats{}, have.Stats)
	return out
}
