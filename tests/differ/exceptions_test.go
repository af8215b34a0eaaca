package differ

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestExceptions shows each exception. One that does not occur any more has
// to go, from the list and from docs/differences.md.
func TestExceptions(t *testing.T) {
	b := setUp(t, true)
	p, err := newPair(b.ip, b.xfrmctl, b.ip)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	p.hasty = true
	groups, err := readTable("exceptions.rows")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exceptions() {
		t.Run(e.name, func(t *testing.T) {
			shown := 0
			for _, g := range groups {
				if g.name == e.name {
					shown += showException(t, p, g, b)
				}
			}
			switch e.name { // those that no row can show
			case "deleteall of states":
				shown += deleteMany(t, p, b)
			case "more than 2 KiB of attributes":
				shown += addMuch(t, p, b)
			case "nokeys of monitor":
				shown += monitorWithoutKeys(t, p)
			case "no protocols file":
				shown += hideProtocols(t, b)
			}
			if shown == 0 && !b.esp {
				t.Skip("needs ESP (CONFIG_INET_ESP): none of its cases got as far as the difference")
			}
			if shown == 0 {
				t.Errorf("no case showed the exception: %s", e.reason)
			}
		})
	}
}

// showException runs the cases of a group and counts those that show it.
func showException(t *testing.T, p *pair, g group, b bench) int {
	t.Helper()
	shown := 0
	for _, par := range g.cases {
		if err := p.reset(); err != nil {
			t.Fatal(err)
		}
		for i, row := range par.rows {
			o, err := p.step(row.command)
			if err != nil {
				t.Fatal(err)
			}
			last := i == len(par.rows)-1
			name := excuse(row.command, o)
			switch {
			case o.kind == same && !last:
			case o.kind != same && name == g.name:
				shown++
				if !last && o.tables != "" {
					if err := p.reset(); err != nil {
						t.Fatal(err)
					}
				}
			case o.kind == same && !b.esp && strings.HasPrefix(row.command.verb(), "state"):
				// Without ESP neither tool gets far.
			case o.kind == same:
				t.Errorf("exceptions.rows:%d: %v: no difference\n%v\n%v", par.line, row.command, o.left, o.right)
			default:
				t.Errorf("exceptions.rows:%d: %v: a difference that the exception does not cover (%q does)\n%v", par.line, row.command, name,
					finding{command: row.command, outcome: o})
			}
		}
	}
	return shown
}

// deleteMany has more SAs deleted than fit one buffer of ip.
func deleteMany(t *testing.T, p *pair, b bench) int {
	t.Helper()
	if !b.esp {
		return 0
	}
	if err := p.reset(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*space{p.left, p.right} {
		for i := range 200 {
			if _, err := s.dump.ask(msgNewSA, unix.NLM_F_ACK, handmadeSA(uint32(0x1000+i), 1, nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := newCommand([]string{"state", "deleteall"})
	o, err := p.step(c)
	if err != nil {
		t.Fatal(err)
	}
	left, err := objects(p.right)
	if err != nil {
		t.Fatal(err)
	}
	if o.right.code != 0 || len(left) != 0 || excuse(c, o) != "deleteall of states" {
		t.Errorf("200 SAs, of which xfrmctl left %d: %v", len(left), finding{command: c, outcome: o})
		return 0
	}
	return 1
}

// addMuch adds an SA with more attributes than ip has room for.
func addMuch(t *testing.T, p *pair, b bench) int {
	t.Helper()
	if !b.esp {
		return 0
	}
	if err := p.reset(); err != nil {
		t.Fatal(err)
	}
	words := strings.Fields("state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 enc cbc(aes) 0x00112233445566778899aabbccddeeff auth hmac(sha256) ")
	words = append(words, "0x"+strings.Repeat("ab", 512))
	for range 48 {
		words = append(words, strings.Fields("encap espinudp 4500 4500 0.0.0.0")...)
	}
	c := newCommand(append(words, "if_id", "5", "mark", "6"))
	o, err := p.step(c)
	if err != nil {
		t.Fatal(err)
	}
	if name := excuse(c, o); o.kind == same || o.right.code != 0 || name != "more than 2 KiB of attributes" {
		t.Errorf("excused by %q: %v", name, finding{command: c, outcome: o})
		return 0
	}
	return 1
}

// monitorWithoutKeys lets both tools decode an SA with nokeys.
func monitorWithoutKeys(t *testing.T, p *pair) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "messages")
	if err := os.WriteFile(path, newMessage(msgNewSA, 0, handmadeSA(0x1000, 1, nil)), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newCommand([]string{"monitor", "nokeys", "file", path})
	o, err := p.step(c)
	if err != nil {
		t.Fatal(err)
	}
	if excuse(c, o) != "nokeys of monitor" {
		t.Errorf("not shown: %v", finding{command: c, outcome: o})
		return 0
	}
	return 1
}

// hideProtocols compares the tools where there is no /etc/protocols.
func hideProtocols(t *testing.T, b bench) int {
	t.Helper()
	p, err := newPair(b.ip, b.xfrmctl, b.ip)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for _, s := range []*space{p.left, p.right} {
		s.do(func() {
			if err = unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return
			}
			if err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err == nil {
				err = unix.Mount("none", "/etc", "tmpfs", 0, "")
			}
		})
		if err != nil {
			t.Fatalf("hide /etc/protocols: %v", err)
		}
	}
	c := newCommand(strings.Fields("policy add proto tcp dport 80 dir in"))
	o, err := p.step(c)
	if err != nil {
		t.Fatal(err)
	}
	if excuse(c, o) != "no protocols file" {
		t.Errorf("not shown: %v", finding{command: c, outcome: o})
		return 0
	}
	return 1
}

// TestExceptionsAreNarrow makes sure that the exceptions do not cover
// differences that would be bugs.
func TestExceptionsAreNarrow(t *testing.T) {
	accepted, failed := result{code: 0}, result{code: 2}
	for _, line := range []string{
		"state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 1 enc cbc(aes) 0x00 if_id 5 mark 5 dir in",
		"state list reqid 5", "state deleteall reqid 5", "policy list dir out", "policy deleteall dir out", "policy add dir out if_id 5 mark 5",
		"state get src 10.0.0.1 dst 10.0.0.2 proto esp spi 1 mark 5", "policy delete dir out src 10.0.0.0/8 if_id 5", "monitor bogus",
		"-s -o state list", "-4 policy list", "policy add dir out dev if1", "policy add dir out ctx short",
	} {
		c := newCommand(strings.Fields(line))
		for _, o := range []outcome{
			{left: accepted, right: failed, kind: differCode},
			{left: failed, right: accepted, kind: differCode},
			{left: accepted, right: accepted, kind: differTables, tables: "states: 1 and 2"},
			{left: accepted, right: accepted, kind: differText},
		} {
			if name := excuse(c, o); name != "" {
				t.Errorf("%v: exit codes %d and %d, %s: excused by %q", c, o.left.code, o.right.code, o.kind, name)
			}
		}
	}
	names := map[string]bool{}
	for _, e := range exceptions() {
		if names[e.name] || e.reason == "" || e.excuses == nil {
			t.Errorf("exception %q: named twice, or without a reason", e.name)
		}
		names[e.name] = true
	}
	groups, err := readTable("exceptions.rows")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if !names[g.name] {
			t.Errorf("exceptions.rows: group %q is no exception", g.name)
		}
	}
}
