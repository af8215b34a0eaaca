package ipxfrm

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

var updateJSON = flag.Bool("update-json", false, "make the golden JSON anew")

// TestJSONGolden keeps the JSON as it is, for those who read it: one message
// of each kind, the first ones of messages.hex.
func TestJSONGolden(t *testing.T) {
	p := printerOf(t, textVariants()[0])
	var got bytes.Buffer
	seen := map[string]bool{}
	enc := json.NewEncoder(&got)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	for _, m := range readMessages(t) {
		if seen[m.name] {
			continue
		}
		seen[m.name] = true
		if err := enc.Encode(p.JSONEvent(decodeNotice(t, m))); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(goldenDir, "events.json")
	if *updateJSON {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.SplitAfter(string(want), "\n"), strings.SplitAfter(got.String(), "\n")); d != "" {
		t.Errorf("-golden +got\n%s", d)
	}
}

// TestJSONRecords shows what a usual SA and policy look like.
func TestJSONRecords(t *testing.T) {
	const infinite = `"limits":{"byte_soft":null,"byte_hard":null,"packet_soft":null,"packet_hard":null,` +
		`"time_soft":null,"time_hard":null,"time_use_soft":null,"time_use_hard":null},` +
		`"lifetime":{"bytes":0,"packets":0,"add":null,"use":null}`
	const sa = `{"src":"10.0.0.1","dst":"10.0.0.2","family":"inet","proto":"esp","spi":"0x00000103","reqid":2,"mode":"tunnel",` +
		`"replay_window":0,"seq":0,"flags":[],"algorithms":[{"type":"aead","name":"rfc4106(gcm(aes))",KEY"key_bits":160,"icv_bits":128}],` +
		`"sel":{"src":"0.0.0.0/0","dst":"0.0.0.0/0","family":"inet"},` + infinite + `,"stats":{"replay_window":0,"replay":0,"failed":0}}`
	shown := strings.Replace(sa, "KEY", `"key":"0x000102030405060708090a0b0c0d0e0f10111213",`, 1)
	hidden := strings.Replace(sa, "KEY", `"key":"<hidden>",`, 1)
	const policy = `{"src":"10.1.0.0/24","dst":"10.2.0.0/24","family":"inet","dir":"out","action":"allow","index":0,"priority":10,` +
		`"ptype":"main","share":"any","flags":[],"tmpl":[{"src":"10.0.0.1","dst":"10.0.0.2","family":"inet","proto":"esp",` +
		`"spi":"0x00000000","reqid":1,"mode":"tunnel","level":"required","share":"any","enc_mask":"0xffffffff",` +
		`"auth_mask":"0xffffffff","comp_mask":"0xffffffff"}],` + infinite + `}`
	noKey := exampleSA()
	noKey.AEAD.Key = netlinkx.Key{}
	for _, tt := range []struct {
		name string
		got  any
		want string
	}{
		{"sa", (&Printer{ShowKeys: true}).JSONSA(exampleSA()), shown},
		{"sa, keys hidden", (&Printer{}).JSONSA(exampleSA()), hidden},
		{"sa, nokeys", (&Printer{ShowKeys: true, NoKeys: true}).JSONSA(exampleSA()), hidden},
		{"sa without key", (&Printer{}).JSONSA(noKey), strings.Replace(strings.Replace(sa, "KEY", "", 1), "160", "0", 1)},
		{"policy", (&Printer{}).JSONPolicy(examplePolicy()), policy},
	} {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(tt.got); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSuffix(b.String(), "\n"); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// TestJSONPorts has the port fields of each kind of protocol.
func TestJSONPorts(t *testing.T) {
	one := func(v uint16) netlinkx.PortMatch { return netlinkx.PortMatch{Port: v, Mask: 0xffff} }
	p := &Printer{}
	for _, tt := range []struct {
		sel  netlinkx.Selector
		want string
	}{
		{netlinkx.Selector{Proto: 6, DstPort: one(80)}, `{"proto":"6","dport":80}`},
		{netlinkx.Selector{SrcPort: netlinkx.PortMatch{Port: 0x100, Mask: 0xff00}}, `{"sport":256,"sport_mask":65280}`},
		{netlinkx.Selector{Proto: 1, SrcPort: one(8), DstPort: one(0)}, `{"proto":"1","type":8,"code":0}`},
		{netlinkx.Selector{Proto: 58, SrcPort: one(128)}, `{"proto":"58","type":128}`},
		{netlinkx.Selector{Proto: 135, SrcPort: one(5)}, `{"proto":"135","type":5}`},
		{netlinkx.Selector{Proto: 47, SrcPort: one(1), DstPort: one(2)}, `{"proto":"47","key":65538}`},
		{netlinkx.Selector{Proto: 47, DstPort: one(2)}, `{"proto":"47","key":2,"key_mask":65535}`},
	} {
		if got := jsonText(t, p.jsonSelector(&tt.sel)); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestJSONNumbers(t *testing.T) {
	for _, tt := range []struct {
		v    any
		want string
	}{
		{jsonTime(0), `null`},
		{jsonTime(1795438246), `"2026-11-23T12:50:46Z"`},
		{jsonTime(253402300799), `"9999-12-31T23:59:59Z"`},
		{jsonTime(253402300800), `253402300800`},
		{jsonCount(0), `0`},
		{jsonCount(netlinkx.Inf), `null`},
		{jsonSeconds(0), `null`},
		{jsonSeconds(60), `60`},
		{jsonHex(1), `"0x00000001"`},
		{jsonFlags(shownSAFlags, 0), `[]`},
		{jsonFlags(shownExtraFlags, 0x12), `["oseq-may-wrap","0x10"]`},
		{(&Printer{}).jsonOffload(&netlinkx.Offload{IfIndex: 3, Flags: 7}, true), `{"dev":"if3","ifindex":3,"dir":"in","mode":"packet","flags":["ipv6"]}`},
		{(&Printer{}).jsonOffload(&netlinkx.Offload{IfIndex: 3, Flags: 2}, false), `{"dev":"if3","ifindex":3,"mode":"crypto","flags":["inbound"]}`},
	} {
		if got := jsonText(t, tt.v); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
