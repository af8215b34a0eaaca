package vticmd

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision/vti"
)

// offline is an Env in which to connect fails: words are looked at first.
func offline(out io.Writer, userspace bool) *Env {
	return &Env{
		Ctx: context.Background(), Stdout: out, Stderr: io.Discard,
		XFRM: func() (*netlinkx.Conn, error) { return nil, errors.New("connected") }, Links: func() (*ifaces.Conn, error) { return nil, errors.New("connected") },
		Userspace: func() (bool, error) { return userspace, nil },
	}
}

func TestWords(t *testing.T) {
	for words, want := range map[string]string{
		"convert":                         "needs the names of VTIs",
		"convert vti0 --al":               `no option "--al"`,
		"convert vti0 -v":                 `no option "-v"`,
		"convert vti0 --all":              "names or --all",
		"convert --undo --finish":         "--undo or --finish",
		"convert --finish vti0":           "one word more",
		"convert vti0 --state-dir":        "--state-dir needs DIR",
		"audit --merge":                   "vti audit has no option",
		"convrt":                          `command "convrt" is unknown`,
		"convert vti0 --merge --dry-run":  "connected",
		"convert --undo vti0 --state-dir": "--state-dir needs DIR",
		"list":                            "connected",
		"":                                "connected",
	} {
		err := Run(offline(io.Discard, false), strings.Fields(words))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", words, err, want)
		}
		var e *verbs.Error
		if errors.As(err, &e) != (want != "connected") {
			t.Errorf("%q: %T", words, err)
		}
	}
}

func TestUserspace(t *testing.T) {
	for _, words := range []string{"list", "audit", "convert --all"} {
		if err := Run(offline(io.Discard, true), strings.Fields(words)); !errors.Is(err, EngineError{}) {
			t.Errorf("%q: %v", words, err)
		}
	}
}

func TestComplete(t *testing.T) {
	devices := func() []string { return []string{"vti0"} }
	for words, want := range map[string]string{"": "audit", "audit ": "vti0", "convert ": "--undo", "convert x": "vti0"} {
		if got := Complete(strings.Split(words, " "), devices); !slices.Contains(got, want) {
			t.Errorf("%q: %v, want %q among them", words, got, want)
		}
	}
	if got := Complete([]string{"help", ""}, devices); got != nil {
		t.Errorf("help: %v", got)
	}
	var out strings.Builder
	if err := Run(offline(&out, false), []string{"help"}); err != nil || !strings.Contains(out.String(), "--finish") {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestAuditOfLittle: lists are never null, and a VTI that is not there is named.
func TestAuditOfLittle(t *testing.T) {
	d := &vti.Device{VTI: &ifaces.VTI{Name: "vti0"}, Bound: &vti.Bound{}, Settings: map[string]string{}}
	b, err := json.Marshal(jsonAudit(d))
	if err != nil || strings.Contains(string(b), "null") {
		t.Errorf("%s, %v", b, err)
	}
	c := &command{devs: []string{"vti0", "vti9"}}
	if err := c.missing(&vti.Report{Devices: []*vti.Device{d}}); err == nil || !strings.Contains(err.Error(), `"vti9"`) {
		t.Errorf("vti9 is not there: %v", err)
	}
}
