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
