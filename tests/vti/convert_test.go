package vti

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// TestConvert converts one end under a flood of pings, then the other, and goes
// back in the same order: each way works with the peer in either form, loses no
// more than was stated, sends nothing in clear, and the end is the beginning.
func TestConvert(t *testing.T) {
	all := kinds()
	if testing.Short() {
		all = all[:1]
	}
	for _, k := range all {
		t.Run(k.name, func(t *testing.T) {
			a, b := build(t, k)
			wires := []*wire{watch(t, a.ns), watch(t, b.ns)}
			ping(t, a)
			before := map[*end]string{a: a.picture(t), b: b.picture(t)}
			for _, words := range []string{"vti0", "--undo"} {
				for _, e := range []*end{a, b} {
					under(t, a, e, words)
				}
			}
			for _, e := range []*end{a, b} {
				same(t, e.name, before[e], e.picture(t))
			}
			for _, w := range wires {
				w.judge(t)
			}
		})
	}
}

// under converts e while a floods, and holds what is lost to what was stated.
func under(t *testing.T, a, e *end, words string) {
	t.Helper()
	f := startFlood(t, a)
	f.goesOn(t)
	o := e.convert(t, words)
	f.goesOn(t)
	sent, lost := f.stop(t)
	t.Logf("%s %s: %s, interrupted for %.1f of at most %.0f ms; %d of %d pings lost", e.name, words, o.Event, o.Interrupted, o.Bound, lost, sent)
	if o.Interrupted > o.Bound {
		t.Logf("longer than was stated: the machine gave the command no time")
	}
	// two pings are on their way when traffic stops
	if float64((lost-2)*interval) > max(o.Bound, o.Interrupted) {
		t.Errorf("%d pings, one in %d ms, were lost; %.0f ms were stated", lost, interval, o.Bound)
	}
	ping(t, a)
}

