package demo

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// transcript prints what happens, as it happens. What cannot be written is
// dropped: the Report has the result.
type transcript struct {
	w     io.Writer
	steps int
}

func (t *transcript) line(format string, args ...any) { fmt.Fprintf(t.w, format+"\n", args...) }

func (t *transcript) title(s string) {
	t.steps++
	t.line("\n%d. %s", t.steps, s)
}

// table is rows in aligned columns, written at once by end.
type table struct {
	out io.Writer
	b   bytes.Buffer
	w   *tabwriter.Writer
}

// table begins one with the words of a header.
func (t *transcript) table(header ...any) *table {
	tab := &table{out: t.w}
	tab.w = tabwriter.NewWriter(&tab.b, 0, 0, 2, ' ', 0)
	if len(header) > 0 {
		tab.row(header...)
	}
	return tab
}

func (t *table) row(cells ...any) {
	for i, c := range cells {
		sep := "\t"
		if i == 0 {
			sep = "  "
		}
		fmt.Fprint(t.w, sep, c)
	}
	fmt.Fprintln(t.w)
}

func (t *table) end() {
	_ = t.w.Flush() // into memory
	_, _ = t.out.Write(t.b.Bytes())
}

// features lists what was tried, for an engine or for the rest ("").
func (t *transcript) features(engine string, list []Feature) {
	tab := t.table()
	for _, f := range list {
		word := "yes"
		if !f.OK {
			word = "NO"
		}
		if f.Detail != "" {
			word += " (" + f.Detail + ")"
		}
		name := f.Name
		if engine != "" {
			name = engine + ": " + name
		}
		tab.row(name, word)
	}
	tab.end()
}

// chosen says which engine does the work.
func (t *transcript) chosen(engine string, dirs bool) {
	word := "no direction, which is not needed"
	if dirs {
		word = "a direction"
	}
	t.line("  the %s engine does the work; SAs have %s", engine, word)
}

// transfer prints the result of the TCP transfer.
func (t *transcript) transfer(res *Transfer) {
	word := "ok"
	if !res.ok() {
		word = "FAILED: " + res.fault()
	}
	t.line("  %s > %s through %s: %.1f MB in %.2f s, %s, %d packets in clear  %s",
		res.From, res.To, res.Interface, float64(res.Bytes)/1e6, res.Seconds, rate(res.BitsPerSecond), res.ClearPackets, word)
}

// missing says how to get what is missing.
func (t *transcript) missing(list []Feature) {
	t.line("\nThis kernel cannot run the demo. Missing:")
	for _, f := range list {
		t.line("  %s: %s", f.Name, f.remedy())
	}
	t.line("Modules are loaded by root of the machine that owns the kernel; a container cannot.")
}

// remedy says what brings a feature.
func (f *Feature) remedy() string {
	s := "needs a kernel with " + f.Option
	if len(f.Modules) > 0 {
		s += ", or, where that is built as a module: modprobe -a " + strings.Join(f.Modules, " ")
	}
	return s
}

func (t *transcript) wire() {
	for side, addrs := range wireAddresses {
		var s []string
		for _, a := range addrs {
			s = append(s, a.String())
		}
		t.line("  %-5s  %s  %s", sideNames[side], veth, strings.Join(s, "  "))
	}
}

// plan shows what has been installed.
func (t *transcript) plan(tunnels []*tunnel) {
	tab := t.table("mode", "interface", "if_id", "outer", "protects", "SPIs")
	for _, tun := range tunnels {
		for _, f := range tun.flows {
			name, ifID := "-", "-"
			if tun.name != "" {
				name, ifID = tun.name, fmt.Sprintf("%#x", tun.ifID)
			}
			tab.row(tun.mode, name, ifID, arrow(tun.outer[left], tun.outer[right]), arrow(f.net[left], f.net[right]),
				fmt.Sprintf("%s, %s", f.pair.spi[left], f.pair.spi[right]))
		}
	}
	tab.end()
	t.line("  each with its own random keys, %s (AES-%d), ESN, replay window %d", algorithm, keyBits, replayWindow)
	for _, tun := range tunnels {
		if tun.name == "" {
			t.line("  (transport mode protects the wire's own addresses: it has no way out through an XFRM interface)")
			break
		}
	}
}

func arrow(a, b any) string { return fmt.Sprintf("%v <-> %v", a, b) }

// The results of flows come one at a time, so their columns are fixed.
const flowFormat = "  %-10s %-15s %-32s %5v %9v %5v %6v  %s"

func (t *transcript) flowHeader() {
	t.line(flowFormat, "mode", "inner in outer", "from left to right", "sent", "answered", "ESP", "clear", "")
}

func (t *transcript) flow(f *Tunnel) {
	word := "ok"
	if !f.ok() {
		word = "FAILED"
		if f.Detail != "" {
			word += ": " + f.Detail
		}
	}
	t.line(flowFormat, f.Mode, f.Inner+" in "+f.Outer, f.From+" > "+f.To, f.Sent, f.Received, f.ESPPackets, f.ClearPackets, word)
}

// sas lists the SAs of one side.
func (t *transcript) sas(side int, list []*netlinkx.SA) {
	list = slices.SortedFunc(slices.Values(list), func(a, b *netlinkx.SA) int { return cmp.Compare(a.SPI, b.SPI) })
	t.line("")
	tab := t.table("side", "SPI", "from", "to", "mode", "if_id", "dir", "window", "packets", "bytes", "errors")
	for _, sa := range list {
		errors := sa.Stats.ReplayWindow + sa.Stats.Replay + sa.Stats.IntegrityFailed
		tab.row(sideNames[side], sa.SPI, sa.Src, sa.Dst, sa.Mode, fmt.Sprintf("%#x", sa.IfID), direction(sa),
			sa.ReplayWindow, sa.Usage.Packets, sa.Usage.Bytes, errors)
	}
	tab.end()
}

// kernelErrors prints the kernel's error counters of one side.
func (t *transcript) kernelErrors(side int, nonzero []string, counted bool) {
	if side == left {
		t.line("")
	}
	word := "all zero"
	switch {
	case !counted:
		word = "not kept by this kernel (CONFIG_XFRM_STATISTICS)"
	case len(nonzero) > 0:
		word = strings.Join(nonzero, ", ")
	}
	t.line("  %-5s  IPsec error counters: %s", sideNames[side], word)
}
