package document

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/xfrmctl/xfrmctl/provision/document"
)

// compiled is the schema of documents for another's validator.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(document.SchemaID, v); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(document.SchemaID) // checks it against draft 2020-12
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// value is a document as a validator takes it.
func value(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSchemaTakesExamples: what the manual shows is valid.
func TestSchemaTakesExamples(t *testing.T) {
	s, n := compiled(t), 0
	for _, page := range []string{"provisioning.md", "examples.md"} {
		for _, part := range strings.Split(manual(t, page), "```yaml\n")[1:] {
			text, _, _ := strings.Cut(part, "```")
			if err := s.Validate(value(t, text)); err != nil {
				t.Errorf("%s: %v\n%s", page, err, text)
			}
			n++
		}
	}
	if n < 4 {
		t.Errorf("only %d examples", n)
	}
}

const good = `version: 1
owner: {name: office, reqid: 10000-19999, if_id: 0x5000-0x5fff}
nodes:
  east: {endpoint: 192.0.2.1, underlay: eth0, path_mtu: 1400, boot_id: a, default_policy: {in: block}}
  west: {endpoint: "2001:db8::2"}
tunnels:
  - name: main
    between: [east, west]
    endpoints: {east: 198.51.100.1}
    cipher: aes-gcm-256
    keys: {derive: "env:ROOT", epoch: 3}
    spi: {east-to-west: 0x1000}
    interface: ipsec0
    mtu: 1300
    addresses: {east: [10.255.0.1/30]}
    traffic: [{east: 10.1.0.0/16, west: 10.2.0.0/16}]
    routes: multipath
    replay_window: 2048
    mark: {in: 0x1/0xff, out: 7}
    lifetime: {soft_bytes: 1000, hard_bytes: 2000}
`

// TestSchemaRefuses makes one mistake at a time; the reader refuses each of
// them too.
func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	if err := s.Validate(value(t, good)); err != nil {
		t.Fatalf("the document without a mistake: %v", err)
	}
	for _, c := range [][2]string{
		{"version: 1", "version: 2"}, {"version: 1\n", ""}, {"name: office", "name: an-to-b"}, {"name: office, ", ""}, {"10000-19999", "10000"},
		{"endpoint: 192.0.2.1, ", ""}, {"192.0.2.1", "192.0.2.256"}, {"eth0", "a-very-long-name-of-a-device"}, {"path_mtu: 1400", "path_mtu: 100"},
		{"in: block", "in: perhaps"}, {"[east, west]", "[east]"}, {"[east, west]", "[east, west, south]"}, {"between:", "betwixt:"}, {"aes-gcm-256", "rot13"},
		{`"env:ROOT"`, `"0x00112233"`}, {"epoch: 3", "epoch: -1"}, {"0x1000}", "5}"}, {"10.255.0.1/30", "10.255.0.1"}, {"west: 10.2.0.0/16}", "west: 10.2.0.0}"},
		{", west: 10.2.0.0/16}", "}"}, {"multipath", "perhaps"}, {"2048", "0"}, {"2048", "5000"}, {"0x1/0xff", "x"}, {"hard_bytes: 2000", "hard_bytes: 0"},
		{"hard_bytes: 2000", "hard_byte: 2000"},
	} {
		bad := strings.Replace(good, c[0], c[1], 1)
		if bad == good {
			t.Fatalf("%q is not in the document", c[0])
		}
		if err := s.Validate(value(t, bad)); err == nil {
			t.Errorf("%q for %q is valid", c[1], c[0])
		}
		if _, err := document.Read("x", []byte(bad)); err == nil {
			t.Errorf("%q for %q is read", c[1], c[0])
		}
	}
}
