package keys_test

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cases are the commands that the sweep gives keys to, by object: at least one
// line for each object that the program has. Words in braces stand for the key in
// a form, or for a file with it; see words.
func cases() map[string][]string {
	const id = " src 10.0.0.1 dst 10.0.0.2 proto esp spi "
	const aead = " mode tunnel aead rfc4106(gcm(aes)) {gcm} 128"
	const add = "state add" + id + "0x102 "
	return map[string][]string{
		"state": {
			"state add" + id + "0x100" + aead,
			"state add" + id + "0x100" + aead, // exists
			"state update" + id + "0x100" + aead,
			"state add" + id + "0x101 mode tunnel enc cbc(aes) {cbc} auth-trunc hmac(sha256) {sha256} 128",
			"state list", "-s -s state list", "-s -o state", "-v state", "-j state", "-j -p -s -v state",
			"state get dst 10.0.0.2 proto esp spi 0x100", "-j state get dst 10.0.0.2 proto esp spi 0x100",
			"state ae get dst 10.0.0.2 proto esp spi 0x100", "state count", "state flush",
			"--dry-run -v " + add + aead, "--dry-run -v -j " + add + aead, "--quiet " + add + aead, "state deleteall",
			add + "aead {gcm} 128",                       // no name
			add + "aead rfc4106 gcm {gcm} 128",           // one word too many
			add + "aead rfc4106(gcm(aes)) 128 {gcm}",     // exchanged
			add + "enc cbc(aes) {gcm} {gcm}",             // twice
			add + "enc cbc(aes) {gcm}",                   // wrong length
			add + "aead rfc4106(gcm(aes)) {gcm}zz 1",     // no hex
			add + "aead rfc4106(gcm(aes)) {hex} 128",     // no 0x: text of 40 bytes
			add + "aead rfc4106(gcm(aes)) {HEX} 128",     // the same
			add + "aead rfc4106(gcm(aes)) {base64} 128",  // text of the wrong length
			add + "aead none(of(those)) {gcm} 128",       // no such algorithm
			add + "auth hmac(sha1) {gcm} enc cbc(aes) @", // no file
			"state add" + id + "{gcm}", "state add {gcm}",
			add + "aead rfc4106(gcm(aes)) @{hexfile} 128", "state delete" + id + "0x102",
			add + "aead rfc4106(gcm(aes)) @{rawfile} 128", "-j state list", "state delete" + id + "0x102",
			add + "aead rfc4106(gcm(aes)) env:CANARY 128", "state delete" + id + "0x102",
			add + "aead rfc4106(gcm(aes)) @- 128", "state delete" + id + "0x102",
			add + "aead rfc4106(gcm(aes)) @{badfile} 128",
			add + "aead rfc4106(gcm(aes)) @{longfile} 128",
			add + "aead rfc4106(gcm(aes)) @{base64file} 128",
			add + "aead rfc4106(gcm(aes)) env:{gcm} 128", // the key as its name
			add + "aead rfc4106(gcm(aes)) @{gcm} 128",
			"-b {batch}", "--force -b {batch}", "--force -j -b {batch}", "--force --dry-run -v -b {batch}", "-b -", "-b {hexfile}", "-b {gcm}", "state deleteall",
			"-n {gcm} state", "--netns={gcm} state", "--engine {gcm} state", "--socket {gcm} state", "-rcvbuf {gcm} state", "-f {gcm} state", "--{hex}", "--x={gcm}",
		},
		"policy":  {"policy add src 10.0.0.0/8 dst 10.0.0.0/8 dir out tmpl src 10.0.0.1 dst 10.0.0.2 proto esp spi {gcm}", "policy add dir out priority {gcm}"},
		"monitor": {"monitor file {hexfile}", "monitor file {rawfile}", "-j monitor file {batch}", "monitor file"},
		"xfrm":    {"xfrm state add" + id + "0x100" + aead, "xfrm -j state list", "xfrm -s state list", "xfrm state add" + id + "0x103 aead {gcm}", "xfrm state delete" + id + "0x100"},
		"iface":   {"iface add x if_id {gcm}", "iface add {gcm}", "iface add x mtu auto cipher {gcm}", "iface add x alias {gcm}{hex}", "iface add x addr {gcm}"},
		"offload": {"offload check " + add + aead + " on lo", "-j offload check " + add + aead, "offload check {batch}", "-j offload check {batch}", "offload check {hexfile}", "offload check -",
			add + aead + " offload auto", "--dry-run -v " + add + aead + " offload prefer", "offload explain dst 10.0.0.2 proto esp spi 0x102", "-j offload verify dst 10.0.0.2 proto esp spi 0x102 for 0",
			"state deleteall", add + aead + " offload require", "offload drain lo save {out}", "offload restore {batch}", "offload restore {hexfile}", "offload selftest lo to {gcm} netns x"},
		"check":  {"check {gcm}", "-j check {gcm}"},
		"gro":    {"gro restore {batch}", "gro restore {hexfile}", "gro explain dst 10.0.0.2 proto esp spi {gcm}", "gro set lo rx-gro {gcm}"},
		"esp":    {"esp --{hex}", "esp {gcm}", "esp --queues {gcm}", "esp status {gcm}", "esp stats", "-j esp stats", "esp status", "-j esp status", "esp --socket {gcm} status"},
		"demo":   {"demo {gcm}", "demo --engine {gcm}", "demo --offload {gcm}"},
		"plan":   documentCases("plan"),
		"diff":   documentCases("diff"),
		"verify": documentCases("verify"),
		"apply":  append(documentCases("apply"), "apply {doc} --as east --state-dir {state} --every {gcm}", "-v apply {doc} --as east --state-dir {state} --prune", "-j apply {doc} --as east --state-dir {state}", "-s -j state list"),
		"delete": append(documentCases("delete"), "apply {doc} --as east --state-dir {state}", "-v delete {doc} --as east --state-dir {state}"),
		"export": {"apply {doc} --as east --state-dir {state}", "export", "-j export", "-v export --as {gcm}", "export --root {base64}", "export --root file:{gcm}", "export --owner {gcm}", "export --name 192.0.2.2={gcm}",
			"export --with-keys-to {hexfile}", "-v export --with-keys-to {keyfile}", "delete {doc} --as east --state-dir {state}", "state add" + id + "0x100" + aead, "export", "-j export", "state deleteall"},
		"keys": append(append(documentCases("keys status"), documentCases("keys rotate")...), "keys {gcm}", "keys new {doc}", "keys new {static} --epoch 2", "keys new {doc} --tunnel {gcm}", "keys new --root {hexfile}", "keys new {gcm}",
			"apply {doc} --as east --state-dir {state}", "-v keys rotate {doc} --as east --state-dir {state} --epoch {gcm}", "keys rotate {doc} --as east --state-dir {state} --step {gcm}", "-j keys rotate {doc} --as east --state-dir {state} --at {gcm}",
			"keys rotate {doc} --as east --state-dir {state}", "-j keys status {doc} --as east --state-dir {state}", "delete {doc} --as east --state-dir {state}"),
		"networkd":   append(documentCases("networkd"), "networkd {doc} --as east", "networkd {derived} --as east --boot-id west={gcm}"),
		"schema":     {"schema {gcm}", "schema"},
		"vti":        {"vti audit {gcm}", "vti convert {hexfile}", "vti list {gcm}", "-j vti audit", "-v vti list", "--dry-run -v vti convert"},
		"link-mtu":   {"link-mtu {gcm}", "link-mtu 1500 cipher {gcm}", "link-mtu 1500 {gcm} {gcm}"},
		"completion": {"completion {gcm}"},
		"man":        {"man {gcm}"},
		"version":    {"version {gcm}"},
		"help":       {"help {gcm}", "help state {gcm}", "{gcm}", "-{gcm}", "{hex}", "__complete state add aead x {gcm}", "__complete state add aead x env:CANAR"},
	}
}

