package provision

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// TestManual runs the worked example of docs/provisioning.md and compares what
// it prints with what is printed there, SPIs aside.
func TestManual(t *testing.T) {
	b, err := os.ReadFile("../../docs/provisioning.md")
	if err != nil {
		t.Skipf("needs the documentation beside the test: %v; its example was not run", err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "```yaml\n")
	example, after, _ := strings.Cut(after, "```")
	_, after, _ = strings.Cut(after, "# xfrmctl plan ")
	session, _, _ := strings.Cut(after, "```")
	bothEngines(t, func(t *testing.T, userspace bool) {
		east, west := ends(t, userspace)
		east.write(t, strings.NewReplacer("eth0", sandbox.Wire, "/etc/xfrmctl/office.root", filepath.Join(east.dir, "root")).Replace(example))
		id := strings.TrimSpace(string(boot))
		got := "office.yaml --as east --boot-id west=0d1a…\n" + east.do(t, "plan", "--boot-id", "west="+id)
		for range 2 {
			got += "# xfrmctl apply office.yaml --as east --boot-id west=0d1a…\n" + east.do(t, "apply", "--boot-id", "west="+id)
		}
		spi := regexp.MustCompile(`sa 0x[0-9a-f]{8}`)
		want := session
		if userspace { // which has no guard policies
			want = regexp.MustCompile(`create   .* \(blocks what is in clear\)\n`).ReplaceAllString(want, "")
			want = strings.NewReplacer("12 steps", "9 steps", "12 writes: create 11", "9 writes: create 8").Replace(want)
		}
		if got, want := spi.ReplaceAllString(got, "sa SPI"), spi.ReplaceAllString(want, "sa SPI"); got != want {
			t.Errorf("it prints\n%s\nthe manual says\n%s", got, want)
		}
		west.do(t, "apply", "--boot-id", "east="+id)
		east.ns.MustRun(t, sandbox.IP(), "addr", "add", "10.1.0.1/32", "dev", "lo")
		west.ns.MustRun(t, sandbox.IP(), "addr", "add", "10.2.0.1/32", "dev", "lo")
		if err := ping(east, 3); err != nil {
			t.Error(err)
		}
	})
}
