package main

import (
	"bytes"
	"strings"
	"syscall"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
)

// TestEveryOffloadRefusalIsExplained has a scripted kernel refuse with each text
// that the rule packs know, of drivers and of the core, and expects the cause
// and what to do about it.
func TestEveryOffloadRefusalIsExplained(t *testing.T) {
	packs, err := offload.Packs()
	if err != nil {
		t.Fatal(err)
	}
	errnos := map[string]syscall.Errno{
		"EINVAL": syscall.EINVAL, "EOPNOTSUPP": syscall.EOPNOTSUPP, "ENOSPC": syscall.ENOSPC, "EBUSY": syscall.EBUSY,
		"ENODEV": syscall.ENODEV, "EACCES": syscall.EACCES,
	}
	refusals := 0
	for driver, p := range packs {
		prefix := ""
		if driver != "" {
			prefix = driver + ": "
		}
		for _, r := range p.Rules {
			if r.Text != "" && errnos[r.Errno] != 0 {
				refusals++
				checkRefusal(t, r.Object, errnos[r.Errno], prefix+r.Text)
			}
		}
		for _, a := range p.Answers {
			if errnos[a.Errno] == 0 {
				continue // OK: a warning
			}
			refusals++
			text := ""
			if a.Text != "" {
				text = prefix + a.Text
			}
			checkRefusal(t, "sa", errnos[a.Errno], text)
		}
	}
	if refusals < 100 {
		t.Errorf("only %d refusals were tried", refusals)
	}
}

func checkRefusal(t *testing.T, object string, errno syscall.Errno, text string) {
	t.Helper()
	words := []string{"--quiet", "state", "add", "src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi", "1", "mode", "transport",
		"aead", "rfc4106(gcm(aes))", "0x000102030405060708090a0b0c0d0e0f10111213", "128", "offload", "dev", "if9", "dir", "out"}
	if object == "policy" {
		words = strings.Fields("policy add src 10.0.0.0/24 dst 10.0.1.0/24 dir out offload packet dev if9 tmpl proto esp reqid 1 mode transport")
	}
	k := newFakeKernel()
	k.refuse = func(netlinkx.MsgType) (syscall.Errno, string) { return errno, text }
	var out, errs bytes.Buffer
	e := testEnv(t.Context(), k, strings.NewReader(""), &out, &errs)
	code := e.main(words)
	lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
	if code != exitKernel || len(lines) != 2 || !strings.Contains(lines[0], text) {
		t.Errorf("%q: exit code %d: %s", text, code, errs.String())
		return
	}
	cause, fix, ok := strings.Cut(strings.TrimPrefix(lines[1], "hint: "), ": ")
	if !ok || len(cause) < 10 || len(fix) < 10 {
		t.Errorf("%q: cause %q, fix %q", text, cause, fix)
	}
}

// A wish for offload is no reason to go past the engine that does the work.
func TestWishWhereTheEngineDoesTheWork(t *testing.T) {
	const add = "state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 mode tunnel aead rfc4106(gcm(aes)) env:KEY 128 offload "
	for _, tt := range []struct {
		words        string
		code         int
		added        int
		stdout, said string
	}{
		{"auto dir out", 0, 1, `"rung":"userspace"`, "in the userspace engine: no ESP"},
		{"prefer dev if9 dir out", 0, 1, `"rung":"userspace"`, "in the userspace engine: no ESP"},
		{"require dev if9 dir out", exitCheck, 0, "", "is not added: the userspace engine does the work: no ESP\nhint: "},
	} {
		t.Run(tt.words, func(t *testing.T) {
			k := newFakeKernel()
			var out, errs bytes.Buffer
			e := testEnv(t.Context(), k, strings.NewReader(""), &out, &errs)
			e.probeKernel = func(subject) (bool, string) { return false, "no ESP" }
			e.dial = func(cfg *netlinkx.Config) (*netlinkx.Conn, error) {
				if cfg.Dial == nil {
					t.Error("the kernel is asked")
				}
				cfg.Dial = k.Dial // k is the engine
				return netlinkx.Dial(cfg)
			}
			words := append([]string{"-j", "--socket", refusingEngine(t)}, strings.Fields(add+tt.words)...)
			if code := e.main(words); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if len(k.sas) != tt.added || tt.added == 1 && k.sas[0].Offload != nil {
				t.Errorf("the engine has %v", k.sas)
			}
			if !strings.Contains(out.String(), tt.stdout) || !strings.Contains(errs.String(), tt.said) {
				t.Errorf("stdout %q, stderr %q", out.String(), errs.String())
			}
		})
	}
}

// An SA that the kernel does not have may be the engine's.
func TestExplainNamesTheEngine(t *testing.T) {
	for _, running := range []bool{true, false} {
		var out, errs bytes.Buffer
		e := testEnv(t.Context(), newFakeKernel(), strings.NewReader(""), &out, &errs)
		words := strings.Fields("gso explain dst 192.0.2.2 proto esp spi 0x100")
		if running {
			words = append([]string{"--socket", refusingEngine(t)}, words...)
		}
		if code := e.main(words); code != exitKernel {
			t.Errorf("exit code %d: %s", code, errs.String())
		}
		if got := strings.Contains(errs.String(), "an SA of the userspace engine is on no NIC"); got != running {
			t.Errorf("an engine is running: %v, but stderr is %q", running, errs.String())
		}
	}
}