// documentCases are what all commands that take a document are given.
func documentCases(verb string) (lines []string) {
	for _, doc := range documents() {
		tail := " {" + doc.name + "} --as east --state-dir {state}"
		if verb == "keys rotate" {
			tail += " --wait 0" // nothing comes
		}
		lines = append(lines, verb+tail, "-j "+verb+tail, "--dry-run -v "+verb+tail)
	}
	for _, words := range []string{" {doc} --as {gcm}", " {gcm} --as east", " {doc} --as east --boot-id west={gcm} --boot-id {gcm}", " {doc} --{hex}", " {hexfile} --as east", " - --as east --state-dir {state}"} {
		lines = append(lines, verb+words)
	}
	return lines
}

// A keyDocument is a document whose keys are, in one way or another, the canary.
type keyDocument struct {
	name, cipher, keys string
	tail               string // more of the tunnel
}

func documents() []keyDocument {
	both := func(ref string) string { return `{east-to-west: "` + ref + `", west-to-east: "` + ref + `"}` }
	const cbc, gcm = "aes-cbc-256-sha256", "aes-gcm-256"
	return []keyDocument{
		{"doc", cbc, both("file:{hexfile64}"), ""},
		{"rawdoc", cbc, both("file:{rawfile64}"), ""},
		{"envdoc", cbc, both("env:CANARY64"), ""},
		{"commanddoc", cbc, both("command:cat {hexfile64}"), ""},
		{"derived", gcm, `{derive: "file:{hexfile64}", epoch: 7}`, ""},
		{"static", gcm, both("file:{hexfile}"), ""},
		{"shortdoc", cbc, both("file:{hexfile}"), ""},
		{"baddoc", cbc, both("file:{badfile}"), ""},
		{"base64doc", cbc, both("file:{base64file}"), ""},
		{"longdoc", cbc, both("file:{longfile}"), ""},
		{"failing", cbc, both("command:cat {hexfile64} {nofile}"), ""},
		{"inline", cbc, both("{gcm}"), ""},
		{"inline-hex", cbc, both("{hex}"), ""},
		{"inline-base64", cbc, both("{base64}"), ""},
		{"inline-file", cbc, both("file:{gcm}"), ""},
		{"inline-env", cbc, both("env:{hex}"), ""},
		{"inline-derive", gcm, `{derive: {base64}, epoch: 1}`, ""},
		{"inline-plain", cbc, `{base64}`, ""},
		{"inline-list", cbc, `[{base64}, "{gcm}"]`, ""},
		{"inline-epoch", gcm, `{derive: "file:{hexfile64}", epoch: {gcm}}`, ""},
		{"key-as-field", cbc, `{{base64}: x}`, ""},
		{"syntax", cbc, `{east-to-west: {base64}, west-to-east: "{gcm}`, ""},
		{"elsewhere", cbc, both("{base64}") + ", nonsense: 1", ""},
		{"unknown-field", cbc, both("file:{hexfile64}"), "    key: {base64}\n"},
		{"in-spi", cbc, both("file:{hexfile64}"), "    spi: {east-to-west: {gcm}}\n"},
	}
}

