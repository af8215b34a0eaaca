package enginebench_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// A peer is one way to carry packets from namespace A to B, set up in a pair
// of namespaces of its own.
type peer struct {
	name    string // as in the table
	version string
	pair    *sandbox.Pair
	target  string // what to send to from A, to have the packets carried
	pids    []int  // the processes that carry
	notes   string // why it is not measured
	tcpOnly bool   // of the packets, streams alone are measured
}

// A recipe sets up a peer. It returns a peer with notes when this machine
// lacks something.
type recipe struct {
	name string
	make func(t *testing.T) *peer
}

// The inner addresses of every peer but the wire itself.
const innerA, innerB = "10.99.0.1", "10.99.0.2"

// wire is the ceiling: the same packets over the veth pair with no tunnel.
func wire(t *testing.T) *peer {
	return &peer{name: "no tunnel (veth)", pair: sandbox.NewPair(t), target: sandbox.B4}
}

// cache returns a folder that lasts, for what is fetched or built.
func cache(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("XFRMCTL_LAB_CACHE")
	if dir == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(home, "xfrmctl-lab")
	}
	dir = filepath.Join(dir, "peers", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// output runs a program on the machine and returns what it printed.
func output(dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	b, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(b)))
	}
	return string(b), err
}

// daemon starts a program in ns that is ended with the test. What it prints is
// in log.
func daemon(t *testing.T, ns *sandbox.NS, log string, env []string, name string, args ...string) int {
	t.Helper()
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), f, f
	if err := ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended
		timer := time.AfterFunc(3*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait() //nolint:errcheck // ended by a signal
		timer.Stop()
	})
	return cmd.Process.Pid
}

// eventually waits until f succeeds.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for range 200 {
		if err = f(); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: %v", what, err)
}

// reaches pings B through the tunnel until it answers.
func (p *peer) reaches(t *testing.T) {
	t.Helper()
	eventually(t, p.name+" does not carry a ping", func() error {
		out, err := p.pair.A.Run("ping", "-c1", "-W1", p.target)
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	})
}
