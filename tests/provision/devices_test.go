package provision

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// groOf returns whether wire0 joins packets.
func groOf(t *testing.T, e *end) string {
	t.Helper()
	out, err := runIn(e, e.command("gro", "show", "wire0").Args[1:])
	if err != nil {
		t.Fatal(err, out)
	}
	for _, line := range strings.Split(out, "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "rx-gro" {
			return f[1]
		}
	}
	t.Fatalf("no rx-gro in\n%s", out)
	return ""
}

// TestGRO: settings of the underlay are made, kept, and put back.
func TestGRO(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		e, _ := ends(t, userspace)
		was := groOf(t, e)
		other := map[string]string{"on": "off", "off": "on"}[was]
		e.write(t, atEast(site, "gro: {rx-gro: "+other+"}"))
		if out := e.do(t, "plan"); !strings.Contains(out, "change   settings of wire0 (rx-gro "+other+")") {
			t.Error(out)
		}
		e.do(t, "apply")
		if out := e.do(t, "apply"); groOf(t, e) != other || !strings.Contains(out, "east: 0 writes") {
			t.Errorf("rx-gro is %s: %s", groOf(t, e), out)
		}
		e.write(t, atEast(site, "gro: keep"))
		if e.do(t, "apply"); groOf(t, e) != other {
			t.Error("without --prune it was put back")
		}
		if e.do(t, "apply", "--prune"); groOf(t, e) != was {
			t.Error("it was not put back")
		}
		e.write(t, atEast(site, "gro: fast"))
		e.do(t, "apply")
		if out := e.do(t, "apply"); groOf(t, e) != "on" || !strings.Contains(out, "east: 0 writes") {
			t.Errorf("fast: rx-gro is %s: %s", groOf(t, e), out)
		}
		if e.do(t, "delete"); groOf(t, e) != was {
			t.Error("delete did not put it back")
		}
	})
}

// TestMarks: SAs and policies are for packets with their mark.
func TestMarks(t *testing.T) {
	east, west := ends(t, false)
	// decrypted packets get the mark that answers need, which the kernel gives
	// them from the question
	east.write(t, with("    mark: {out: 0x5/0xff}\n    output_mark: {out: 0x7, in: 0x5/0xff}"))
	west.ns.MustRun(t, "sysctl", "-q", "-w", "net.ipv4.fwmark_reflect=1")
	for _, e := range []*end{east, west} {
		e.do(t, "apply")
		if out := e.do(t, "apply"); !strings.Contains(out, "0 writes") {
			t.Error(out)
		}
	}
	if out, err := eventually(east.ns.Run, "-m", "5", "-I", "10.1.0.1", "10.2.0.1"); err != nil {
		t.Errorf("with the mark: %v\n%s", err, out)
	}
	w := watch(t, west.ns)
	if _, err := east.ns.Run("ping", "-c", "2", "-i", "0.05", "-W", "1", "-I", "10.1.0.1", "10.2.0.1"); err == nil || w.esp.Load()+w.clear.Load() > 0 {
		t.Errorf("without the mark: %v, %d protected, %d in clear", err, w.esp.Load(), w.clear.Load())
	}
	out, err := runIn(east, east.command("state", "list").Args[1:])
	if err != nil || !strings.Contains(out, "mark 0x5/0xff") || !strings.Contains(out, "output-mark 0x5/0xff") || !strings.Contains(out, "output-mark 0x7/") {
		t.Errorf("SAs: %v %s", err, out)
	}
}

// simulated adds a netdevsim device with an address to east's namespace, and a
// route to the other endpoint through it.
func simulated(t *testing.T, e *end) (dev string) {
	t.Helper()
	const bus = "/sys/bus/netdevsim/"
	if _, err := os.Stat(bus + "new_device"); err != nil {
		t.Skip("needs netdevsim (CONFIG_NETDEVSIM); offload of documents was not tested")
	}
	id := 1000 + rand.IntN(1<<20)
	if err := e.ns.Do(func() error { return os.WriteFile(bus+"new_device", fmt.Appendf(nil, "%d 1", id), 0) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(bus+"del_device", fmt.Append(nil, id), 0) }) // it may have gone with its namespace
	var links []struct{ IfName, ParentDev string }
	if err := json.Unmarshal([]byte(e.ns.MustRun(t, sandbox.IP(), "-j", "-d", "link")), &links); err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.ParentDev == fmt.Sprintf("netdevsim%d", id) {
			dev = l.IfName
		}
	}
	if dev == "" {
		t.Fatalf("no link of netdevsim%d among %+v", id, links)
	}
	e.ns.MustRun(t, sandbox.IP(), "link", "set", dev, "up")
	return dev
}

