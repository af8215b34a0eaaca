package nicoffload_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// cost is the processor time of a run, the least of three: a busy machine
// makes it wait, which is not the program's fault.
func (p *place) cost(t *testing.T, words ...string) (least, wall time.Duration) {
	t.Helper()
	least, wall = time.Hour, time.Hour
	for range 3 {
		start := time.Now()
		err := p.Do(func() error {
			cmd := exec.Command(os.Getenv("XFRMCTL_BIN"), append([]string{"--quiet", "--engine", "kernel"}, words...)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%v: %w: %s", words, err, out)
			}
			least = min(least, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		wall = min(wall, time.Since(start))
	}
	return least, wall
}

// limit is 100 ms on this machine. Guests are slower, and count the time in
// which they wait for a busy host as their own.
func limit() time.Duration {
	switch os.Getenv("XFRMCTL_KERNEL") {
	case "native":
		return 100 * time.Millisecond
	case "uml":
		return time.Second
	}
	return 2 * time.Second
}

func TestThousandInterfaces(t *testing.T) {
	p := newPlace(t)
	pairs := 500
	if testing.Short() { // to make them takes long under emulation
		pairs = 50
	}
	var batch strings.Builder
	for i := range pairs {
		fmt.Fprintf(&batch, "link add v%d type veth peer name w%d\n", i, i)
	}
	if err := p.Do(func() error {
		cmd := exec.Command(sandbox.IP(), "-batch", "-")
		cmd.Stdin = strings.NewReader(batch.String())
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"offload show", "check", "offload explain v0", "gro show"} {
		cpu, wall := p.cost(t, strings.Fields(words)...)
		t.Logf("%s: %v of processor, %v", words, cpu, wall)
		if cpu > limit() {
			t.Errorf("%s takes %v with %d interfaces, want at most %v", words, cpu, 2*pairs, limit())
		}
	}
	if out, _ := p.xfrmctl(t, "offload", "show"); strings.Count(out, "veth") < 2*pairs {
		t.Errorf("not all interfaces are shown: %d bytes", len(out))
	}
}

// TestManySAs: show reads the SAs in one dump, and check, explain and gro not
// at all.
func TestManySAs(t *testing.T) {
	p := newPlace(t)
	needESP(t, p)
	n := 100_000
	if testing.Short() {
		n = 5_000
	}
	quick, _ := p.cost(t, "offload", "show")
	none, _ := p.cost(t, "check")
	conn, err := netlinkx.Dial(&netlinkx.Config{NetNS: netlinkx.NetNSFD(p.FD())})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	addMany(t, conn, n)
	start, count := time.Now(), 0
	for _, err := range conn.ScanSAs(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	dump := time.Since(start)
	if count != n {
		t.Fatalf("%d SAs, want %d", count, n)
	}
	show, _ := p.cost(t, "offload", "show")
	check, _ := p.cost(t, "check")
	t.Logf("%d SAs: one dump takes %v; show %v instead of %v, check %v instead of %v", n, dump, show, quick, check, none)
	if slack := 2*dump + limit(); show > quick+slack {
		t.Errorf("show takes %v with %d SAs and %v without, a dump %v", show, n, quick, dump)
	}
	if check > none+limit() {
		t.Errorf("check takes %v with %d SAs and %v without", check, n, none)
	}
}

func addMany(t *testing.T, conn *netlinkx.Conn, n int) {
	t.Helper()
	b := conn.NewBatch()
	for i := range n {
		sa := netlinkx.NewSA()
		// each its own destination: the kernel finds SAs by it, one after another
		sa.Src, sa.Dst, sa.Proto = netip.MustParseAddr("192.0.2.1"), netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), netlinkx.ProtoESP
		sa.SPI = netlinkx.SPI(0x10000 + i)
		sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 128}
		b.Add(netlinkx.AddSA(sa))
	}
	if r, err := b.Commit(t.Context()); err != nil || r.Applied != n {
		t.Fatalf("%d of %d SAs were added: %v", r.Applied, n, err)
	}
}
