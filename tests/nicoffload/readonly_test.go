package nicoffload_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// snapshot is all of a namespace that the commands could change: links,
// addresses, routes, features, sizes, SAs, policies and files of a folder.
func (p *place) snapshot(t testing.TB, dir string) string {
	t.Helper()
	batch := filepath.Join(t.TempDir(), "batch") // starting programs takes the time
	if err := os.WriteFile(batch, []byte("address\nroute show table all\nxfrm state\nxfrm policy\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	seen, err := p.Run(sandbox.IP(), "-d", "-force", "-batch", batch)
	if !strings.Contains(seen, "mtu") {
		t.Fatalf("ip -batch: %v: %s", err, seen)
	}
	b.WriteString(seen)
	out, code := p.xfrmctl(t, "gro", "snapshot")
	if code != 0 {
		t.Fatalf("gro snapshot: %s", out)
	}
	b.WriteString(out)
	files, err := filepath.Glob(dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	return b.String() + strings.Join(files, "\n")
}

// TestNothingChanges: no command changes anything but set, auto, restore, drain
// and add. selftest and demo take away what they add.
func TestNothingChanges(t *testing.T) {
	p := newPlace(t)
	dev, ip, dir := "v0", sandbox.IP(), t.TempDir()
	if _, err := os.Stat("/sys/bus/netdevsim/new_device"); err == nil {
		p = newSimulated(t)
		dev = p.dev
	}
	p.MustRun(t, ip, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
	for _, d := range []string{"v0", "v1", dev} { // IPv6 addresses come to be in the background
		p.MustRun(t, ip, "link", "set", d, "addrgenmode", "none")
		p.MustRun(t, ip, "-6", "address", "flush", "dev", d)
		p.MustRun(t, ip, "link", "set", d, "up")
	}
	file := filepath.Join(dir, "sas")
	line := "state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1000 mode transport aead rfc4106(gcm(aes)) " + key + " 128 offload dev " + dev + " dir out"
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	id := "src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1000"
	_, added := p.add(t, 0x1000, key+" 128 offload prefer dev "+dev+" dir out")
	before := p.snapshot(t, dir)
	sandbox.Await(func() bool { // that links are up the kernel notes in the background
		last := before
		before = p.snapshot(t, dir)
		return before == last
	})
	if added == 0 && !strings.Contains(before, "spi 0x00001000") {
		t.Fatalf("the snapshot lacks the SA: %s", before)
	}
	for i, words := range []string{
		"offload", "offload show", "offload show " + dev, "-j offload show", "offload explain " + dev, "-j offload explain " + dev, "offload explain " + id,
		"offload explain " + id + " dev v0", "offload check " + line, "offload check " + file, "offload check " + file + " on v0", "offload verify " + id + " for 0", "offload help",
		"check", "-j check", "check -j", "gro", "gro show", "gro show " + dev + " recursive", "-j gro show " + dev, "gro snapshot", "gro help", "gso explain " + id,
		"-dry-run gro set v0 rx-gro on", "-dry-run gro set v0 rx-gro off", "gro set v0 no-such-feature on", "offload drain no-such-device", "-dry-run offload drain " + dev + " save " + dir + "/drained", "demo --offload " + dev,
	} {
		if testing.Short() && i%4 != 0 {
			continue // starting a program takes long under emulation
		}
		out, code := p.xfrmctl(t, strings.Fields(words)...)
		if code == 255 {
			t.Errorf("%s: not understood: %s", words, out)
		}
		if added == 0 && strings.Contains(words, id) && code == 2 {
			t.Errorf("%s: exit code %d: %s", words, code, out)
		}
		if strings.Contains(out, "0001020304") {
			t.Errorf("%s: shows a key: %s", words, out)
		}
		after := p.snapshot(t, dir)
		if after != before {
			t.Errorf("%s changed something:\n%s", words, cmp.Diff(strings.Split(before, "\n"), strings.Split(after, "\n")))
		}
		before = after
	}
}
