package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/netlinkx/netlinkxtest"
)

const (
	addSA   = "state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 reqid 1 mode tunnel replay-window 32 aead rfc4106(gcm(aes)) env:KEY 128"
	hexKey  = "5c5c5c5c"
	addOut  = "policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel"
	addFwd  = "policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd tmpl src 192.0.2.2 dst 192.0.2.1 proto esp reqid 1 mode tunnel"
	getSA   = "state get dst 192.0.2.2 proto esp spi 0x100"
	deleted = "state delete dst 192.0.2.2 proto esp spi 0x100"
)

func TestStateRoundTrip(t *testing.T) {
	k := newFakeKernel()
	if got := runWords(t, k, addSA); got != (result{}) {
		t.Fatalf("add: %+v", got)
	}
	want := "src 192.0.2.1 dst 192.0.2.2\n\tproto esp spi 0x00000100 reqid 1 mode tunnel\n"
	for _, words := range []string{"state list", "s", "sa", "xfrm state", "x s l", "xfrm sa ls", getSA} {
		got := runWords(t, k, words)
		if got.Code != 0 || got.Stderr != "" || !strings.HasPrefix(got.Stdout, want) {
			t.Errorf("%s: %+v", words, got)
		}
		if strings.Contains(got.Stdout, hexKey) {
			t.Errorf("%s shows the key", words)
		}
		if got := runWords(t, k, "--show-keys "+words); !strings.Contains(got.Stdout, hexKey) {
			t.Errorf("--show-keys %s hides the key", words)
		}
	}
	if got := runWords(t, k, "--show-keys state list nokeys"); strings.Contains(got.Stdout, hexKey) {
		t.Error("nokeys shows the key")
	}
	if got := runWords(t, k, "state count"); got != (result{0, "\t SAD count 1\n", ""}) {
		t.Errorf("count: %+v", got)
	}
	if got := runWords(t, k, deleted); got != (result{}) || len(k.sas) != 0 {
		t.Errorf("delete: %+v", got)
	}
	if got := runWords(t, k, "state list"); got != (result{}) {
		t.Errorf("empty list: %+v", got)
	}
}

func TestJSONLists(t *testing.T) {
	k := newFakeKernel()
	for i := range 3 {
		for _, opts := range []string{"-j", "-j -p", "-js -pretty"} {
			got := runWords(t, k, opts+" state list")
			var list []map[string]any
			if err := json.Unmarshal([]byte(got.Stdout), &list); err != nil || len(list) != i || got.Code != 0 {
				t.Errorf("%s with %d: %v\n%s", opts, i, err, got.Stdout)
			}
			if strings.Contains(got.Stdout, hexKey) {
				t.Errorf("%s shows the key", opts)
			}
		}
		runWords(t, k, strings.Replace(addSA, "spi 0x100", fmt.Sprintf("spi %d", 0x100+i), 1))
	}
	got := runWords(t, k, "-j -p "+getSA)
	var one map[string]any
	if err := json.Unmarshal([]byte(got.Stdout), &one); err != nil {
		t.Errorf("get: %v\n%s", err, got.Stdout)
	}
}

