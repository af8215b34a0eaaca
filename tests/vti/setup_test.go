// Package vti converts VTIs that `ip` made with the real command, under
// traffic, and compares what comes back with what was there.
package vti

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// kind is a way to build a tunnel of VTIs.
type kind struct {
	name, link string // of the test; kind of link
	a, b       string // outer addresses
	mark       string // of SAs
	cipher     string
	replay     string // of SAs
}

func kinds() []kind {
	const key = "0x000102030405060708090a0b0c0d0e0f10111213"
	return []kind{
		{"vti marked gcm", "vti", sandbox.A4, sandbox.B4, "mark 42 mask 0xffffffff", "aead rfc4106(gcm(aes)) " + key + " 128", "replay-window 32 flag af-unspec"},
		{"vti6 unmarked cbc esn", "vti6", sandbox.A6, sandbox.B6, "", "enc cbc(aes) 0x000102030405060708090a0b0c0d0e0f auth-trunc hmac(sha256) 0x" + strings.Repeat("0b", 32) + " 128", "replay-window 128 flag esn af-unspec"},
	}
}

// end is one end of the tunnel.
type end struct {
	name, dir string
	ns        *sandbox.NS
}

// Addresses behind the ends: pings go from one to the other. Whatever of them
// is on the wire is in clear.
const (
	innerA, innerB   = "10.1.0.1", "10.2.0.1"
	innerA6, innerB6 = "2001:db8:a::1", "2001:db8:b::1"
)

// build makes the tunnel. The default route leads to the peer in clear, so that
// it shows when nothing better is there.
func build(t *testing.T, k kind) (a, b *end) {
	t.Helper()
	if os.Getenv("XFRMCTL_BIN") == "" {
		t.Skip("needs XFRMCTL_BIN, the xfrmctl to test (make test sets it); nothing of this test ran")
	}
	p := sandbox.NewPair(t)
	a, b = &end{"a", t.TempDir(), p.A}, &end{"b", t.TempDir(), p.B}
	needs(t, a)
	a.batch(t, k.script(k.a, k.b, "0x100", "0x200", "1", "2")+
		"route add default via "+sandbox.B4+"\nroute add default via "+sandbox.B6+"\n"+
		"route add 10.77.0.0/16 dev vti0 table 100 metric 5\nroute add 10.78.0.0/16 nexthop dev vti0 nexthop via "+sandbox.B4+"\n")
	b.batch(t, k.script(k.b, k.a, "0x200", "0x100", "2", "1"))
	p.Settle(t)
	return a, b
}

// script is what `ip` makes an end of.
func (k kind) script(local, remote, in, out, me, peer string) string {
	sa := fmt.Sprintf("xfrm state add src @S@ dst @D@ proto esp spi @SPI@ reqid 7 mode tunnel %s %s %s\n", k.mark, k.cipher, k.replay)
	make := func(src, dst, spi string) string {
		return strings.NewReplacer("@S@", src, "@D@", dst, "@SPI@", spi).Replace(sa)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "link add vti0 type %s local %s remote %s key 42\n%s%s", k.link, local, remote, make(local, remote, out), make(remote, local, in))
	for _, any := range []string{"0.0.0.0/0", "::/0"} {
		for _, d := range [][3]string{{"out", local, remote}, {"in", remote, local}} {
			fmt.Fprintf(&b, "xfrm policy add src %s dst %s dir %s priority 9 mark 42 mask 0xffffffff tmpl src %s dst %s proto esp reqid 7 mode tunnel\n", any, any, d[0], d[1], d[2])
		}
	}
	fmt.Fprintf(&b, "link set vti0 mtu 1400 txqueuelen 500 alias old up\naddr add 10.9.0.%[1]s/30 dev vti0\naddr add 10.9.0.5%[1]s/30 dev vti0 label vti0:x\naddr add 2001:db8:9::%[1]s/64 dev vti0\n", me)
	fmt.Fprintf(&b, "addr add 10.%[1]s.0.1/32 dev lo\naddr add 2001:db8:%[2]c::1/128 dev lo\n", me, 'a'+me[0]-'1')
	fmt.Fprintf(&b, "route add 10.%[1]s.0.0/16 via 10.9.0.%[1]s src 10.%[2]s.0.1\nroute add 2001:db8:%[3]c::/48 via 2001:db8:9::%[1]s\n", peer, me, 'a'+peer[0]-'1')
	return b.String()
}

// beside moves the IPv6 half of an end to a VTI of its own.
func (k kind) beside(local, remote, in, out, me, peer string) string {
	other := map[string]string{"1": "2", "2": "1"}[me]
	var b strings.Builder
	fmt.Fprintf(&b, "link add six0 type vti6 local %s remote %s key 42\n", local, remote)
	for _, sa := range [][3]string{{local, remote, out}, {remote, local, in}} {
		fmt.Fprintf(&b, "xfrm state add src %s dst %s proto esp spi %s reqid 8 mode tunnel %s %s %s\n", sa[0], sa[1], sa[2], k.mark, k.cipher, k.replay)
	}
	for _, d := range [][3]string{{"out", local, remote}, {"in", remote, local}} {
		fmt.Fprintf(&b, "xfrm policy update src ::/0 dst ::/0 dir %s priority 9 mark 42 mask 0xffffffff tmpl src %s dst %s proto esp reqid 8 mode tunnel\n", d[0], d[1], d[2])
	}
	fmt.Fprintf(&b, "route del 2001:db8:%[1]s::/48\naddr del 2001:db8:9::%[2]s/64 dev vti0\nlink set six0 up\naddr add 2001:db8:9::%[2]s/64 dev six0\nroute add 2001:db8:%[1]s::/48 via 2001:db8:9::%[3]s\n", peer, me, other)
	return b.String()
}