// TestName: the interface takes over what others know the VTI by, and all that
// is left of this goes with --finish.
func TestName(t *testing.T) {
	a, _ := build(t, kinds()[0])
	a.batch(t, "link property add dev vti0 altname tunnel-to-b\n")
	a.ns.MustRun(t, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/vti0/accept_local; echo 1 > /proc/sys/net/ipv4/conf/vti0/disable_policy")
	a.convert(t, "vti0")
	var links []struct {
		Name     string   `json:"ifname"`
		MTU      int      `json:"mtu"`
		TxQLen   int      `json:"txqlen"`
		Alias    string   `json:"ifalias"`
		AltNames []string `json:"altnames"`
	}
	out := a.ns.MustRun(t, sandbox.IP(), "-j", "-d", "link", "show", "type", "xfrm")
	if err := json.Unmarshal([]byte(out), &links); err != nil || len(links) == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	l := links[len(links)-1]
	if l.Name != "vti0" || l.MTU != 1400 || l.TxQLen != 500 || l.Alias != "old" || strings.Join(l.AltNames, " ") != "tunnel-to-b" {
		t.Errorf("%+v", l)
	}
	if out := a.ns.MustRun(t, "cat", "/proc/sys/net/ipv4/conf/vti0/accept_local", "/proc/sys/net/ipv4/conf/vti0/disable_policy"); out != "1\n0\n" {
		t.Errorf("accept_local and disable_policy are %q", out)
	}
	a.convert(t, "--finish")
	ping(t, a)
	for _, words := range []string{"link show old-vti0", "xfrm policy list mark 42"} {
		if out, err := a.ns.Run(sandbox.IP(), strings.Fields(words)...); err == nil && out != "" {
			t.Errorf("%s after --finish: %s", words, out)
		}
	}
	if out, err := a.try("convert", "--undo"); err != nil || strings.Contains(out, "undone") {
		t.Errorf("undo after --finish: %v %s", err, out)
	}
}

// TestLate: what came to the interface after the conversion goes through the VTI
// when it comes back, and at no moment past it.
func TestLate(t *testing.T) {
	a, _ := build(t, kinds()[0])
	w := watch(t, a.ns)
	a.convert(t, "vti0")
	a.batch(t, "route del 10.2.0.0/16\nroute add 10.2.0.1/32 dev vti0 metric 3 src 10.1.0.1\naddr add 10.66.0.1/32 dev vti0\n")
	f := startFlood(t, a)
	f.goesOn(t)
	out, err := a.try("convert", "--undo")
	f.stop(t)
	if err != nil || !strings.Contains(out, "route 10.2.0.1/32 came after the conversion") {
		t.Errorf("%v: %s", err, out)
	}
	for words, want := range map[string]string{"-d route show dev vti0": "unicast 10.2.0.1 proto boot scope link src 10.1.0.1 metric 3", "addr show dev vti0": "10.66.0.1/32", "link show vti0": "vti0@NONE"} {
		if out := a.ns.MustRun(t, sandbox.IP(), strings.Fields(words)...); !strings.Contains(out, want) {
			t.Errorf("%s has no %q:\n%s", words, want, out)
		}
	}
	w.judge(t)
}

// TestMerge: a vti for IPv4 and a vti6 for IPv6 with one key become one
// interface for both, and come apart again.
func TestMerge(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a run without -short: merging, which takes the same steps as converting, was not tried")
	}
	four := kinds()[0]
	a, b := build(t, four)
	six := kind{link: "vti6", a: sandbox.A6, b: sandbox.B6, mark: four.mark, cipher: four.cipher, replay: four.replay}
	for e, lines := range map[*end]string{a: six.beside(six.a, six.b, "0x101", "0x201", "1", "b"), b: six.beside(six.b, six.a, "0x201", "0x101", "2", "a")} {
		e.batch(t, lines)
	}
	ping(t, a)
	before := a.picture(t)
	a.convert(t, "--all", "--merge")
	ping(t, a)
	if out := a.ns.MustRun(t, sandbox.IP(), "-o", "-d", "link", "show", "type", "xfrm"); strings.Count(out, "if_id") != 1 || !strings.Contains(out, "altname six0") {
		t.Errorf("not one interface with both names: %s", out)
	}
	a.convert(t, "--undo")
	ping(t, a)
	same(t, "apart", before, a.picture(t))
}

// TestRefused: what cannot be converted is named with its reason, and nothing
// is touched. The planner's unit tests have the other reasons.
func TestRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a run without -short: refusals, which are the same on every kernel, were not looked at")
	}
	k := kinds()[0]
	a, _ := build(t, k)
	before := a.picture(t)
	const spi = "src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x900 "
	for _, tt := range []struct{ make, undo, reason string }{
		{"xfrm state add " + spi + "reqid 7 mode tunnel mark 42 limit time-hard 3600 " + k.cipher, "xfrm state delete " + spi + "mark 42", "if_id_in and if_id_out 42"},
		{"rule add fwmark 42 table 77", "rule del fwmark 42 table 77", "routes by mark"},
		{"route add 10.2.0.0/16 via 192.0.2.2 metric 1", "route del 10.2.0.0/16 via 192.0.2.2 metric 1", "where the guard shall stand"},
	} {
		a.batch(t, tt.make+"\n")
		if out, err := a.try("convert", "--all"); err == nil || !strings.Contains(out, tt.reason) || !strings.Contains(out, "nothing was changed") {
			t.Errorf("%s: %v: %s", tt.make, err, out)
		}
		a.batch(t, tt.undo+"\n")
	}
	same(t, "after refusals", before, a.picture(t))
}

// TestEngine: the userspace engine has no VTIs, and the command says so.
func TestEngine(t *testing.T) {
	e := engine.Start(t, sandbox.New(t))
	for _, verb := range []string{"list", "audit", "convert --all"} {
		out, err := e.Command(append([]string{"vti"}, strings.Fields(verb)...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "the userspace engine has no VTIs") {
			t.Errorf("vti %s: %v: %s", verb, err, out)
		}
	}
}
