package apply

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
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
)

// testEnv has no engine: what reaches for one fails the test's expectation.
func testEnv(out *bytes.Buffer) *Env {
	none := errors.New("no engine here")
	return &Env{
		Ctx: context.Background(), Stdin: strings.NewReader(""), Stdout: out, Stderr: out,
		Encode:    func(v any) error { return json.NewEncoder(out).Encode(v) },
		Getenv:    func(string) string { return "" },
		XFRM:      func() (*netlinkx.Conn, error) { return nil, none },
		Links:     func() (*ifaces.Conn, error) { return nil, none },
		Userspace: func() (bool, error) { return false, none },
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		verb string
		args []string
		want string // of the error; "" the words are right
		hint string
	}{
		{verb: "apply", args: []string{"f", "--as", "east", "--prune", "--boot-id", "west=abc", "--no-wait", "--inbound"}},
		{verb: "plan", args: []string{"--as", "east", "f", "--state-dir", "/x"}},
		{verb: "apply", args: nil, want: "apply needs a document", hint: "apply FILE --as NODE"},
		{verb: "apply", args: []string{"f"}, want: "which node this is", hint: "apply f --as NODE"},
		{verb: "apply", args: []string{"f", "g", "--as", "x"}, want: `"g" is one more word`},
		{verb: "apply", args: []string{"-v", "f", "--as", "x"}, want: `apply has no option "-v"`},
		{verb: "apply", args: []string{"f", "--as"}, want: "--as needs NODE"},
		{verb: "apply", args: []string{"f", "--as", "x", "--prun"}, want: `no option "--prun"`, hint: `"--prune"`},
		{verb: "verify", args: []string{"f", "--as", "x", "--inbound"}, want: `verify has no option "--inbound"`},
		{verb: "delete", args: []string{"f", "--as", "x", "--prune"}, want: `delete has no option "--prune"`},
		{verb: "apply", args: []string{"f", "--as", "east", "--every", "5"}},
		{verb: "apply", args: []string{"f", "--as", "x", "--every", "0"}, want: "--every takes a number of seconds"},
		{verb: "apply", args: []string{"-", "--as", "x", "--every", "5"}, want: "cannot be standard input"},
		{verb: "plan", args: []string{"f", "--as", "x", "--every", "5"}, want: `plan has no option "--every"`},
		{verb: "apply", args: []string{"f", "--as", "x", "--boot-id", "west"}, want: "--boot-id takes NODE=ID"},
	} {
		w, err := parse(c.verb, c.args)
		var word *WordError
		switch {
		case c.want == "" && (err != nil || w.File != "f" || w.As != "east"):
			t.Errorf("%s %q: %+v, %v", c.verb, c.args, w, err)
		case c.want != "" && (!errors.As(err, &word) || !strings.Contains(word.Msg, c.want) || !strings.Contains(word.Hint, c.hint)):
			t.Errorf("%s %q: %v, want %s", c.verb, c.args, err, c.want)
		}
	}
}

// TestUsageNamesAllOptions: what is parsed is told.
func TestUsageNamesAllOptions(t *testing.T) {
	for _, verb := range []string{"plan", "apply", "diff", "verify", "delete"} {
		text := Usage(verb)
		for _, name := range Complete(verb, nil) {
			if strings.Count(text, name) < 2 {
				t.Errorf("usage of %s does not explain %s:\n%s", verb, name, text)
			}
		}
	}
}