func TestExitCodes(t *testing.T) {
	tests := []struct {
		words  string
		code   int
		stderr string
	}{
		{"", 255, ""},
		{"nope", 255, "xfrmctl: object \"nope\" is unknown, try \"xfrmctl help\"\n"},
		{"polcy", 255, "xfrmctl: object \"polcy\" is unknown, try \"xfrmctl help\"\nhint: did you mean \"policy\"?\n"},
		{"link show", 255, "xfrmctl: object \"link\" is unknown, try \"xfrmctl help\"\nhint: xfrmctl takes the words of `ip xfrm` only; for this run: ip link\n"},
		{"state add", 1, "Not enough information: ID is required\n"},
		{"-n no/such/ns state", 255, "xfrmctl: cannot open network namespace \"no/such/ns\": no such file or directory\n"},
		{"--engine userspace --socket no/such/socket state", 1, "xfrmctl: no userspace engine is running at no/such/socket\nhint: start one: "},
		{"-b no/such/file", 1, "xfrmctl: cannot open batch file \"no/such/file\": no such file or directory\n"},
		{"-b - state", 255, "xfrmctl: -batch takes its commands from -; unexpected word \"state\"\n"},
		{deleted, 2, "xfrmctl: delete esp sa 0x00000100 to 192.0.2.2: no such process\n"},
		{"state help", 255, "Usage: "},
		{"completion tcsh", 255, "xfrmctl: completion takes one word: bash, zsh or fish\n"},
		{"help", 0, ""},
		{"--help", 0, ""},
		{"help state", 0, ""},
		{"state --help", 0, ""},
		{"state add --help", 0, ""},
		{"apply --help", 0, ""},
		{"apply no/such/file -h", 0, ""},
		{"apply help", 0, ""},
		{"schema --help", 0, ""},
		{"vti convert --help", 0, ""},
		{"version", 0, ""},
		{"-V", 0, ""},
		{"man", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.words, func(t *testing.T) {
			got := runWords(t, newFakeKernel(), tt.words)
			if got.Code != tt.code || !strings.HasPrefix(got.Stderr, tt.stderr) {
				t.Errorf("%+v", got)
			}
			if tt.code == 0 && (got.Stdout == "" || got.Stderr != "") {
				t.Errorf("output %+v", got)
			}
		})
	}
}

func TestKernelErrorText(t *testing.T) {
	k := newFakeKernel()
	k.refuse = func(netlinkx.MsgType) (syscall.Errno, string) { return syscall.EPERM, "Not you" }
	got := runWords(t, k, addSA)
	want := "xfrmctl: add esp sa 0x00000100 to 192.0.2.2: operation not permitted: Not you\n"
	if got.Code != 2 || !strings.HasPrefix(got.Stderr, want) {
		t.Errorf("%+v", got)
	}
	if strings.Contains(got.Stderr, hexKey) {
		t.Error("the error shows the key")
	}
}

func TestKernelWarning(t *testing.T) {
	k := newFakeKernel()
	k.refuse = func(netlinkx.MsgType) (syscall.Errno, string) { return 0, "Not all of it." }
	if got := runWords(t, k, addSA); got != (result{0, "", "Warning: Not all of it.\n"}) {
		t.Errorf("%+v", got)
	}
}

func TestWarnings(t *testing.T) {
	onArgv := strings.Replace(addSA, "env:KEY", "0x"+strings.Repeat("5c", 20), 1)
	onArgv = strings.Replace(onArgv, "replay-window 32", "", 1)
	got := runWords(t, newFakeKernel(), onArgv)
	if got.Code != 0 || strings.Count(got.Stderr, "xfrmctl: warning: ") != 2 || strings.Contains(got.Stderr, hexKey) {
		t.Errorf("%+v", got)
	}
	if got := runWords(t, newFakeKernel(), "--quiet "+onArgv); got != (result{}) {
		t.Errorf("--quiet: %+v", got)
	}
	// No key on argv, no warning about it.
	got = runWith(t, newFakeKernel(), onArgv+"\n", "-b", "-")
	if got.Code != 0 || strings.Count(got.Stderr, "warning") != 1 {
		t.Errorf("batch: %+v", got)
	}
}

func TestInterruptedDump(t *testing.T) {
	k := newFakeKernel()
	k.interrupt = true
	runWords(t, k, addSA)
	got := runWords(t, k, "state list")
	if got.Code != 0 || got.Stdout == "" || got.Stderr != "Dump was interrupted and may be inconsistent.\n" {
		t.Errorf("%+v", got)
	}
}

