package nicoffload

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// verifyJSON is what verify found. Counters are what was added while it looked.
type verifyJSON struct {
	SA  string `json:"sa"`
	Dir string `json:"dir"`
	// On is the device that carries the SA by the kernel's word, "" none.
	On      string  `json:"on,omitempty"`
	Seconds float64 `json:"seconds"`
	Packets uint64  `json:"sa_packets"`
	Bytes   uint64  `json:"sa_bytes"`
	// Driver are the driver's own counters that moved. They are the device's,
	// not the SA's: other SAs count too.
	Driver map[string]uint64 `json:"driver_counters"`
	// Share is the part of the SA's packets that the driver's counters can
	// explain, at most 1; absent without packets or without counters.
	Share   *float64 `json:"hardware_share,omitempty"`
	Verdict string   `json:"verdict"`
}

// verify reads an SA back and watches the counters of SA and driver for a
// while: the read-back alone says that the driver took it, not that packets go
// through the hardware.
func (c *command) verify() error {
	seconds := 1.0
	if s := c.trailing("for"); s != "" {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || v < 0 || v > 3600 {
			return verbs.Errorf("verify: for takes seconds from 0 to 3600, not %q", s)
		}
		seconds = v
	}
	conn, before, err := c.installed("verify")
	if err != nil {
		return err
	}
	v, err := c.watch(conn, before, time.Duration(seconds*float64(time.Second)))
	if err != nil {
		return err
	}
	if c.env.JSON {
		err = c.env.Encode(v)
	} else {
		_, err = fmt.Fprintf(c.env.Stdout, "%s, %s: %s\n  SA: %d packets, %d bytes in %.1f s\n  driver: %s\n", v.SA, v.Dir, v.Verdict, v.Packets, v.Bytes, v.Seconds, counterText(v.Driver))
	}
	if err == nil && v.On == "" {
		err = &RefusedError{Msg: v.SA + " is not offloaded", Hint: "xfrmctl offload explain " + strings.Join(c.args, " ") + " dev DEV"}
	}
	return err
}

func (c *command) watch(conn *netlinkx.Conn, before *netlinkx.SA, d time.Duration) (*verifyJSON, error) {
	v := &verifyJSON{SA: before.String(), Dir: before.Dir.String(), Driver: map[string]uint64{}}
	var counters map[string]uint64
	if o := before.Offload; o != nil {
		v.On, v.Dir = c.env.Device(o.IfIndex), "out"
		if o.Flags&netlinkx.OffloadInbound != 0 {
			v.Dir = "in"
		}
		var err error
		if counters, err = c.counters(v.On); err != nil {
			return nil, err
		}
		// the driver is looked at before the SA and behind it: of each packet of the
		// SA it knows
		if before, err = conn.GetSA(c.env.Ctx, before.ID()); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	select {
	case <-time.After(d):
	case <-c.env.Ctx.Done():
		return nil, c.env.Ctx.Err()
	}
	after, err := conn.GetSA(c.env.Ctx, before.ID())
	if err != nil {
		return nil, err
	}
	v.Seconds = time.Since(start).Seconds()
	v.Packets, v.Bytes = after.Usage.Packets-before.Usage.Packets, after.Usage.Bytes-before.Usage.Bytes
	if v.On != "" && after.Offload != nil {
		now, err := c.counters(v.On)
		if err != nil {
			return nil, err
		}
		for name, n := range now {
			if n != counters[name] {
				v.Driver[name] = n - counters[name]
			}
		}
	}
	v.judge(len(counters) > 0)
	return v, nil
}

// judge says what the counters mean.
func (v *verifyJSON) judge(counted bool) {
	switch {
	case v.On == "":
		v.Verdict = "in software: no device carries it"
		return
	case v.Packets == 0:
		v.Verdict = fmt.Sprintf("%s carries it; no packet came while it was watched", v.On)
		return
	case !counted:
		v.Verdict = fmt.Sprintf("%s carries it; its driver has no counters that would prove more", v.On)
		return
	}
	var hardware uint64
	for name, n := range v.Driver {
		if direction(name) == v.Dir {
			hardware = max(hardware, n)
		}
	}
	share := min(float64(hardware)/float64(v.Packets), 1)
	v.Share = &share
	v.Verdict = fmt.Sprintf("%s carries it; %.0f %% of its packets went through the hardware", v.On, 100*share)
	if share < 0.5 {
		v.Verdict += " (the kernel did the rest in software: see `offload explain`)"
	}
}

// direction tells which packets a driver's counter counts, "" none: bytes and
// drops are no packets.
func direction(counter string) string {
	switch {
	case strings.Contains(counter, "drop") || strings.Contains(counter, "bytes"):
		return ""
	case strings.Contains(counter, "rx"):
		return "in"
	case strings.Contains(counter, "tx"):
		return "out"
	}
	return ""
}

// counters reads those counters of the NIC below dev that its rule pack names.
func (c *command) counters(dev string) (map[string]uint64, error) {
	nic, _, err := c.nic(dev)
	if err != nil || nic == nil {
		return nil, err
	}
	if nic.Driver == "netdevsim" {
		return simulatedCounters(nic.Slot), nil
	}
	all, err := c.links.Stats(nic.Name)
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	if p := c.packs[nic.Driver]; p != nil {
		for _, name := range p.Counters {
			if v, ok := all[name]; ok {
				out[name] = v
			}
		}
	}
	return out, nil
}

var simulatedTx = regexp.MustCompile(`tx=(\d+)`)

// simulatedCounters reads netdevsim's, which are in debugfs, where it is
// mounted.
func simulatedCounters(slot string) map[string]uint64 {
	out := map[string]uint64{}
	files, err := filepath.Glob(filepath.Join("/sys/kernel/debug/netdevsim", slot, "ports", "*", "ipsec"))
	if err != nil || len(files) == 0 {
		return out
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		return out
	}
	if m := simulatedTx.FindSubmatch(b); m != nil {
		if n, err := strconv.ParseUint(string(m[1]), 10, 64); err == nil {
			out["tx_ipsec"] = n
		}
	}
	return out
}

func counterText(m map[string]uint64) string {
	if len(m) == 0 {
		return "no counter moved"
	}
	return counterWords(m)
}

func counterWords(m map[string]uint64) string {
	var words []string
	for name, n := range m {
		words = append(words, fmt.Sprintf("%s +%d", name, n))
	}
	return sorted(words)
}
