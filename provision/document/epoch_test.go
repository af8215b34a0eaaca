package document

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// withKeys is a document with these keys.
func withKeys(keys string) string {
	return `version: 1
owner: {name: office, reqid: 10000-19999, if_id: 20000-29999}
nodes: {east: {endpoint: 192.0.2.1, boot_id: e}, west: {endpoint: 192.0.2.2, boot_id: w}}
tunnels:
  - name: main
    between: [east, west]
    ` + keys + `
    interface: ipsec0
    traffic: [{east: 10.1.0.0/16, west: 10.2.0.0/16}]
`
}

const staticKeys = `cipher: aes-cbc-128-sha256
    keys: {east-to-west: "file:DIR/a", west-to-east: "file:DIR/b", epoch: EPOCH}`

func TestEpochMistakes(t *testing.T) {
	const clock = `keys: {derive: "env:ROOT", epoch: {start: %s, every: %s, slack: %s}}`
	for _, c := range []struct{ keys, want string }{
		{fmt.Sprintf(clock, "2026-01-01T00:00:00Z", "24h", "60s"), ""},
		{fmt.Sprintf(clock, "2026-01-01", "24h", "60s"), "is not a time like 2026-01-31T03:00:00Z"},
		{fmt.Sprintf(clock, "2026-01-01T00:00:00Z", "1day", "60s"), "is not a length of time"},
		{fmt.Sprintf(clock, "2026-01-01T00:00:00Z", "-1h", "60s"), "is not a length of time"},
		{fmt.Sprintf(clock, "2026-01-01T00:00:00Z", "5m", "60s"), "an epoch lasts at least 6m0s"},
		{fmt.Sprintf(clock, "2026-01-01T00:00:00Z", "6m", "60s"), ""},
		{`keys: {derive: "env:ROOT", epoch: {start: 2026-01-01T00:00:00Z, every: 24h}}`, "needs start, every and slack"},
		{`keys: {derive: "env:ROOT", epoch: {begin: 1}}`, `epoch has no field "begin"`},
		{`keys: {derive: "env:ROOT", epoch: soon}`, "is not a whole number"},
		{strings.Replace(staticKeys, "EPOCH", "2", 1), ""},
		{strings.Replace(staticKeys, "EPOCH", "{start: 2026-01-01T00:00:00Z, every: 24h, slack: 60s}", 1), "belongs to derive"},
		{`cipher: aes-cbc-128-sha256
    keys: {east-to-west: "env:A", west-to-east: "env:B", epoch: 2}`, "has no further epochs"},
	} {
		_, err := Read("office.yaml", []byte(withKeys(c.keys)))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.keys, err, c.want)
		}
	}
}

// TestTwoEpochs: while keys are replaced both inbound SAs are wanted, and one
// that sends; the ends agree on each.
func TestTwoEpochs(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"a", "b", "a.2", "b.2"} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte{byte(i + 1)}, 48), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	static := strings.NewReplacer("DIR", dir, "EPOCH", "1").Replace(staticKeys)
	for _, text := range []string{`keys: {derive: "env:ROOT"}`, static} {
		in := &Surroundings{
			Keys:   &keys.Source{Getenv: func(string) string { return "the root secret that both ends have" }},
			Epochs: map[string]Epochs{"main": {In: []uint64{1, 2}, Out: 2}},
		}
		sas := map[string]*netlinkx.SA{}
		for _, node := range []string{"east", "west"} {
			d, err := Read("office.yaml", []byte(withKeys(text)))
			if err != nil {
				t.Fatal(err)
			}
			in.BootID = node[:1]
			w, err := d.Resolve(context.Background(), node, in)
			if err != nil || len(w.State.SAs) != 3 || len(w.SAs["main"]) != 3 {
				t.Fatalf("%v: %+v", err, w)
			}
			for _, x := range w.SAs["main"] {
				dir := map[bool]string{true: "in", false: "out"}[x.SA.Dir == netlinkx.DirIn]
				sas[fmt.Sprintf("%s %s %d", node, dir, x.Epoch)] = x.SA
			}
		}
		for a, b := range map[string]string{"east out 2": "west in 2", "west out 2": "east in 2"} {
			if sas[a] == nil || sas[b] == nil || sas[a].ID() != sas[b].ID() {
				t.Errorf("%s and %s: %v, %v", a, b, sas[a], sas[b])
			}
		}
		if sas["east in 1"].SPI == sas["east in 2"].SPI {
			t.Error("two epochs have one SPI")
		}
	}
	d, err := Read("office.yaml", []byte(withKeys(static)))
	if err != nil {
		t.Fatal(err)
	}
	files, err := d.Tunnels[0].KeyFiles(3)
	want := []KeyFile{{filepath.Join(dir, "a.3"), 48}, {filepath.Join(dir, "b.3"), 48}}
	if err != nil || len(files) != 2 || files[0] != want[0] || files[1] != want[1] {
		t.Errorf("files of epoch 3: %v, %v", files, err)
	}
	if _, err := os.Stat(want[0].Path); err == nil {
		t.Error("to name a file made it")
	}
}
