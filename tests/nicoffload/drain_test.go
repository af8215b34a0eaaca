package nicoffload_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// TestDrainRestore: SAs leave the device with their sequence numbers, and come
// back with them.
func TestDrainRestore(t *testing.T) {
	p := newSimulated(t)
	needESP(t, p)
	ip := sandbox.IP()
	for _, spi := range []int{0x1000, 0x1001} {
		if out, code := p.add(t, spi, "0x000102030405060708090a0b0c0d0e0f10111213 128 replay-oseq 77 offload require dev "+p.dev+" dir out"); code != 0 {
			t.Fatalf("exit code %d: %s", code, out)
		}
	}
	if out, code := p.add(t, 0x1002, key+" 128 dir out"); code != 0 { // never on the device
		t.Fatalf("exit code %d: %s", code, out)
	}
	file := filepath.Join(t.TempDir(), "drained")
	out, code := p.xfrmctl(t, "--dry-run", "offload", "drain", p.dev, "save", file)
	if code != 0 || !strings.Contains(out, "2 SAs and 0 policies would be moved to software") || !strings.Contains(p.carried(t), "SA count=2") {
		t.Fatalf("dry run: exit code %d: %s", code, out)
	}
	out, code = p.xfrmctl(t, "offload", "drain", p.dev, "save", file)
	if code != 0 || !strings.Contains(out, "2 SAs and 0 policies moved to software") {
		t.Fatalf("drain: exit code %d: %s", code, out)
	}
	if s := p.carried(t); !strings.Contains(s, "SA count=0") {
		t.Errorf("the device still carries: %s", s)
	}
	if out := p.MustRun(t, ip, "xfrm", "state"); strings.Count(out, "oseq 0x4d") != 2 || strings.Contains(out, "offload") {
		t.Errorf("sequence numbers are lost, or the offload is not: %s", out)
	}
	out, code = p.xfrmctl(t, "offload", "restore", file)
	if code != 0 || !strings.Contains(out, "2 SAs and 0 policies moved back to "+p.dev) {
		t.Fatalf("restore: exit code %d: %s", code, out)
	}
	if s := p.carried(t); !strings.Contains(s, "SA count=2") {
		t.Errorf("the device carries: %s", s)
	}
	if out := p.MustRun(t, ip, "xfrm", "state"); strings.Count(out, "oseq 0x4d") != 2 || strings.Count(out, "crypto offload") != 2 {
		t.Errorf("not as before: %s", out)
	}
	if n := p.count(t); n != 3 {
		t.Errorf("%d SAs, want 3", n)
	}
}

// TestVerify: the device's own counter explains the SA's packets.
func TestVerify(t *testing.T) {
	p := newSimulated(t)
	needESP(t, p)
	p.carried(t) // mounts debugfs
	ip := sandbox.IP()
	p.MustRun(t, ip, "neighbour", "add", "192.0.2.2", "lladdr", "00:11:22:33:44:55", "dev", p.dev)
	p.add(t, 0x1000, key+" 128 reqid 1 offload require dev "+p.dev+" dir out")
	p.MustRun(t, ip, strings.Fields("xfrm policy add src 192.0.2.1 dst 192.0.2.2 dir out tmpl proto esp reqid 1 mode transport")...)
	ping := exec.Command("ping", "-i", "0.2", "192.0.2.2") // nobody answers
	if err := p.Do(ping.Start); err != nil {
		t.Fatal(err)
	}
	out, code := "", 0
	for range 10 { // a machine that stands still sends nothing
		out, code = p.xfrmctl(t, strings.Fields("-j offload verify src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1000 for 3")...)
		if !strings.Contains(out, `"sa_packets":0`) {
			break
		}
	}
	ping.Process.Kill() //nolint:errcheck // Wait tells
	ping.Wait()         //nolint:errcheck // killed
	if code != 0 || !strings.Contains(out, `"hardware_share":1`) || !strings.Contains(out, `"on":"`+p.dev+`"`) {
		t.Errorf("exit code %d: %s", code, out)
	}
	p.add(t, 0x1001, key+" 128 dir out")
	out, code = p.xfrmctl(t, strings.Fields("offload verify src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1001 for 0")...)
	if code != 1 || !strings.Contains(out, "in software") {
		t.Errorf("in software: exit code %d: %s", code, out)
	}
}
