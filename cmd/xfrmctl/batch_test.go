package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/netlinkx/netlinkxtest"
)

func lineSA(spi int) string {
	return fmt.Sprintf("xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi %#x mode tunnel reqid 7 replay-window 32 aead 'rfc4106(gcm(aes))' env:KEY 128\n", 0x1000+spi)
}

func TestBatch(t *testing.T) {
	var b strings.Builder
	for i := range 2000 {
		b.WriteString(lineSA(i))
	}
	k := newFakeKernel()
	if got := runWith(t, k, b.String(), "-b", "-"); got != (result{}) || len(k.sas) != 2000 {
		t.Fatalf("%+v, %d sas", got, len(k.sas))
	}
	acks := 0
	for _, m := range k.Requests() {
		if m.Flags&netlinkxtest.FlagAck != 0 {
			acks++
		}
	}
	if acks > 2000/50 {
		t.Errorf("%d acknowledgements for 2000 commands", acks)
	}
}

func TestBatchFailures(t *testing.T) {
	var chunk strings.Builder
	for i := range batchChunk - 1 {
		chunk.WriteString(lineSA(i + 2))
	}
	bad := "state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x2000 mode tunel\n"
	exists := "add esp sa 0x00001001 to 192.0.2.2: file exists"
	tests := []struct {
		name, in string
		force    bool
		code     int
		sas      int
		stderr   []string // beginnings of the lines
	}{
		{"argument stops", lineSA(1) + bad + lineSA(2), false, 255, 1,
			[]string{"-:2: Error: argument \"tunel\" is wrong: MODE value is invalid", "hint: did you mean",
				"xfrmctl: -: 1 command done, 1 failed; stopped: the lines after 2 were not tried (--force goes on)"}},
		{"argument with force", lineSA(1) + bad + lineSA(2), true, 255, 2,
			[]string{"-:2: Error:", "hint:", "xfrmctl: -: 2 commands done, 1 failed"}},
		{"kernel: all of a chunk are named", lineSA(1) + lineSA(1) + lineSA(2) + "\n" + lineSA(1), false, 2, 2,
			[]string{"-:2: " + exists, "hint:", "-:5: " + exists, "hint:",
				"xfrmctl: -: 2 commands done, 2 failed"}},
		{"kernel: stops behind the chunk", lineSA(1) + lineSA(1) + chunk.String(), false, 2, batchChunk - 1,
			[]string{"-:2: " + exists, "hint:",
				"xfrmctl: -: 127 commands done, 1 failed; stopped: the lines after 128 were not tried (--force goes on)"}},
		{"kernel, then argument", lineSA(1) + lineSA(1) + bad + lineSA(2), true, 2, 2,
			[]string{"-:2: " + exists, "hint:", "-:3: Error:", "hint:", "xfrmctl: -: 2 commands done, 2 failed"}},
		{"quote", lineSA(1) + "state 'add\n" + lineSA(2), false, 1, 1,
			[]string{"-:2: quote is not closed", "xfrmctl: -: 1 command done, 1 failed; stopped"}},
		{"unknown object", "lnk add\n", false, 255, 0,
			[]string{"-:1: object \"lnk\" is unknown", "xfrmctl: -: 0 commands done, 1 failed; stopped"}},
		{"option", "-n b state list\n", false, 255, 0,
			[]string{"-:1: object \"-n\" is unknown", "xfrmctl: -: 0 commands done, 1 failed; stopped"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newFakeKernel()
			args := []string{"-b", "-"}
			if tt.force {
				args = append(args, "--force")
			}
			got := runWith(t, k, tt.in, args...)
			if got.Code != tt.code || len(k.sas) != tt.sas {
				t.Errorf("code %d, %d sas", got.Code, len(k.sas))
			}
			lines := strings.Split(strings.TrimSuffix(got.Stderr, "\n"), "\n")
			if len(lines) != len(tt.stderr) {
				t.Fatalf("stderr:\n%s", got.Stderr)
			}
			for i, want := range tt.stderr {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("line %d: %s, want %s", i, lines[i], want)
				}
			}
		})
	}
}

