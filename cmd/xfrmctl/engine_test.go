package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
)

// refusingEngine listens like an engine, and refuses every client with a word
// of its own, so that it shows who was asked.
func refusingEngine(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "esp.sock")
	l, err := nlsock.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- l.Serve(func(p *nlsock.Peer) { p.Refuse(syscall.EBUSY, "asked the engine") }) }()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestEngineChoice(t *testing.T) {
	running := refusingEngine(t)
	const nobody = "no/such/socket"
	for _, tt := range []struct {
		name    string
		words   string
		variant string // XFRMCTL_ESP_SOCKET
		able    bool   // the kernel
		probed  bool
		engine  bool
		said    string
	}{
		{"no engine", "-v --socket " + nobody, "", false, false, false, "xfrmctl: engine: kernel: no userspace engine is running\n"},
		{"no engine anywhere", "-v", "", false, false, false, "xfrmctl: engine: kernel: no userspace engine is running\n"},
		{"the kernel can", "-v --socket " + running, "", true, true, false, "xfrmctl: engine: kernel: because ESP; the engine at "},
		{"the kernel cannot", "-v --socket " + running, "", false, true, true, "xfrmctl: engine: userspace: because ESP\n"},
		{"not verbose", "--socket " + running, "", false, true, true, "xfrmctl: "},
		{"from the environment", "-v", running, false, true, true, "xfrmctl: engine: userspace: because ESP\n"},
		{"kernel demanded", "-v --engine kernel --socket " + running, "", false, false, false, "xfrmctl: engine: kernel: it was asked for\n"},
		{"engine demanded", "-v --engine userspace --socket " + running, "", true, false, true, "xfrmctl: engine: userspace: it was asked for\n"},
		{"option before environment", "-v --engine userspace --socket " + running, nobody, true, false, true, "xfrmctl: engine: userspace: it was asked for\n"},
	} {
		for _, command := range []string{"state count", "monitor"} {
			t.Run(tt.name+"/"+command, func(t *testing.T) {
				var out, errs bytes.Buffer
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				if command == "monitor" && !tt.engine {
					ctx, cancel = context.WithCancel(ctx)
					cancel() // the kernel's would not end
				}
				e := testEnv(ctx, newFakeKernel(), strings.NewReader(""), &out, &errs)
				e.getenv = func(string) string { return tt.variant }
				probed := false
				e.probeKernel = func(s subject) (bool, string) { probed = true; return tt.able, "because " + string(s) }
				code := e.main(append(strings.Fields(tt.words), strings.Fields(command)...))
				if probed != tt.probed {
					t.Errorf("kernel asked: %v", probed)
				}
				if asked := strings.Contains(errs.String(), "asked the engine"); asked != tt.engine || asked != (code != 0) && command != "monitor" {
					t.Errorf("exit code %d, stderr %q", code, errs.String())
				}
				if got := strings.Count(errs.String(), "xfrmctl: engine: "); got > 1 || !strings.HasPrefix(errs.String(), tt.said) {
					t.Errorf("stderr %q, want it to begin with %q", errs.String(), tt.said)
				}
			})
		}
	}
}

// A batch asks once which engine has the work.
func TestEngineChoiceIsMadeOnce(t *testing.T) {
	var out, errs bytes.Buffer
	e := testEnv(context.Background(), newFakeKernel(), strings.NewReader(strings.Repeat("state count\n", 20)), &out, &errs)
	e.opts.socket = refusingEngine(t)
	n := 0
	e.probeKernel = func(subject) (bool, string) { n++; return true, "it can" }
	if code := e.main([]string{"--socket", e.opts.socket, "-b", "-"}); code != 0 || n != 1 {
		t.Errorf("exit code %d, the kernel was asked %d times: %s", code, n, errs.String())
	}
}

// Where the kernel does no ESP, that is the hint, not one cipher that is missing.
func TestHintWithoutESP(t *testing.T) {
	const add = "state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 replay-window 32 aead rfc4106(gcm(aes)) env:KEY 128"
	for _, tt := range []struct {
		name  string
		able  bool
		errno syscall.Errno
		want  bool
	}{
		{"no ESP, no cipher", false, syscall.ENOSYS, true},
		{"no ESP", false, syscall.EPROTONOSUPPORT, true},
		{"ESP without this cipher", true, syscall.ENOSYS, false},
		{"another refusal", false, syscall.EEXIST, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newFakeKernel()
			k.refuse = func(netlinkx.MsgType) (syscall.Errno, string) { return tt.errno, "" }
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var out, errs bytes.Buffer
			e := testEnv(ctx, k, strings.NewReader(""), &out, &errs)
			e.probeKernel = func(subject) (bool, string) { return tt.able, "" }
			if code := e.main(strings.Fields(add)); code != exitKernel {
				t.Errorf("exit code %d", code)
			}
			if got := strings.Contains(errs.String(), "run the userspace engine: xfrmctl esp"); got != tt.want {
				t.Errorf("stderr %q, names the engine: %v, want %v", errs.String(), got, tt.want)
			}
		})
	}
}