// TestOffload: the plan says which SA goes where and why; what a device shall
// carry it carries, or the document is refused at the word; what could not be is
// told.
func TestOffload(t *testing.T) {
	east, _ := ends(t, false)
	dev := simulated(t, east)
	text := func(words string) string {
		return strings.Replace(with("    esn: false\n    "+words), "underlay: wire0", "underlay: "+dev, 1)
	}
	east.write(t, text("offload: {out: require, in: prefer}"))
	out := east.do(t, "plan")
	if !strings.Contains(out, "(nic-crypto on "+dev+")") || !strings.Contains(out, "(in software: ") || !strings.Contains(out, "inbound-if-id") {
		t.Errorf("plan:\n%s", out)
	}
	var last struct {
		Placement struct{ Want, Rung, NIC string }
	}
	lines, err := runIn(east, east.command("-j", "plan", east.dir+"/office.yaml", "--as", "east", "--state-dir", east.dir+"/east").Args[1:])
	if err != nil {
		t.Fatal(err, lines)
	}
	for _, line := range strings.Split(lines, "\n") {
		if strings.Contains(line, `"require"`) {
			if err := json.Unmarshal([]byte(line), &last); err != nil || last.Placement.NIC != dev || last.Placement.Rung != "nic-crypto" {
				t.Errorf("%v: %s", err, line)
			}
		}
	}
	east.do(t, "apply")
	if out := east.do(t, "apply"); !strings.Contains(out, "east: 0 writes") {
		t.Error(out)
	}
	if out := east.do(t, "verify"); !strings.Contains(out, "note: esp sa") {
		t.Errorf("what is in software is not told: %s", out)
	}
	if out, _ := runIn(east, east.command("state", "list").Args[1:]); strings.Count(out, "dev "+dev) != 1 {
		t.Errorf("SAs: %s", out)
	}
	// another epoch, in software; the one on the device stays as it was
	east.write(t, text("offload: require"))
	if out, err := east.try("apply"); err == nil || !strings.Contains(out, "office.yaml:11:14: no device can carry the inbound SA") {
		t.Errorf("%v: %s", err, out)
	}
	east.write(t, strings.Replace(text("offload: off"), "epoch: 1", "epoch: 2", 1))
	east.do(t, "apply", "--prune")
	east.write(t, strings.Replace(text("offload: {out: require}"), "epoch: 1", "epoch: 2", 1))
	if out, err := east.try("apply"); err == nil || !strings.Contains(out, "is in software, and shall be nic-crypto on "+dev) {
		t.Errorf("an SA in software that a device shall carry: %v: %s", err, out)
	}
}

// TestPacketOffload: a device that does cryptography alone is asked for no more.
// With require nothing is written; with prefer it does that, the plan says why, and
// all goes again.
func TestPacketOffload(t *testing.T) {
	east, _ := ends(t, false)
	dev := simulated(t, east)
	text := func(word string) string {
		return strings.Replace(with("    esn: false\n    offload: {out: "+word+"}\n    offload_type: packet"), "underlay: wire0", "underlay: "+dev, 1)
	}
	before := east.objects(t)
	east.write(t, text("require"))
	for _, verb := range []string{"plan", "apply"} {
		if out, err := east.try(verb); err == nil || !strings.Contains(out, "office.yaml:11:20: no device can carry the outbound SA") || !strings.Contains(out, "packet") {
			t.Errorf("%s: %v: %s", verb, err, out)
		}
	}
	if after := east.objects(t); after != before {
		t.Errorf("what was refused has changed something:\n%s", after)
	}
	east.write(t, text("prefer"))
	if out := east.do(t, "plan"); !strings.Contains(out, "(nic-crypto on "+dev+": driver netdevsim does no packet offload)") {
		t.Errorf("plan:\n%s", out)
	}
	east.do(t, "apply")
	if out := east.do(t, "apply"); !strings.Contains(out, "east: 0 writes") {
		t.Error(out)
	}
	east.do(t, "verify")
	east.do(t, "diff")
	if out, err := runIn(east, east.command("export", "--as", "east").Args[1:]); err != nil || !strings.Contains(out, "offload: {out: prefer} #") || strings.Contains(out, "offload (") {
		t.Errorf("export: %v\n%s", err, out)
	}
	if out := east.objects(t); strings.Count(out, "dir out mode crypto") != 1 || strings.Contains(out, "mode packet") || strings.Count(out, "proto esp spi") != 2 {
		t.Errorf("objects:\n%s", out)
	}
	east.do(t, "delete")
	if after := east.objects(t); after != before {
		t.Errorf("delete leaves:\n%s\nof what was:\n%s", after, before)
	}
}

// objects are the end's SAs, policies, XFRM interfaces and routes.
func (e *end) objects(t *testing.T) string {
	t.Helper()
	all := ""
	for _, words := range []string{"state list", "policy list"} {
		out, err := runIn(e, e.command(strings.Fields(words)...).Args[1:])
		if err != nil {
			t.Fatalf("%s: %v: %s", words, err, out)
		}
		all += out
	}
	for _, words := range []string{"-o link show type xfrm", "route"} {
		all += e.ns.MustRun(t, sandbox.IP(), strings.Fields(words)...)
	}
	return all
}

// TestEngineWord: the document names its engine, and one that is asked for
// besides is refused at its line.
func TestEngineWord(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		e, _ := ends(t, userspace)
		mine, other := "kernel", "userspace"
		if userspace {
			mine, other = other, mine
		}
		e.write(t, strings.Replace(site, "nodes:", "engine: "+mine+"\nnodes:", 1))
		e.do(t, "apply")
		e.write(t, strings.Replace(site, "nodes:", "engine: "+other+"\nnodes:", 1))
		if out, err := e.try("apply"); err == nil || !strings.Contains(out, "office.yaml:3:9: this document is for engine "+other+", and --engine "+mine) {
			t.Errorf("%v: %s", err, out)
		}
	})
}
