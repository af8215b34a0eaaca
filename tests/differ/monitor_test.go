package differ

import (
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// monitorOptions are the options that events are printed with. Without
// timestamps, which are those of printing.
var monitorOptions = [][]string{nil, {"-s"}, {"-o"}, {"-s", "-o"}}

// TestMonitorFile decodes random messages with both tools.
func TestMonitorFile(t *testing.T) {
	b := setUp(t, true)
	p, err := newPair(b.ip, b.xfrmctl, b.ip)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	m := &messages{r: rand.New(rand.NewPCG(seed(t), 1)), devices: []uint32{1, 2, 3}}
	n := 10000
	if testing.Short() {
		n = 1000
	}
	var all []message
	for range n {
		all = append(all, m.next())
	}
	for _, options := range monitorOptions {
		reports := 5
		compareDecoding(t, p.left, b, options, all, &reports)
	}
	t.Logf("%d messages", n)
}

// compareDecoding compares what the tools print for messages, and reports
// single messages that differ, as many as reports allows.
func compareDecoding(t *testing.T, s *space, b bench, options []string, all []message, reports *int) {
	t.Helper()
	if *reports == 0 {
		return
	}
	if _, equal := decodings(t, s, b, options, all); equal {
		return
	}
	if len(all) > 1 {
		half := len(all) / 2
		for _, part := range [][]message{all[:half], all[half:]} {
			compareDecoding(t, s, b, options, part, reports)
		}
		return
	}
	*reports--
	results, _ := decodings(t, s, b, options, all)
	t.Errorf("%v monitor file: %s\nmessage %s\n%v\n%v", options,
		textDifference(results[0].out, results[1].out), hex.EncodeToString(all[0]), results[0], results[1])
}

// decodings runs both tools on a file of messages.
func decodings(t *testing.T, s *space, b bench, options []string, all []message) ([2]result, bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "messages")
	var content []byte
	for _, m := range all {
		content = append(content, m...)
		for len(content)%4 != 0 {
			content = append(content, 0)
		}
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	c := command{options: options, words: []string{"monitor", "file", path}}
	var results [2]result
	for i, p := range []program{b.ip, b.xfrmctl} {
		var err error
		if results[i], err = s.run(p, c.forTool(p), ""); err != nil {
			t.Fatal(err)
		}
	}
	return results, results[0].code == results[1].code && results[0].out == results[1].out
}

// TestDumps makes objects with ip, takes the kernel's own messages about
// them, and compares what the tools print for these, and ip's own lists.
func TestDumps(t *testing.T) {
	b := setUp(t, true)
	p, err := newPair(b.ip, b.xfrmctl, b.ip)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	made, refused := makeMarkers(t, p.left, b.ip)
	t.Logf("%d objects, %d refused by this kernel", made, refused)
	for object, kind := range map[string]uint16{"state": msgGetSA, "policy": msgGetPolicy} {
		messages, err := p.left.dump.ask(kind, unix.NLM_F_DUMP, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(messages) == 0 {
			t.Errorf("no %s to compare", object)
		}
		for _, options := range monitorOptions {
			reports := 5
			compareDecoding(t, p.left, b, options, messages, &reports)
			c := command{options: options, words: []string{object, "list"}}
			list, err := p.left.run(b.ip, c.ip(), "")
			if err != nil {
				t.Fatal(err)
			}
			events, _ := decodings(t, p.left, b, options, messages)
			if events[1].out != list.out {
				t.Errorf("%v %s: the events of xfrmctl are not the list of ip: %s", options, object, textDifference(list.out, events[1].out))
			}
		}
	}
}
