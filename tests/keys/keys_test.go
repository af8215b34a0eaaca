// Package keys_test sends a key that can be recognised through every command,
// and looks for it in everything that xfrmctl prints.
package keys_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// canary is the key: AES-128 and a salt.
const canary = "c0ffee11deadbea7fade00d5ca5cade5f005ba11"

// forms are the ways in which bytes of the key could show.
func forms(t *testing.T) []string {
	t.Helper()
	raw, err := hex.DecodeString(canary)
	if err != nil {
		t.Fatal(err)
	}
	reversed := slices.Clone(raw)
	slices.Reverse(reversed)
	out := []string{hex.EncodeToString(reversed), base64.StdEncoding.EncodeToString(raw), fmt.Sprint(raw), string(raw)}
	for i := 0; i+16 <= len(canary); i += 2 { // any 8 bytes
		out = append(out, canary[i:i+16], strings.ToUpper(canary[i:i+16]))
	}
	return out
}

// script runs xfrmctl in a namespace and keeps what it prints.
type script struct {
	t   *testing.T
	ns  *sandbox.NS
	bin string
	out strings.Builder
}

func (s *script) run(args ...string) {
	s.t.Helper()
	out, err := s.ns.Run(s.bin, args...)
	if err != nil && strings.Contains(out, "panic") {
		s.t.Errorf("%q: %v\n%s", args, err, out)
	}
	fmt.Fprintf(&s.out, "$ %d words\n%s", len(args), out)
}

func (s *script) line(line string) { s.run(strings.Fields(line)...) }

func TestKeysAreNotPrinted(t *testing.T) {
	bin := os.Getenv("XFRMCTL_BIN")
	if bin == "" {
		t.Skip("needs the program: XFRMCTL_BIN")
	}
	s := &script{t: t, ns: sandbox.New(t), bin: bin}
	var monitors []*exec.Cmd
	var events [2]strings.Builder
	for i, args := range [][]string{{"monitor"}, {"-j", "monitor"}} {
		cmd := exec.Command(bin, args...)
		cmd.Stdout, cmd.Stderr = &events[i], &events[i]
		if err := s.ns.Do(cmd.Start); err != nil {
			t.Fatal(err)
		}
		monitors = append(monitors, cmd)
	}
	time.Sleep(500 * time.Millisecond)
	commands(t, s)
	time.Sleep(500 * time.Millisecond)
	for i, cmd := range monitors {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // how it ends is not this test's business
		s.out.WriteString(events[i].String())
	}
	for _, form := range forms(t) {
		if i := strings.Index(s.out.String(), form); i >= 0 {
			all := s.out.String()
			t.Errorf("the key shows as %q in …%q…", form, all[max(0, i-120):min(len(all), i+80)])
		}
	}
	if n := strings.Count(s.out.String(), "$ "); n < 30 {
		t.Errorf("only %d commands ran", n)
	}
	shown, _ := s.ns.Run(bin, "--show-keys", "state", "list")
	if os.Getenv("XFRMCTL_KERNEL") != "native" && !strings.Contains(shown, canary) {
		t.Errorf("--show-keys does not show it: the test sees nothing\n%s", shown)
	}
}

func commands(t *testing.T, s *script) {
	t.Helper()
	const id = " src 10.0.0.1 dst 10.0.0.2 proto esp spi "
	const aead = " mode tunnel aead rfc4106(gcm(aes)) 0x" + canary + " 128"
	for _, line := range []string{
		"state add" + id + "0x100" + aead,
		"state add" + id + "0x100" + aead, // exists
		"state update" + id + "0x100" + aead,
		"state add" + id + "0x101 mode tunnel enc cbc(aes) 0x" + canary[:32] + " auth-trunc hmac(sha256) 0x" + canary + " 128",
		"state list", "-s state list", "-s -o state", "-v state", "-j state", "-j -p -v state",
		"state get dst 10.0.0.2 proto esp spi 0x100", "-j state get dst 10.0.0.2 proto esp spi 0x100",
		"state ae get dst 10.0.0.2 proto esp spi 0x100",
		"--dry-run -v state add" + id + "0x102" + aead, "--dry-run -v -j state add" + id + "0x102" + aead,
		"state add" + id + "0x102 aead 0x" + canary + " 128",                   // no name
		"state add" + id + "0x102 aead rfc4106 gcm 0x" + canary + " 128",       // one word too many
		"state add" + id + "0x102 aead rfc4106(gcm(aes)) 128 0x" + canary,      // exchanged
		"state add" + id + "0x102 enc cbc(aes) 0x" + canary + " 0x" + canary,   // twice
		"state add" + id + "0x102 enc cbc(aes) 0x" + canary,                    // wrong length
		"state add" + id + "0x102 aead rfc4106(gcm(aes)) 0x" + canary + "zz 1", // no hex
		"state add" + id + "0x102 aead rfc4106(gcm(aes)) " + canary + " 128",   // no 0x
		"state add" + id + "0x" + canary, "state add 0x" + canary, "state 0x" + canary, "0x" + canary, "-0x" + canary,
		"state list 0x" + canary, "state get 0x" + canary, "policy add 0x" + canary, "policy list 0x" + canary, "monitor 0x" + canary,
		"iface add 0x" + canary, "iface add x if_id 0x" + canary, "-n 0x" + canary + " state", "-b 0x" + canary, "help 0x" + canary,
		"__complete state add aead x 0x" + canary + " ", "demo 0x" + canary,
	} {
		s.line(line)
	}
	batch := filepath.Join(t.TempDir(), "batch")
	lines := "state add" + id + "0x100" + aead + "\nstate add" + id + "0x103 aead 0x" + canary + "\nstate add" + id + "0x104" + aead + "\n0x" + canary + "\n"
	if err := os.WriteFile(batch, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run("-b", batch)
	s.run("--force", "-b", batch)
	s.run("--force", "--dry-run", "-v", "-b", batch)
	s.run("state", "delete", "dst", "10.0.0.2", "proto", "esp", "spi", "0x104")
}