func (d keyDocument) text() string {
	return `version: 1
owner: {name: canary, reqid: 10000-19999, if_id: 20000-29999}
nodes:
  east: {endpoint: 192.0.2.1}
  west: {endpoint: 192.0.2.2, boot_id: other}
tunnels:
  - name: main
    between: [east, west]
    cipher: ` + d.cipher + `
    keys: ` + d.keys + `
    interface: canary0
    traffic:
      - {east: 10.1.0.0/16, west: 10.2.0.0/16}
` + d.tail
}

// words returns what stands for the words in braces, for one key whose files are
// in dir, and writes the files.
func words(t *testing.T, k *canary, dir string) *strings.Replacer {
	t.Helper()
	h := hex.EncodeToString(k[:])
	out := []string{
		"{gcm}", "0x" + h[:40], "{hex}", h[:40], "{HEX}", strings.ToUpper(h[:40]), "{base64}", base64.StdEncoding.EncodeToString(k[:20]),
		"{cbc}", "0x" + h[:32], "{sha256}", "0x" + h[:64], "{state}", filepath.Join(dir, "state"), "{out}", filepath.Join(dir, "out"), "{nofile}", filepath.Join(dir, "nofile"), "{keyfile}", filepath.Join(dir, "keyfile"),
	}
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out = append(out, "{"+name+"}", path)
	}
	write("hexfile", "0x"+h[:40]+"\n")
	write("hexfile64", "0x"+h+"\n")
	write("rawfile", string(k[:20]))
	write("rawfile64", string(k[:]))
	write("base64file", base64.StdEncoding.EncodeToString(k[:])+"\n")
	write("badfile", "0x"+h+"zz\n")
	write("longfile", strings.Repeat(h, 40))
	const id = "state add src 10.0.0.1 dst 10.0.0.2 proto esp spi "
	aead := " mode tunnel aead rfc4106(gcm(aes)) 0x" + h[:40] + " 128\n"
	write("batch", id+"0x100"+aead+id+"0x100"+aead+id+"0x103 aead 0x"+h[:40]+"\n"+id+"0x104"+aead+"0x"+h[:40]+"\nstate list\n")
	for _, d := range documents() {
		write(d.name, strings.NewReplacer(out...).Replace(d.text()))
	}
	return strings.NewReplacer(out...)
}