func TestDeleteAll(t *testing.T) {
	k := newFakeKernel()
	one := mustSA(t, 0x1000)
	for i := range 1300 {
		sa := *one
		sa.SPI += netlinkx.SPI(i)
		k.sas = append(k.sas, &sa)
	}
	if got := runWords(t, k, "-s state deleteall"); got != (result{0, "", "1300 sas deleted\n"}) || len(k.sas) != 0 {
		t.Errorf("%+v, %d left", got, len(k.sas))
	}
	acks := 0
	for _, m := range k.Requests() {
		if m.Type == netlinkx.MsgDelSA && m.Flags&netlinkxtest.FlagAck != 0 {
			acks++
		}
	}
	if acks == 0 || acks > 10 {
		t.Errorf("%d acknowledgements for 1300 deletes", acks)
	}
	k.sas = append(k.sas, mustSA(t, 0), mustSA(t, 0x1000), mustSA(t, 0))
	ipip := mustSA(t, 0xc0000201)
	ipip.Proto = protoIPIP
	k.sas = append(k.sas, ipip)
	got := runWords(t, k, "state deleteall")
	want := "xfrmctl: 2 sas not deleted: no SPI to name it by (SPI 0, or larval from an acquire)\n" +
		"hint: `xfrmctl state flush` removes these too, with all others\n"
	if got != (result{1, "", want}) || len(k.sas) != 3 {
		t.Errorf("%+v, %d left", got, len(k.sas))
	}
}

func TestDeleteAllPolicies(t *testing.T) {
	k := newFakeKernel()
	for _, words := range []string{addOut, addFwd, addOut + " ptype sub"} {
		if got := runWords(t, k, strings.Replace(words, " ptype sub", "", 1)); got.Code != 0 {
			t.Fatalf("%+v", got)
		}
	}
	k.policies = append(k.policies, &netlinkx.Policy{Dir: 4, Index: 99})
	if got := runWords(t, k, "--dry-run policy deleteall dir out"); got.Code != 0 || strings.Count(got.Stdout, "would delete ") != 2 || len(k.policies) != 4 {
		t.Errorf("dry run: %+v, %d left", got, len(k.policies))
	}
	if got := runWords(t, k, "policy deleteall"); got != (result{}) || len(k.policies) != 1 {
		t.Errorf("%+v, %d left", got, len(k.policies))
	}
}

func mustSA(t *testing.T, spi uint32) *netlinkx.SA {
	t.Helper()
	k := newFakeKernel()
	got := runWords(t, k, strings.Replace(addSA, "spi 0x100", fmt.Sprintf("spi %#x", spi), 1)+" reqid 7")
	if got.Code != 0 || len(k.sas) != 1 {
		t.Fatalf("%+v", got)
	}
	return k.sas[0]
}

func TestDryRun(t *testing.T) {
	k := newFakeKernel()
	got := runWords(t, k, "--dry-run "+addSA)
	if diff := cmp.Diff(result{0, "would add esp sa 0x00000100 to 192.0.2.2\n", ""}, got); diff != "" {
		t.Error(diff)
	}
	got = runWords(t, k, "--dry-run -v "+addSA)
	if n := strings.Count(got.Stdout, "**"); n != 20 {
		t.Errorf("%d bytes blanked, want the 20 of the key:\n%s", n, got.Stdout)
	}
	if strings.Contains(got.Stdout, "5c 5c") {
		t.Error("the key shows")
	}
	for _, words := range []string{"state flush", "policy setdefault in block", "state allocspi dst 192.0.2.2 proto esp", addOut, deleted} {
		if got := runWords(t, k, "--dry-run "+words); got.Code != 0 || !strings.HasPrefix(got.Stdout, "would ") {
			t.Errorf("%s: %+v", words, got)
		}
	}
	if n := len(k.Requests()); n != 0 {
		t.Errorf("sent %d requests", n)
	}
}

func TestComplete(t *testing.T) {
	tests := []struct{ words, want string }{
		{"comp", "completion"},
		{"st", "state"},
		{"--sh", "--show-keys"},
		{"-f", ""},
		{"--engine ", "auto kernel userspace"},
		{"-j po", "policy"},
		{"completion ", "bash fish zsh"},
		{"completion z", "zsh"},
	}
	for _, tt := range tests {
		args := append([]string{"__complete"}, strings.Split(tt.words, " ")...)
		got := runWith(t, newFakeKernel(), "", args...)
		if out := strings.Join(strings.Fields(got.Stdout), " "); !strings.HasPrefix(out, tt.want) || got.Code != 0 {
			t.Errorf("%q: %q, want %q", tt.words, out, tt.want)
		}
	}
}
