package provision

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// TestPlanMemory: a plan of ten thousand tunnels, document and all, in 300 MB.
// How long it takes is a matter of make bench. Go's collector lets garbage lie where
// it has used too much of the time, and so it seems when a machine stands still
// while it collects: then it is done again.
func TestPlanMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a run without -short: the memory of a large plan was not looked at")
	}
	const tunnels, most = 10_000, 300 << 10 // KiB
	east := &end{name: "east", ns: sandbox.New(t), dir: t.TempDir(), binary: engine.Binary(t)}
	rewrite(t, filepath.Join(east.dir, "root"), []byte(strings.Repeat("secret! ", 5)))
	var b strings.Builder
	b.WriteString("version: 1\nowner: {name: many, reqid: 100000-999999, if_id: 100000-999999}\nnodes:\n  east: {endpoint: 192.0.2.1}\n")
	for k := range tunnels {
		fmt.Fprintf(&b, "  n%d: {endpoint: 100.64.%d.%d, boot_id: x}\n", k, k>>8, k&255)
	}
	b.WriteString("tunnels:\n")
	for k := range tunnels {
		fmt.Fprintf(&b, `  - name: t%[1]d
    between: [east, n%[1]d]
    keys: {derive: "file:@ROOT@"}
    interface: ipsec%[1]d
    addresses: {east: [172.16.%[2]d.%[3]d/32]}
    traffic:
      - {east: 10.255.0.0/16, n%[1]d: 10.%[2]d.%[3]d.0/24}
      - {east: 10.255.0.0/16, n%[1]d: 11.%[2]d.%[3]d.0/24}
`, k, k>>8, k&255)
	}
	path := east.write(t, b.String())
	peak := int64(0)
	for tries := 0; tries == 0 || peak > most && tries < 5; tries++ {
		peak = peakOfPlan(t, east, path)
		t.Logf("%d tunnels: %d KiB", tunnels, peak)
	}
	if peak > most {
		t.Errorf("a plan of %d tunnels takes %d KiB, more than %d", tunnels, peak, most)
	}
}

// peakOfPlan plans, and returns the most memory that it took, in KiB.
func peakOfPlan(t *testing.T, east *end, path string) int64 {
	t.Helper()
	out, err := os.Create(filepath.Join(east.dir, "plan"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := east.command("plan", path, "--as", "east", "--state-dir", filepath.Join(east.dir, "none"))
	cmd.Stdout, cmd.Stderr = out, out
	if err := east.ns.Do(cmd.Run); err != nil {
		t.Fatal(err)
	}
	end := make([]byte, 64)
	size, err := out.Seek(-int64(len(end)), 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.ReadAt(end, size); err != nil || !strings.HasSuffix(string(end), "east: 210000 steps\n") {
		t.Fatalf("the plan ends with %q (%v)", end, err)
	}
	return int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
}
