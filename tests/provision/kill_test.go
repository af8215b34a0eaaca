package provision

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

var kills = flag.Int("kills", 15, "how often apply is killed")

// variants are documents to go between, which protect what 10.1.0.1 and
// 10.2.0.1 send each other: one tunnel with an interface, several, without
// interface, with other numbers.
func variants(userspace bool) []string {
	more := func(n int) (s string) {
		for i := range n {
			s += fmt.Sprintf("  - {name: t%d, between: [west, east], cipher: aes-gcm-256, keys: {derive: \"file:@ROOT@\", epoch: @EPOCH@}, interface: ipsec%d, traffic: [{east: 10.%d.0.0/16, west: 10.%d.0.0/16}]}\n", i, i+1, 20+i, 60+i)
		}
		return s
	}
	base := strings.Replace(site, "epoch: 1", "epoch: @EPOCH@", 1)
	policyOnly := strings.Replace(base, "    interface: ipsec0\n    addresses: {east: [10.1.0.1/32], west: [10.2.0.1/32]}\n", "", 1)
	all := []string{
		base,
		base + more(20),
		strings.Replace(base, "ipsec0", "ipsec7", 1) + more(3),
		strings.Replace(base, "    interface", "    mtu: 1400\n    lifetime: {hard_seconds: 3600}\n    interface", 1) + more(30),
		strings.Replace(base, ", underlay: wire0", "", 1) + more(5),
	}
	if userspace {
		return all // it protects what goes through interfaces
	}
	return append(all, policyOnly+more(10))
}

// foreign makes objects of another owner, beside ours and with our addresses.
func foreign(t *testing.T, e *end) {
	t.Helper()
	var lines strings.Builder
	for i := range 10 {
		fmt.Fprintf(&lines, "state add src 192.0.2.1 dst 192.0.2.2 proto esp spi %d mode tunnel reqid %d enc cbc(aes) 0x000102030405060708090a0b0c0d0e0f auth-trunc hmac(sha256) 0x%s 128\n",
			0x300+i, 10000+i, strings.Repeat("0b", 32))
		fmt.Fprintf(&lines, "policy add src 10.99.0.0/16 dst 10.%d.0.0/16 dir out tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid %d mode tunnel\n", 100+i, 10000+i)
	}
	cmd := e.command("--quiet", "-batch", "-")
	cmd.Stdin = strings.NewReader(lines.String())
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := e.ns.Do(cmd.Run); err != nil {
		t.Fatal(err, out.String())
	}
}

// foreignText is what the engine shows of the foreign objects, but for when
// they were looked at.
func foreignText(t *testing.T, e *end) string {
	t.Helper()
	var all strings.Builder
	for _, words := range [][]string{{"state", "list"}, {"policy", "list"}} {
		cmd := e.command(append([]string{"-o", "--show-keys"}, words...)...)
		var b bytes.Buffer
		cmd.Stdout = &b
		if err := e.ns.Do(cmd.Run); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, line := range strings.Split(b.String(), "\n") {
			if strings.Contains(line, "spi 0x000003") || strings.Contains(line, "10.99.0.0") {
				lines = append(lines, line)
			}
		}
		if len(lines) != 10 {
			t.Errorf("%v: %d foreign objects", words, len(lines))
		}
		fmt.Fprintln(&all, lines)
	}
	return all.String()
}

