package bench_test

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	nlx "github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision/stamp"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// TestApplyCommand: `xfrmctl apply` of a document as somebody runs it, reading,
// keys and start of the program included. Once nothing has changed, it is held
// against the lists that have to be read, with nothing done to them but decoding.
func TestApplyCommand(t *testing.T) {
	bin := need(t)
	n := tunnelCount(t)
	path, state := tunnelsDocument(t, n), t.TempDir()
	words := func(verb string) []string { return []string{verb, path, "--as", "east", "--state-dir", state} }
	ns := sandbox.New(t)
	first := &timing{name: "xfrmctl apply, from nothing"}
	first.command(t, ns, bin, words("apply")...)
	first.row(t, 13*n)
	time.Sleep(3 * time.Second) // until the kernel is done with the interfaces
	read, received := &timing{name: "lists, decoded"}, &timing{name: "lists, received and dropped"}
	again, long := &timing{name: "xfrmctl apply, unchanged"}, &timing{name: "the same, document touched"}
	for range times(5) {
		touch(t, path)
		long.command(t, ns, bin, words("apply")...)
		for range 2 {
			read.runs = append(read.runs, dumps(t, ns))
			received.runs = append(received.runs, receive(t, ns, state))
			again.command(t, ns, bin, words("apply")...)
		}
	}
	for _, x := range []*timing{received, read, again, long} {
		x.row(t, 13*n)
	}
	// the start of the program does not grow with the number
	atMost := 1.5
	if n < promised {
		atMost = 4
	}
	ratio(t, "unchanged", again, read, 0, atMost)
	ratio(t, "unchanged", again, received, 0, 0)
	steady := &timing{name: "xfrmctl verify"}
	steady.command(t, ns, bin, words("verify")...)
	steady.row(t, 13*n)
}

// TestPlanCommand: time and memory of `xfrmctl plan` with nothing there.
func TestPlanCommand(t *testing.T) {
	bin := needNative(t)
	n := tunnelCount(t)
	path, state := tunnelsDocument(t, n), t.TempDir()
	ns := sandbox.New(t)
	words := []string{"plan", path, "--as", "east", "--state-dir", state}
	took := &timing{name: "xfrmctl plan"}
	for range times(5) {
		took.command(t, ns, bin, words...)
	}
	took.row(t, n)
	if !full() {
		return
	}
	peak := memory(t, ns, bin, words...)
	t.Logf("memory of xfrmctl plan: %d KiB", peak)
	if best := took.best(); best > 2*time.Second {
		t.Errorf("a plan of %d tunnels took %v, at most 2s promised", n, best)
	}
	if peak > 300<<10 {
		t.Errorf("a plan of %d tunnels took %d KiB, at most 300 MiB promised", n, peak)
	}
}

// touch adds a comment to a document, so that it has to be read again.
func touch(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("# once more\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// receive asks what apply asks, as its stamp has it, and drops the answers as
// they come.
func receive(t *testing.T, ns *sandbox.NS, state string) time.Duration {
	t.Helper()
	var s stamp.Stamp
	paths, err := filepath.Glob(filepath.Join(state, "unchanged-*.json"))
	if err != nil || len(paths) != 1 {
		t.Fatal("stamps: "+strings.Join(paths, " "), err)
	}
	b, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	fd := nlx.NetNSFD(ns.FD())
	xfrm, err := nlx.DialTransport(&nlx.Config{NetNS: fd})
	if err != nil {
		t.Fatal(err)
	}
	defer xfrm.Close()
	routes, err := rtnl.Dial(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer routes.Close()
	buf := make([]byte, 64<<10)
	begun := time.Now()
	for _, q := range s.Questions {
		tr := routes
		if q.Protocol == unix.NETLINK_XFRM {
			tr = xfrm
		}
		if err := tr.Send(q.Message); err != nil {
			t.Fatal(err)
		}
		for done := false; !done; {
			size, err := tr.Recv(buf)
			if err != nil {
				t.Fatal(err)
			}
			done = ends(buf[:size])
		}
	}
	return time.Since(begun)
}

// ends reports whether a datagram ends a list.
func ends(b []byte) bool {
	for len(b) >= unix.NLMSG_HDRLEN {
		if typ := binary.NativeEndian.Uint16(b[4:]); typ == unix.NLMSG_DONE || typ == unix.NLMSG_ERROR {
			return true
		}
		b = b[min((int(binary.NativeEndian.Uint32(b))+3)&^3, len(b)):]
	}
	return false
}