// needs skips where the kernel has no VTIs or no XFRM interfaces.
func needs(t *testing.T, e *end) {
	t.Helper()
	for _, words := range []string{"type xfrm if_id 99", "type vti key 99", "type vti6 key 99"} {
		if out, err := e.ns.Run(sandbox.IP(), strings.Fields("link add probe0 "+words)...); err != nil {
			t.Skipf("needs links of %s (%s); nothing of this test ran", words[:9], strings.TrimSpace(out))
		}
		e.ns.MustRun(t, sandbox.IP(), "link", "del", "probe0")
	}
}

// batch runs lines of `ip`.
func (e *end) batch(t *testing.T, lines string) {
	t.Helper()
	file := filepath.Join(e.dir, "batch")
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	e.ns.MustRun(t, sandbox.IP(), "-batch", file)
}

// try runs `xfrmctl vti …`.
func (e *end) try(words ...string) (string, error) {
	args := append([]string{"--engine", "kernel", "-j", "vti"}, append(words, "--state-dir", e.dir+"/state")...)
	cmd := exec.Command(os.Getenv("XFRMCTL_BIN"), args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := e.ns.Do(cmd.Run)
	if strings.Contains(out.String(), "0c0d0e0f") || strings.Contains(out.String(), "0b0b0b0b") {
		err = fmt.Errorf("a key shows (%w)", err)
	}
	return out.String(), err
}

// outcome is the last line of a conversion.
type outcome struct {
	Event       string  `json:"event"`
	Interrupted float64 `json:"interrupted_ms"`
	Bound       float64 `json:"loss_ms_at_most"`
}

// convert runs `xfrmctl vti convert …`, which must work.
func (e *end) convert(t *testing.T, words ...string) outcome {
	t.Helper()
	out, err := e.try(append([]string{"convert"}, words...)...)
	if err != nil {
		t.Fatalf("%s: convert %v: %v\n%s", e.name, words, err, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var o outcome
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line, `"loss_ms_at_most"`) {
			if err := json.Unmarshal([]byte(line), &o); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			return o
		}
	}
	t.Fatalf("%s: convert %v tells no outcome:\n%s", e.name, words, out)
	return o
}

// picture is all that a conversion touches, without counters and without what
// the kernel decides by itself from moment to moment.
func (e *end) picture(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, words := range []string{
		"-d link show", "addr show", "-4 route show table all", "-6 route show table all", "xfrm state", "xfrm policy",
	} {
		out := e.ns.MustRun(t, sandbox.IP(), strings.Fields(words)...)
		blocks := strings.Split(moving.ReplaceAllString(out, ""), "\n")
		if strings.HasPrefix(words, "xfrm") { // the order is that of creation
			blocks = strings.Split(strings.ReplaceAll(strings.Join(blocks, "\n"), "\nsrc", "\x00src"), "\x00")
		}
		for i := range blocks {
			blocks[i] = strings.TrimSpace(blocks[i])
		}
		if !strings.Contains(words, "link") && !strings.Contains(words, "addr") {
			slices.Sort(blocks)
		}
		fmt.Fprintf(&all, "== %s\n%s\n", words, strings.Join(blocks, "\n"))
	}
	return all.String()
}

var moving = regexp.MustCompile(`(?m)^\s*(lastused|anti-replay context|seq-hi|replay_window|[0-9a-f]{8} ).*\n|^.*fe80::.* dev wire0.*\n|^.* wire0@.*\n| tentative`)

// ping sends some packets, of both families, all of which must come back.
func ping(t *testing.T, e *end) {
	t.Helper()
	for _, to := range []string{innerB, innerB6} {
		from := map[string]string{innerB: innerA, innerB6: innerA6}[to]
		out, err := e.ns.Run("ping", "-q", "-c", "3", "-i", "0.02", "-W", "2", "-I", from, to)
		if err != nil || !strings.Contains(out, " 0% packet loss") {
			t.Errorf("%s: ping %s: %v\n%s", e.name, to, err, out)
		}
	}
}

// same compares two pictures and shows the lines that only one has.
func same(t *testing.T, what, before, after string) {
	t.Helper()
	if before == after {
		return
	}
	only := func(a, b string) string {
		var out []string
		have := strings.Split(b, "\n")
		for _, line := range strings.Split(a, "\n") {
			if !slices.Contains(have, line) {
				out = append(out, line)
			}
		}
		return strings.Join(out, "\n")
	}
	t.Errorf("%s: gone:\n%s\nnew:\n%s", what, only(before, after), only(after, before))
}
