package nicoffload_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// TestThousandInterfaces: what looks at all devices reads them in as many dumps
// as it takes for a few, and asks once more for each at most.
func TestThousandInterfaces(t *testing.T) {
	few, many := 50, 500 // pairs of devices
	if testing.Short() { // to make them takes long under emulation
		few, many = 5, 50
	}
	places := [2]*place{newPlace(t), newPlace(t)}
	for i, pairs := range []int{few, many} {
		places[i].addPairs(t, pairs)
		if out, code := places[i].xfrmctl(t, "offload", "show"); code != 0 || strings.Count(out, "veth") < 2*pairs {
			t.Errorf("not all interfaces are shown: exit code %d, %d bytes", code, len(out))
		}
	}
	for _, line := range []string{"offload show", "check", "offload explain v0", "gro show"} {
		a, b := places[0].requests(t, strings.Fields(line)...), places[1].requests(t, strings.Fields(line)...)
		if a.sum(true) != b.sum(true) {
			t.Errorf("%s: %d dumps for %d interfaces, and %d for %d", line, a.sum(true), 2*few, b.sum(true), 2*many)
		}
		if more := b.sum(false) - a.sum(false); more > 2*(many-few) {
			t.Errorf("%s: %d requests more for %d interfaces more", line, more, 2*(many-few))
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
	p.addPairs(t, 1)
	n := 100_000
	if testing.Short() {
		n = 5_000
	}
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
	for line, want := range map[string]int{"state list": 1, "offload show": 1, "check": 0, "offload explain v0": 0, "gro show": 0} {
		got := p.requests(t, strings.Fields(line)...)
		one := got[request{unix.NETLINK_XFRM, getSA, false}]
		if dumps := got[request{unix.NETLINK_XFRM, getSA, true}]; dumps != want || one != 0 {
			t.Errorf("%s: %d dumps of the SAs, want %d, and %d requests for one of them", line, dumps, want, one)
		}
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
