// Package rotation replaces the keys of a tunnel with the real command, both
// ends on their own, while datagrams with numbers go both ways: none may be
// lost, arrive twice, or show on the wire in clear.
package rotation

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// document is what both ends apply.
const document = `version: 1
owner: {name: office, reqid: 10000-19999, if_id: 20000-29999}
nodes:
  east: {endpoint: 192.0.2.1, underlay: wire0, boot_id: "@BOOT@"}
  west: {endpoint: 192.0.2.2, underlay: wire0, boot_id: "@BOOT@"}
tunnels:
  - name: main
    between: [east, west]
    @KEYS@
    interface: ipsec0
    addresses: {east: [10.1.0.1/32], west: [10.2.0.1/32]}
    traffic:
      - {east: 10.1.0.0/16, west: 10.2.0.0/16}
`

// derived and static are what stands for @KEYS@.
const (
	derived = `keys: {derive: "file:@DIR@/root"}`
	static  = "cipher: aes-cbc-128-sha256\n    keys: {east-to-west: \"file:@DIR@/e2w\", west-to-east: \"file:@DIR@/w2e\"}"
)

// An end is a node of the document in a namespace.
type end struct {
	name, dir string
	ns        *sandbox.NS
	engine    *engine.Engine // nil: the kernel
	binary    string
	session   *engine.Session // nil: each command is a process
}

// number is a number from the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s: not a number above 0: %q", name, text)
	}
	return n
}

// bothEngines runs a test on the kernel and, on this machine's kernel, where
// processors are what users have, on the userspace engine.
func bothEngines(t *testing.T, keys string, test func(t *testing.T, ends [2]*end)) {
	for _, name := range []string{"kernel", "userspace"} {
		if k := os.Getenv("XFRMCTL_KERNEL"); name == "userspace" && k != "" && k != "native" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			ends := both(t, name == "userspace")
			ends[0].write(t, keys)
			ends[0].do(t, "keys", "new", ends[0].file())
			for _, e := range ends {
				e.verb(t, "apply")
			}
			test(t, ends)
		})
	}
}

// notUnderEmulation skips what would take minutes.
func notUnderEmulation(t *testing.T) {
	t.Helper()
	if short() {
		t.Skip("needs a kernel that is not emulated: it would take minutes")
	}
}

// both makes the ends, with engines of their own or on the kernel.
func both(t *testing.T, userspace bool) (ends [2]*end) {
	t.Helper()
	p, dir, binary := sandbox.NewPair(t), t.TempDir(), engine.Binary(t)
	for i, ns := range []*sandbox.NS{p.A, p.B} {
		ends[i] = &end{name: []string{"east", "west"}[i], dir: dir, ns: ns, binary: binary}
		if userspace {
			ends[i].engine = engine.Start(t, ns)
		}
	}
	if !userspace {
		p.A.NeedXFRM(t, "no keys were replaced on the kernel")
	}
	return ends
}

func (e *end) file() string { return filepath.Join(e.dir, "office.yaml") }

// write puts the document where both ends find it.
func (e *end) write(t *testing.T, keys string) {
	t.Helper()
	text := strings.ReplaceAll(document, "@KEYS@", keys)
	text = strings.NewReplacer("@DIR@", e.dir, "@BOOT@", sandbox.BootID(t)).Replace(text)
	if err := os.WriteFile(e.file(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// command prepares xfrmctl for this end.
func (e *end) command(words ...string) *exec.Cmd {
	return engine.Prepare(e.binary, e.engine, words...)
}

// try runs xfrmctl and returns what it said.
func (e *end) try(words ...string) (string, error) {
	return engine.Said(e.ns, e.command(words...))
}

func (e *end) do(t *testing.T, words ...string) string {
	t.Helper()
	out, err := e.try(words...)
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s", e.name, strings.Join(words, " "), err, out)
	}
	return out
}

// about adds the document and this end to words.
func (e *end) about(words ...string) []string {
	n := 1
	if words[0] == "keys" {
		n = 2
	}
	all := append([]string{}, words[:n]...)
	all = append(all, e.file(), "--as", e.name, "--state-dir", filepath.Join(e.dir, e.name))
	return append(all, words[n:]...)
}

// verb runs a command about the document.
func (e *end) verb(t *testing.T, words ...string) string {
	t.Helper()
	if e.session != nil {
		out, err := e.session.Do(strings.Join(e.about(words...), " ") + "\n")
		if err != nil {
			t.Fatalf("%s: %s: %v", e.name, strings.Join(words, " "), err)
		}
		return out
	}
	return e.do(t, e.about(words...)...)
}

// status is what `keys status` says of the tunnel.
type status struct {
	Phase string `json:"phase"`
	Epoch uint64 `json:"epoch"`
	NewIn uint64 `json:"new_in"`
}

func (e *end) status(t *testing.T) (s status) {
	t.Helper()
	out := e.do(t, append([]string{"-j"}, e.about("keys", "status")...)...)
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(fmt.Errorf("%w: %s", err, out))
	}
	return s
}
