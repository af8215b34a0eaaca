package provision

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// manyDocument is site with n tunnels beside it, each with an interface, to a node
// of its own. The other one of as many has a quarter of new tunnels, and another
// MTU for the rest.
func manyDocument(n int, other bool) string {
	head, tail, _ := strings.Cut(strings.Replace(strings.Replace(site, "10000-19999", "100000-999999", 1), "20000-29999", "100000-999999", 1), "tunnels:")
	first, more := 0, ""
	if other {
		first, more = n/4, "mtu: 1300, "
	}
	var nodes, tunnels strings.Builder
	for k := first; k < first+n; k++ {
		hi, lo := k>>8, k&255
		fmt.Fprintf(&nodes, "  n%d: {endpoint: 100.64.%d.%d, boot_id: x}\n", k, hi, lo)
		fmt.Fprintf(&tunnels, "  - {name: t%d, between: [east, n%d], keys: {derive: \"file:@ROOT@\", epoch: @EPOCH@}, interface: ipsec%d, %straffic: [{east: 10.1.0.0/16, n%d: 11.%d.%d.0/24}]}\n", k, k, k+1, more, k, hi, lo)
	}
	return head + nodes.String() + "tunnels:" + strings.Replace(tail, "epoch: 1", "epoch: @EPOCH@", 1) + tunnels.String()
}

// TestMany kills the apply of a document with XFRMCTL_MANY tunnels at random times,
// XFRMCTL_MANY_KILLS times, on its way from nothing but one tunnel, to other ones,
// and back: one more apply is enough, a further one writes nothing, the objects of
// another owner are as before, and what goes through the tunnel that stays never
// arrives in clear.
func TestMany(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		n, kills := count("XFRMCTL_MANY", 60), count("XFRMCTL_MANY_KILLS", 3)
		if testing.Short() {
			n, kills = 20, 2
		}
		if userspace {
			n = min(n, 1000) // TUN devices take the kernel 50 ms each
		}
		e, peer := ends(t, userspace)
		foreign(t, e)
		all := []string{manyDocument(0, false), manyDocument(n, false), manyDocument(n, true)}
		e.write(t, strings.ReplaceAll(all[0], "@EPOCH@", "1"))
		e.do(t, "apply")
		w := watch(t, peer.ns)
		send(t, e, "0.03")
		before := foreignText(t, e)
		seed := count("XFRMCTL_PAIRS_SEED", 1)
		r, killed := rand.New(rand.NewPCG(10, uint64(seed))), 0
		took := time.Duration(n) * 5 * time.Millisecond
		epoch := 1
		for k := range kills {
			path := ""
			path, epoch = nextEpoch(t, e, all[(k+1)%len(all)], epoch)
			begun, at := time.Now(), time.Duration(r.Int64N(int64(took)))
			dead := killAt(t, e, path, at)
			if dead {
				killed++
			}
			again := time.Now()
			out, err := e.try("apply", "--prune")
			if err != nil {
				t.Fatalf("killed after %v: one more apply: %v: %s", at, err, out)
			}
			further := time.Now()
			if out := e.do(t, "apply", "--prune"); !strings.Contains(out, "0 writes") {
				t.Fatalf("killed after %v: a further apply: %s", at, out)
			}
			if after := foreignText(t, e); after != before {
				t.Fatalf("killed after %v: foreign objects were\n%s\nare\n%s", at, before, after)
			}
			took = max(took, further.Sub(begun))
			t.Logf("document %d, killed after %v: %v; one more apply %v, a further one %v", (k+1)%len(all), at, dead, further.Sub(again), time.Since(further))
		}
		if n := w.clear.Load(); n > 0 || w.esp.Load() == 0 {
			t.Errorf("%d packets arrived in clear, %d protected", n, w.esp.Load())
		}
		t.Logf("%d tunnels: %d of %d applies killed, %d packets protected, %d in clear", n, killed, kills, w.esp.Load(), w.clear.Load())
	})
}

// nextEpoch writes the document with the next epoch in which no two SPIs are the
// same: of 10,000 that come from keys two are, in one epoch of thirty.
func nextEpoch(t *testing.T, e *end, document string, epoch int) (path string, next int) {
	t.Helper()
	for range 5 {
		epoch++
		path = e.write(t, strings.ReplaceAll(document, "@EPOCH@", fmt.Sprint(epoch)))
		out, err := e.try("plan", "--prune")
		if err == nil {
			return path, epoch
		}
		if !strings.Contains(out+err.Error(), "by chance") {
			t.Fatalf("plan: %v: %s", err, out)
		}
		t.Logf("epoch %d: %s", epoch, out)
	}
	t.Fatal("two SPIs are the same in five epochs")
	return "", 0
}

// killAt runs apply and kills it after a time, and reports whether it died of that.
func killAt(t *testing.T, e *end, path string, after time.Duration) bool {
	t.Helper()
	cmd := e.command("apply", path, "--as", e.name, "--state-dir", e.dir+"/"+e.name, "--prune")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := e.ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() }) //nolint:errcheck // it may be gone
	defer timer.Stop()
	err := cmd.Wait()
	if err != nil && !strings.Contains(err.Error(), "killed") {
		t.Fatalf("%v: %s", err, out.String())
	}
	return err != nil
}