// TestMistakesComeFirst: a document with a mistake is refused before any
// connection is made or file written.
func TestMistakesComeFirst(t *testing.T) {
	var out bytes.Buffer
	env := testEnv(&out)
	env.Links = func() (*ifaces.Conn, error) { return ifaces.Dial(nil) }
	env.Userspace = func() (bool, error) { return false, nil }
	file, state := filepath.Join(t.TempDir(), "d.yaml"), filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(file, []byte("version: 1\nowner: {name: x, reqid: 1-9, if_id: 1-9}\ntunnels: [{name: 7/8}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Run(env, "apply", []string{file, "--as", "east", "--state-dir", state})
	if err == nil || !strings.Contains(err.Error(), file+`:3:18: name: "7/8" is no name`) {
		t.Error(err)
	}
	if _, err := os.Stat(state); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state directory was made: %v", err)
	}
}

func TestPrint(t *testing.T) {
	p := &netlinkx.Policy{}
	steps := []*provision.Step{
		{Verb: provision.Create, ID: "interface ipsec0"},
		{Verb: provision.Change, ID: "a policy", Why: "tmpl", Loss: "some", Policy: p},
		{Verb: provision.Delete, ID: "an sa"},
	}
	res := &provision.Result{Steps: steps, Left: []provision.ID{"route x"}}
	for _, c := range []struct {
		verb string
		json bool
		want string
	}{
		{"plan", false, "create   interface ipsec0\nchange   a policy (tmpl); loss: some\ndelete   an sa\neast: 3 steps\n1 objects of ours are not in the document and stay, the first: route x; --prune removes them\n"},
		{"diff", false, "+ interface ipsec0\n~ a policy: tmpl\n- an sa\n1 objects of ours are not in the document and stay, the first: route x; --prune removes them\n"},
		{"plan", true, `{"event":"step","verb":"create","object":"interface ipsec0"}
{"event":"step","verb":"change","object":"a policy","why":"tmpl","loss":"some"}
{"event":"step","verb":"delete","object":"an sa"}
{"event":"planned","steps":3,"left":["route x"]}
`},
	} {
		var out bytes.Buffer
		env := testEnv(&out)
		env.JSON = c.json
		cmd := &command{env: env, verb: c.verb, words: &words{Node: Node{As: "east"}}}
		if err := cmd.print(res); err != nil || out.String() != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.verb, err, out.String(), c.want)
		}
	}
	var out bytes.Buffer
	cmd := &command{env: testEnv(&out), verb: "apply", words: &words{Node: Node{As: "east"}}}
	for _, s := range steps {
		cmd.onStep(provision.Event{Step: s})
	}
	cmd.onStep(provision.Event{Step: steps[1], Undone: true})
	if err := cmd.summary(&provision.Result{}, true); err != nil || out.String() != "east: 2 writes: create 1, delete 1\n" {
		t.Errorf("%v %q", err, out.String())
	}
}

func TestLinkMTU(t *testing.T) {
	for _, c := range []struct{ words, want, fails string }{
		{words: "1500", want: "1446 (outer 1500, overhead 54)\n"},
		{words: "1500 encap espinudp", want: "1438 (outer 1500, overhead 62)\n"},
		{words: "1500 family inet6", want: "1426 (outer 1500, overhead 74)\n"},
		{words: "1500 cipher aes-cbc-256-sha256", want: "1438 (outer 1500, overhead 62)\n"},
		{words: "9000 cipher chacha20-poly1305 mode transport", want: "8966 (outer 9000, overhead 34)\n"},
		{words: "1500 cipher rfc4106(gcm(aes))", want: "1446 (outer 1500, overhead 54)\n"},
		{words: "1500 auth hmac(sha256) cipher cbc(aes)", want: "1438 (outer 1500, overhead 62)\n"},
		{words: "1500 cipher cbc(aes)", fails: "needs an integrity algorithm"},
		{words: "1500 cipher", fails: "cipher needs a value"},
		{words: "1500 cipher rot13", fails: "cipher rot13 is not known"},
		{words: "10", fails: "a packet of 10 bytes"},
		{words: "no-such-device", fails: "\"no-such-device\" is neither a device here"},
	} {
		var out bytes.Buffer
		err := LinkMTU(testEnv(&out), strings.Fields(c.words))
		if c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) || c.fails == "" && (err != nil || out.String() != c.want) {
			t.Errorf("%s: %q, %v, want %s%s", c.words, out.String(), err, c.want, c.fails)
		}
	}
}

// Who gives a cipher that is not known is told those that are.
func TestLinkMTUNamesItsCiphers(t *testing.T) {
	err := linkWord(&netlinkx.SA{}, &document.Suite{}, "cipher", "rot13")
	var words *WordError
	if !errors.As(err, &words) || !strings.Contains(words.Hint, "aes-gcm-128, ") {
		t.Errorf("%+v", err)
	}
}
