// Package provision applies documents with the real command, on the kernel and
// on the userspace engine, and looks at what the engine then has.
package provision

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// site is what the tests apply; @ROOT@ is the file with the root secret.
const site = `version: 1
owner: {name: office, reqid: 10000-19999, if_id: 20000-29999}
nodes:
  east: {endpoint: 192.0.2.1, underlay: wire0, boot_id: "@BOOT@"}
  west: {endpoint: 192.0.2.2, underlay: wire0, boot_id: "@BOOT@"}
tunnels:
  - name: main
    between: [east, west]
    keys: {derive: "file:@ROOT@", epoch: 1}
    interface: ipsec0
    addresses: {east: [10.1.0.1/32], west: [10.2.0.1/32]}
    traffic:
      - {east: 10.1.0.0/16, west: 10.2.0.0/16}
`

// firstApply is what the first apply of site says that it made; guard policies
// are for the kernel.
func firstApply(userspace bool) string {
	if userspace {
		return "create 9, change 1"
	}
	return "create 12, change 1"
}

// end is a node of the document in a namespace.
type end struct {
	name   string
	ns     *sandbox.NS
	engine *engine.Engine // nil: the kernel
	dir    string         // document, secret and state
	binary string
}

// ends makes both nodes; with userspace each has an engine.
func ends(t *testing.T, userspace bool) (east, west *end) {
	t.Helper()
	binary := engine.Binary(t)
	p := sandbox.NewPair(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "root"), bytes.Repeat([]byte("secret! "), 5), 0o600); err != nil {
		t.Fatal(err)
	}
	make := func(name string, ns *sandbox.NS) *end {
		e := &end{name: name, ns: ns, dir: dir, binary: binary}
		if userspace {
			e.engine = engine.Start(t, ns)
		}
		return e
	}
	east, west = make("east", p.A), make("west", p.B)
	if !userspace {
		p.A.NeedXFRM(t, "nothing of this test ran")
	}
	return east, west
}

// write puts a document where the command finds it.
func (e *end) write(t *testing.T, text string) string {
	t.Helper()
	text = strings.NewReplacer("@ROOT@", filepath.Join(e.dir, "root"), "@BOOT@", sandbox.BootID(t)).Replace(text)
	path := filepath.Join(e.dir, "office.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// command prepares xfrmctl for this end.
func (e *end) command(words ...string) *exec.Cmd {
	return engine.Prepare(e.binary, e.engine, words...)
}

// try runs a command with the document of dir.
func (e *end) try(verb string, words ...string) (string, error) {
	args := append([]string{verb, filepath.Join(e.dir, "office.yaml"), "--as", e.name, "--state-dir", filepath.Join(e.dir, e.name)}, words...)
	out, err := engine.Said(e.ns, e.command(args...))
	if strings.Contains(out, "secret") {
		err = fmt.Errorf("the secret shows (%w)", err)
	}
	return out, err
}

func (e *end) do(t *testing.T, verb string, words ...string) string {
	t.Helper()
	out, err := e.try(verb, words...)
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s", e.name, verb, err, out)
	}
	return out
}

// ping sends pings through the tunnel from east to west and returns what came back.
func ping(e *end, n int) error {
	var out string
	var err error
	if sandbox.Await(func() bool {
		out, err = e.ns.Run("ping", "-c", fmt.Sprint(n), "-i", "0.02", "-W", "1", "-I", "10.1.0.1", "10.2.0.1")
		return err == nil
	}) {
		return nil
	}
	return fmt.Errorf("%w\n%s", err, out)
}
