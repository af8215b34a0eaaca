package documents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision/document"
	"github.com/xfrmctl/xfrmctl/provision/networkd"
)

const office = `version: 1
owner: {name: office, reqid: 10000-19999, if_id: 10000-19999}
nodes:
  east: {endpoint: 192.0.2.1}
  west: {endpoint: 192.0.2.2}
tunnels:
  - name: main
    between: [east, west]
    keys: {derive: "file:/there/is/none"}
    interface: ipsec0
    traffic: [{east: 10.1.0.0/16, west: 10.2.0.0/16}]
`

// testEnv has no engine.
func testEnv(out, errs *bytes.Buffer) *Env {
	none := errors.New("no engine here")
	return &Env{
		Ctx: context.Background(), Stdin: strings.NewReader(office), Stdout: out, Stderr: errs,
		Encode:    func(v any) error { return json.NewEncoder(out).Encode(v) },
		XFRM:      func() (*netlinkx.Conn, error) { return nil, none },
		Links:     func() (*ifaces.Conn, error) { return nil, none },
		Userspace: func() (bool, error) { return false, nil },
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		run        func(*Env, []string) error
		args       string
		want, hint string
	}{
		{Schema, "x", "schema takes no words", ""},
		{Export, "--as east --name 192.0.2.2=west", "no engine here", ""},
		{Export, "office.yaml", `"office.yaml" is one word too many`, "xfrmctl export > FILE"},
		{Export, "--nam x", `no option "--nam"`, `did you mean "--name"?`},
		{Export, "--as", "--as needs NODE", ""},
		{Export, "--as a:b", `--as: "a:b" is no name`, ""},
		{Export, "--owner east-to-west", `--owner: "east-to-west" is no name`, ""},
		{Export, "--name 192.0.2.2=a/b", `--name: "a/b" is no name`, ""},
		{Export, "--name west", "--name takes ADDRESS=NODE", ""},
		{Export, "--name 192.0.2.2=", "--name takes ADDRESS=NODE", ""},
		{Networkd, "", "networkd takes one document", "networkd FILE --as NODE"},
		{Networkd, "- x --as east", "networkd takes one document", ""},
		{Networkd, "-", "which node the files are for", "xfrmctl networkd - --as NODE"},
		{Networkd, "- --as south", `standard input has no node "south"`, ""},
		{Networkd, "/no/such/file --as east", "no such file", ""},
	} {
		var out, errs bytes.Buffer
		err := c.run(testEnv(&out, &errs), strings.Fields(c.args))
		if err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
			t.Errorf("%s: %v, want %s; printed %q", c.args, err, c.want, out.String())
		}
		var words *WordError
		if c.hint != "" && (!errors.As(err, &words) || !strings.Contains(words.Hint, c.hint)) {
			t.Errorf("%s: %v has no hint %q", c.args, err, c.hint)
		}
	}
}

func TestSchema(t *testing.T) {
	var out bytes.Buffer
	if err := Schema(testEnv(&out, &out), nil); err != nil || !bytes.Equal(out.Bytes(), document.Schema()) {
		t.Errorf("%v, %d bytes", err, out.Len())
	}
}

// TestNetworkd needs no keys, and no engine.
func TestNetworkd(t *testing.T) {
	var out, errs bytes.Buffer
	if err := Networkd(testEnv(&out, &errs), []string{"-", "--as", "east"}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "# 50-xfrmctl-ipsec0.netdev\n[NetDev]\n") || strings.Contains(out.String(), "2 SAs") || !strings.Contains(errs.String(), "not in the files: 2 SAs") {
		t.Errorf("%s\n%s", out.String(), errs.String())
	}
	env := testEnv(&out, &errs)
	env.JSON = true
	out.Reset()
	var got networkdJSON
	if err := errors.Join(Networkd(env, []string{"-", "--as", "west"}), json.Unmarshal(out.Bytes(), &got)); err != nil || len(got.Files) != 2 || len(got.Left) < 2 {
		t.Errorf("%v, %+v", err, got)
	}
}

// TestFolder: files are written, left alone when they are right, and go with
// their interface; those of others stay.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "10-eth0.network")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	files := []networkd.File{{Name: networkd.Prefix + "a.netdev", Text: "1"}, {Name: networkd.Prefix + "a.network", Text: "2"}}
	if err := writeFiles(dir, files); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, files[0].Name)
	before, err := os.Stat(path)
	if err != nil || before.Mode().Perm() != 0o644 {
		t.Fatalf("%v, %v", err, before)
	}
	if err := writeFiles(dir, files[:1]); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("a file that was right is written again: %v", err)
	}
	left, err := filepath.Glob(dir + "/*")
	if err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
	if err := writeFiles(filepath.Join(dir, "missing"), files); err == nil {
		t.Error("a folder that is not there")
	}
}

// TestKeyFile: it is new and for its owner only, whatever the umask.
func TestKeyFile(t *testing.T) {
	var errs bytes.Buffer
	env := testEnv(&errs, &errs)
	w := &exportWords{keyFile: filepath.Join(t.TempDir(), "keys")}
	if err := w.writeKeys(env, nil); err != nil || !strings.Contains(errs.String(), "no keys were written") {
		t.Errorf("%v, %s", err, errs.String())
	}
	if _, err := os.Stat(w.keyFile); err == nil {
		t.Error("there is a file without keys")
	}
	env.DryRun = true
	if err := w.writeKeys(env, []byte("secret")); err != nil {
		t.Error(err)
	}
	env.DryRun = false
	if err := w.writeKeys(env, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(w.keyFile); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", err, st)
	}
	if err := w.writeKeys(env, []byte("other")); err == nil {
		t.Error("keys are written over")
	}
	if b, err := os.ReadFile(w.keyFile); err != nil || string(b) != "secret" || strings.Contains(errs.String(), "secret") {
		t.Errorf("%v, %s", err, b)
	}
}
