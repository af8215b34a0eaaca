package keycmd

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/apply"
	"github.com/xfrmctl/xfrmctl/provision/rotate"
)

func TestWords(t *testing.T) {
	for _, c := range []struct{ words, want string }{
		{"new f", ""}, {"new --root /k", ""}, {"new f --tunnel a --tunnel b --epoch 2", ""},
		{"rotate f --as east --step drain --wait 1 --quiet-for 200ms --peer-ready --boot-id west=x", ""},
		{"rotate f --as east --at 2026-01-31T03:00:00Z --slack 1m", ""}, {"rotate f --as east --give-up --tunnel a", ""},
		{"status f --as east --state-dir /x", ""},
		{"", "keys needs new, rotate or status"}, {"old", "keys needs new, rotate or status"},
		{"new", "needs a document"}, {"rotate f", "which node this is"}, {"status f", "which node this is"},
		{"new f g", `"g" is one more word`}, {"new f --root /k", "--root reads no document"}, {"new --root /k --epoch 2", "--root reads no document"},
		{"new f --as east", `keys new has no option "--as"`}, {"status f --as east --step drain", `has no option "--step"`},
		{"rotate f --as", "--as needs NODE"}, {"rotate - --as east", "cannot be standard input"},
		{"rotate f --as east --step next", "--step takes one of inbound, confirm"}, {"rotate f --as east --epoch 0", "--epoch takes a number from 1"},
		{"rotate f --as east --wait soon", "is no length of time"}, {"rotate f --as east --wait -1s", "is no length of time"},
		{"rotate f --as east --at noon", "--at takes a time"}, {"rotate f --as east --boot-id west", "--boot-id takes NODE=ID"},
		{"rotate f --as east --at 2026-01-31T03:00:00Z --step drain", "without --step"}, {"rotate f --as east --at 2026-01-31T03:00:00Z --slack 0", "--slack 0"},
		{"rotate f --as east --give-up --peer-ready", "--give-up takes no step"},
	} {
		_, err := parse(strings.Fields(c.words))
		var word *apply.WordError
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &word) || !strings.Contains(word.Msg, c.want)) {
			t.Errorf("%s: %v, want %q", c.words, err, c.want)
		}
	}
	w, err := parse(strings.Fields("rotate f --as east --wait 3 --quiet-for 200ms --tunnel a --tunnel b"))
	if err != nil || w.wait != 3*time.Second || w.quiet != 200*time.Millisecond || len(w.tunnels) != 2 || w.slack != defaultSlack {
		t.Errorf("%+v, %v", w, err)
	}
}

// TestUsage: what is parsed is told, and completed.
func TestUsage(t *testing.T) {
	for _, v := range verbs() {
		for _, name := range Complete([]string{v[0], "-"}) {
			if !strings.Contains(Usage(), "  "+name+" ") {
				t.Errorf("the usage does not explain %s of %s", name, v[0])
			}
		}
	}
	if got := Complete([]string{"rotate", ""}); got != nil {
		t.Errorf("in the place of a file: %q", got)
	}
	if got := Complete([]string{"rotate", "--step", ""}); len(got) != len(rotate.Steps()) {
		t.Errorf("steps: %q", got)
	}
}

// TestNewFiles: what is there stays, what is missing is made, paths are printed.
func TestNewFiles(t *testing.T) {
	dir := t.TempDir()
	file, root, key := filepath.Join(dir, "d.yaml"), filepath.Join(dir, "root"), filepath.Join(dir, "b")
	text := strings.ReplaceAll(`version: 1
owner: {name: x, reqid: 1-9, if_id: 1-9}
nodes: {east: {endpoint: 192.0.2.1}, west: {endpoint: 192.0.2.2}}
tunnels:
  - {name: one, between: [east, west], keys: {derive: "file:DIR/root"}, interface: i1, traffic: [{east: 10.1.0.0/16, west: 10.2.0.0/16}]}
  - {name: two, between: [east, west], keys: {derive: "file:DIR/root"}, interface: i2, traffic: [{east: 10.3.0.0/16, west: 10.4.0.0/16}]}
  - name: three
    between: [east, west]
    cipher: aes-cbc-256-sha512
    keys: {east-to-west: "file:DIR/a", west-to-east: "file:DIR/b"}
    interface: i3
    traffic: [{east: 10.5.0.0/16, west: 10.6.0.0/16}]
`, "DIR", dir)
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.WriteFile(key, []byte("mine"), 0o600)); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	env := &Env{Ctx: context.Background(), Stdout: &out, Stderr: &errs, Engine: func(func(string) (string, error)) error { return nil }}
	if err := Run(env, []string{"new", file}); err != nil {
		t.Fatal(err)
	}
	if want := root + "\n" + filepath.Join(dir, "a") + "\n"; out.String() != want || !strings.Contains(errs.String(), key+" is there and stays") {
		t.Errorf("%q, %q", out.String(), errs.String())
	}
	for path, size := range map[string]int{root: 32, filepath.Join(dir, "a"): 96} {
		if b, err := os.ReadFile(path); err != nil || len(b) != len("0x\n")+2*size {
			t.Errorf("%s: %d bytes, %v", path, len(b), err)
		}
	}
	if b, _ := os.ReadFile(key); string(b) != "mine" {
		t.Error("a key was overwritten")
	}
	if err := Run(env, []string{"new", file, "--tunnel", "four"}); err == nil || !strings.Contains(err.Error(), `no tunnel "four"`) {
		t.Error(err)
	}
}

// TestKnown: what is printed of the peer is what is known, and no more.
func TestKnown(t *testing.T) {
	now := time.Now()
	drained := rotate.Tunnel{Drain: rotate.Drain{Packets: 7, Since: now.Add(-3 * time.Second)}}
	for _, c := range []struct {
		o    rotate.Outcome
		want string
	}{
		{rotate.Outcome{Step: rotate.StepInbound}, ""},
		{rotate.Outcome{Step: rotate.StepConfirm, Is: rotate.Tunnel{Basis: rotate.ByPackets}, Facts: rotate.Facts{NewIn: 4}}, "known: 4 packets came"},
		{rotate.Outcome{Step: rotate.StepConfirm, Is: rotate.Tunnel{Basis: rotate.ByWord}}, "nothing is known of the peer"},
		{rotate.Outcome{Step: rotate.StepConfirm, Is: rotate.Tunnel{Basis: rotate.ByClock}}, "by the clock"},
		{rotate.Outcome{Step: rotate.StepDrain, Was: drained, Facts: rotate.Facts{Now: now, OldIn: 7, NewIn: 2}}, "nothing for 3s, and 2 packets came on the new one"},
		{rotate.Outcome{Step: rotate.StepDrain, Was: drained, Facts: rotate.Facts{Now: now, OldIn: 7}}, "nothing came on the new one either"},
		{rotate.Outcome{Step: rotate.StepDrain, Was: drained, Facts: rotate.Facts{Now: now, OldIn: 8}}, "is lost"},
		{rotate.Outcome{Step: rotate.StepDrain, Was: drained, Facts: rotate.Facts{Now: now, OldGone: true}}, "is not there any more"},
	} {
		if got := known(&c.o); got != c.want && (c.want == "" || !strings.Contains(got, c.want)) {
			t.Errorf("%+v: %q, want %q", c.o, got, c.want)
		}
	}
}