// A list in a batch shows what the lines before it did, and the lines after it
// are run.
func TestBatchList(t *testing.T) {
	k := newFakeKernel()
	in := lineSA(1) + "state list\n" + lineSA(2) + "state\ns flush\nstate list\n" + lineSA(3)
	got := runWith(t, k, in, "-b", "-", "-o")
	if got.Code != 0 || len(k.sas) != 1 || strings.Count(got.Stdout, "src 192.0.2.1 dst 192.0.2.2") != 3 {
		t.Errorf("%+v, %d sas", got, len(k.sas))
	}
}

func TestBatchDryRun(t *testing.T) {
	k := newFakeKernel()
	got := runWith(t, k, lineSA(1)+"\n"+lineSA(2)+"state flush\n", "-b", "-", "--dry-run")
	want := "-:1: would add esp sa 0x00001001 to 192.0.2.2\n-:3: would add esp sa 0x00001002 to 192.0.2.2\nwould flush sas of every protocol\n"
	if got != (result{0, want, ""}) || len(k.Requests()) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestBatchWarningsOnce(t *testing.T) {
	line := strings.Replace(lineSA(1), "replay-window 32 ", "", 1)
	var b strings.Builder
	for i := range 5 {
		b.WriteString(strings.Replace(line, "spi 0x1001", fmt.Sprintf("spi %d", i+0x1000), 1))
	}
	got := runWith(t, newFakeKernel(), b.String(), "-b", "-")
	lines := strings.Split(strings.TrimSuffix(got.Stderr, "\n"), "\n")
	if got.Code != 0 || len(lines) != 2 || !strings.HasPrefix(lines[0], "xfrmctl: warning: -:1: ") ||
		!strings.HasPrefix(lines[1], "xfrmctl: warning: 5 lines in all: ") {
		t.Errorf("%+v", got)
	}
}

func TestBatchKernelWarning(t *testing.T) {
	k := newFakeKernel()
	k.refuse = func(netlinkx.MsgType) (syscall.Errno, string) { return 0, "Not all of it." }
	got := runWith(t, k, "\n"+lineSA(1), "-b", "-")
	if diff := cmp.Diff(result{0, "", "-:2: Warning: Not all of it.\n"}, got); diff != "" {
		t.Error(diff)
	}
}

// A writer that waits for its commands to be done before it sends more, as an
// interactive one does, is not kept waiting for a full chunk.
func TestBatchSlowWriter(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	k := newFakeKernel()
	done := make(chan result, 1)
	go func() { done <- runReading(t, k, r, "-b", "-") }()
	for i := range 3 {
		if _, err := io.WriteString(w, lineSA(i+1)); err != nil {
			t.Fatal(err)
		}
		for {
			k.mu.Lock()
			n := len(k.sas)
			k.mu.Unlock()
			if n == i+1 {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	_ = w.Close()
	if got := <-done; got != (result{}) {
		t.Errorf("%+v", got)
	}
}

// A writer that waits for an answer before it sends more gets it.
func TestBatchAnswersSlowWriter(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	answers, out := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	code := make(chan int, 1)
	go func() {
		code <- testEnv(ctx, newFakeKernel(), r, out, io.Discard).main([]string{"-b", "-"})
		out.Close()
	}()
	lines := bufio.NewReader(answers)
	for i := range 2 {
		if _, err := io.WriteString(w, lineSA(i+1)+"state count\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := lines.ReadString('\n'); !strings.Contains(line, "SAD count") {
			t.Fatalf("%q, %v", line, err)
		}
	}
	_ = w.Close()
	if c := <-code; c != 0 {
		t.Errorf("exit code %d", c)
	}
}
