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

// TestThousandInterfaces: what looks at all devices takes time in proportion to
// them, with a request for each at most: ten times as many do not take more than
// twenty times as long, where reading all for each one takes nearly a hundred times.
func TestThousandInterfaces(t *testing.T) {
	few, many := 50, 500 // pairs of devices
	if testing.Short() { // to make them takes long under emulation
		few, many = 5, 50
	}
	lines := []string{"offload show", "check", "offload explain v0", "gro show"}
	took := map[string][]time.Duration{}
	for _, pairs := range []int{few, many} {
		p := newPlace(t)
		p.addPairs(t, pairs)
		for _, line := range lines {
			cpu, wall := p.cost(t, strings.Fields(line)...)
			t.Logf("%d interfaces, %s: %v of processor, %v", 2*pairs, line, cpu, wall)
			took[line] = append(took[line], cpu)
		}
		if out, _ := p.xfrmctl(t, "offload", "show"); strings.Count(out, "veth") < 2*pairs {
			t.Errorf("not all interfaces are shown: %d bytes", len(out))
		}
	}
	for line, cpu := range took {
		if cpu[1] > 20*cpu[0] {
			t.Errorf("%s takes %v with %d interfaces, and %v with %d", line, cpu[1], 2*many, cpu[0], 2*few)
		}
	}
}

// addPairs makes pairs of devices v0 and w0, v1 and w1…
func (p *place) addPairs(t *testing.T, pairs int) {
	t.Helper()
	var batch strings.Builder
	for i := range pairs {
		fmt.Fprintf(&batch, "link add v%d type veth peer name w%d\n", i, i)
	}
	err := p.Do(func() error {
		cmd := exec.Command(sandbox.IP(), "-batch", "-")
		cmd.Stdin = strings.NewReader(batch.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
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
	count := 0
	for _, err := range conn.ScanSAs(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	if count != n {
		t.Fatalf("%d SAs, want %d", count, n)
	}
	show, _ := p.cost(t, "offload", "show")
	check, _ := p.cost(t, "check")
	list, _ := p.cost(t, "state", "list")
	t.Logf("%d SAs: show %v instead of %v, check %v instead of %v; state list %v", n, show, quick, check, none, list)
	if show > quick+list {
		t.Errorf("show takes %v with %d SAs and %v without; to list them takes %v", show, n, quick, list)
	}
	if check > none+list/2 {
		t.Errorf("check takes %v with %d SAs and %v without; to list them takes %v", check, n, none, list)
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
