package provision

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// output collects what a command that runs says.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// TestEvery: apply that stays puts drift right, follows the document, outlives
// a mistake in it, and ends when told to.
func TestEvery(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		e, _ := ends(t, userspace)
		path := e.write(t, site)
		cmd := e.command("apply", path, "--as", e.name, "--state-dir", e.dir+"/"+e.name, "--every", "1")
		out := &output{}
		cmd.Stdout, cmd.Stderr = out, out
		if err := e.ns.Do(cmd.Start); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill() })
		until := func(want string) {
			t.Helper()
			if !sandbox.Await(func() bool { return strings.Contains(out.String(), want) }) {
				t.Fatalf("it never said %q, but\n%s", want, out)
			}
		}
		until(firstApply(userspace))
		e.ns.MustRun(t, sandbox.IP(), "route", "del", "10.2.0.0/16", "dev", "ipsec0")
		until("east: 1 writes: create 1")
		e.write(t, strings.Replace(site, "cipher", "cypher", 1)+"nonsense: 1\n")
		until("nonsense")
		e.write(t, strings.Replace(site, "    traffic", "    mtu: 1300\n    traffic", 1))
		until("east: 1 writes: change 1")
		if n := strings.Count(out.String(), "nonsense: 1"); n != 1 {
			t.Errorf("the mistake was said %d times:\n%s", n, out)
		}
		cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // Wait tells
		if err := cmd.Wait(); err != nil {
			t.Error(fmt.Errorf("%w\n%s", err, out))
		}
		e.do(t, "verify")
	})
}