// TestKill kills apply at random times on its way between random documents: one
// more apply reaches the new one, the next writes nothing, and nothing of
// another owner has changed. All documents protect what is sent meanwhile, and
// none of it arrives in clear. Each killed apply takes a new epoch: keys of the
// SAs that it made may have been used.
func TestKill(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		e, peer := ends(t, userspace)
		foreign(t, e)
		e.write(t, strings.ReplaceAll(variants(userspace)[0], "@EPOCH@", "1000000"))
		e.do(t, "apply")
		w := watch(t, peer.ns)
		send(t, e, "0.003")
		before := foreignText(t, e)
		r := rand.New(rand.NewPCG(5, uint64(*kills)))
		all := variants(userspace)
		if testing.Short() {
			*kills = min(*kills, 5)
		}
		killed, took := 0, 50*time.Millisecond
		// one that was killed too late, by chance or because the machine was busy with
		// something else, is no reason to give up
		for n := 0; n < *kills || killed < *kills/5 && n < 10**kills; n++ {
			text := strings.ReplaceAll(all[r.IntN(len(all))], "@EPOCH@", fmt.Sprint(n+1))
			path := e.write(t, text)
			plan := e.do(t, "plan", "--prune")
			if killAt(t, e, path, time.Duration(r.Int64N(int64(took)))) {
				killed++
			}
			begun := time.Now()
			if out, err := e.try("apply", "--prune"); err != nil {
				t.Fatalf("kill %d: %v: %s\n%s", n, err, out, plan)
			}
			took = max(time.Since(begun), 20*time.Millisecond)
			if out := e.do(t, "apply", "--prune"); !strings.Contains(out, "0 writes") {
				t.Fatalf("kill %d, apply after apply: %s", n, out)
			}
		}
		if after := foreignText(t, e); after != before {
			t.Errorf("foreign objects were\n%s\nare\n%s", before, after)
		}
		t.Logf("%d of %d killed", killed, *kills)
		if n := w.clear.Load(); n > 0 || w.esp.Load() == 0 {
			t.Errorf("%d packets arrived in clear, %d protected", n, w.esp.Load())
		}
		if killed < *kills/5 {
			t.Errorf("only %d of %d were killed on the way", killed, *kills)
		}
		e.do(t, "delete")
		if after := foreignText(t, e); after != before {
			t.Errorf("after delete foreign objects were\n%s\nare\n%s", before, after)
		}
	})
}

// TestConflict: an object in the way that is not ours is named, and nothing is
// written.
func TestConflict(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		e, _ := ends(t, userspace)
		e.write(t, site)
		cmd := e.command("iface", "add", "ipsec0", "if_id", "77")
		if out, err := runIn(e, cmd.Args[1:]); err != nil {
			t.Fatal(err, out)
		}
		out, err := e.try("apply")
		if err == nil || !strings.Contains(out, "interface ipsec0: is there already and not ours") || !strings.Contains(out, "nothing was changed") {
			t.Errorf("%v: %s", err, out)
		}
		if out := e.ns.MustRun(t, sandbox.IP(), "-d", "link", "show", "ipsec0"); out == "" {
			t.Error("the interface is gone")
		}
	})
}

// TestTakenBack: when the engine refuses a step, those before it are taken back,
// and what was wrong can be put right without a new epoch.
func TestTakenBack(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		e, _ := ends(t, userspace)
		sysctl := func(v string) {
			e.ns.MustRun(t, "sh", "-c", "echo "+v+" > /proc/sys/net/ipv6/conf/default/disable_ipv6")
		}
		e.write(t, strings.Replace(site, "10.1.0.1/32", "10.1.0.1/32, \"2001:db8:1::1/128\"", 1))
		before := census(t, e)
		sysctl("1")
		out, err := e.try("apply")
		if err == nil || !strings.Contains(out, "address 2001:db8:1::1/128 of ipsec0") || !strings.Contains(out, "steps before it were taken back") {
			t.Fatalf("%v: %s", err, out)
		}
		if after := census(t, e); after != before {
			t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
		}
		sysctl("0")
		e.do(t, "apply")
		if out := e.do(t, "apply"); !strings.Contains(out, "0 writes") {
			t.Error(out)
		}
	})
}

// census is all that apply can make.
func census(t *testing.T, e *end) string {
	t.Helper()
	var all strings.Builder
	for _, words := range [][]string{{"state", "list"}, {"policy", "list"}, {"iface", "show"}} {
		out, err := runIn(e, e.command(words...).Args[1:])
		if err != nil {
			t.Fatal(err, out)
		}
		all.WriteString(out)
	}
	return all.String() + e.ns.MustRun(t, sandbox.IP(), "route") + e.ns.MustRun(t, sandbox.IP(), "-6", "route")
}

func runIn(e *end, args []string) (string, error) {
	cmd := e.command()
	cmd.Args = append(cmd.Args[:1], args...)
	return engine.Said(e.ns, cmd)
}
