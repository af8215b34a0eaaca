package differ

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if broken := os.Getenv("XFRMCTL_DIFFER_BROKEN"); broken != "" {
		os.Exit(runBroken(broken, os.Args[1:]))
	}
	if dir := os.Getenv("XFRMCTL_DIFF_CODES"); dir != "" {
		if err := writeCodes(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// bench is what every test here starts from.
type bench struct {
	ip, xfrmctl program
	version     string // of ip
	esp         bool   // this kernel can make ESP SAs
}

// setUp finds the tools and sees what the kernel can do.
func setUp(t *testing.T, needXfrmctl bool) bench {
	t.Helper()
	var b bench
	var err error
	if b.ip, err = findIP(); err != nil {
		t.Fatalf("no reference: %v", err)
	}
	var ok bool
	if b.xfrmctl, ok = findXfrmctl(); !ok && needXfrmctl {
		t.Skip("needs XFRMCTL_BIN, the xfrmctl to test (make test sets it); nothing of this test ran")
	}
	s, err := newSpace()
	if errors.Is(err, unix.EPERM) {
		t.Skip("needs root to make a network namespace; nothing was compared")
	}
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Skip("needs NETLINK_XFRM (CONFIG_XFRM_USER, module xfrm_user); nothing was compared")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	version, err := s.run(b.ip, []string{"-V"}, "")
	if err != nil {
		t.Fatal(err)
	}
	sa := strings.Fields("xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 enc cbc(aes) 0x00112233445566778899aabbccddeeff")
	probe, err := s.run(b.ip, sa, "")
	if err != nil {
		t.Fatal(err)
	}
	b.esp, b.version = probe.code == 0, strings.TrimSpace(version.out)
	t.Logf("reference: %s; ESP: %v", b.version, b.esp)
	return b
}

// setting reads a number from the environment.
func setting(t *testing.T, name string, other uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return other
	}
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// seed is where the generator starts: printed, and settable. `make differential`
// starts anew each time; a sample is always the same, so that a red run is of
// the change that it stands for.
func seed(t *testing.T) uint64 {
	t.Helper()
	start := uint64(1)
	if atLength() {
		start = uint64(time.Now().UnixNano())
	}
	n := setting(t, "XFRMCTL_DIFF_SEED", start)
	t.Logf("XFRMCTL_DIFF_SEED=%d", n)
	return n
}

// atLength reports whether everything is to be run, which `make differential`
// asks for with XFRMCTL_DIFF_N. Otherwise a sample is.
func atLength() bool { return os.Getenv("XFRMCTL_DIFF_N") != "" }

// count is how many commands the generator makes.
func count(t *testing.T) int {
	t.Helper()
	n := uint64(600)
	if testing.Short() {
		n = 120
	}
	return int(setting(t, "XFRMCTL_DIFF_N", n))
}

// broken tools, to see whether the harness notices: what each does to the
// words, and to the exit code, of `ip`.
var brokenTools = map[string]func(words []string) (changed []string, code func(int) int){
	"drops mark": func(words []string) ([]string, func(int) int) {
		for i := 0; i+1 < len(words); i++ {
			if words[i] == "mark" {
				words = append(words[:i:i], words[i+2:]...)
			}
		}
		return words, nil
	},
	"changes mode": func(words []string) ([]string, func(int) int) {
		for i, w := range words {
			if w == "tunnel" {
				words[i] = "transport"
			}
		}
		return words, nil
	},
	"kernel errors exit 1": func(words []string) ([]string, func(int) int) {
		return words, func(code int) int {
			if code == 2 {
				return 1
			}
			return code
		}
	},
	"ignores numbers after reqid": func(words []string) ([]string, func(int) int) {
		for i := 1; i < len(words); i++ {
			if words[i-1] == "reqid" {
				words[i] = "1"
			}
		}
		return words, nil
	},
	"lists everything": func(words []string) ([]string, func(int) int) {
		for i := 1; i < len(words); i++ {
			if words[i] == "list" {
				return words[:i+1], nil
			}
		}
		return words, nil
	},
}

// runBroken is the test binary as such a tool. The real one comes in the
// environment, a word a line.
func runBroken(how string, words []string) int {
	real := strings.Split(os.Getenv("XFRMCTL_DIFFER_REAL"), "\n")
	words, code := brokenTools[how](words)
	p := program{path: real[0], args: real[1:], env: environment()}
	cmd := p.command(words)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return 125
	}
	if code == nil {
		return cmd.ProcessState.ExitCode()
	}
	return code(cmd.ProcessState.ExitCode())
}

// brokenTool returns a broken `ip`.
func brokenTool(t *testing.T, how string, ip program) program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	env := append(environment(), "XFRMCTL_DIFFER_BROKEN="+how,
		"XFRMCTL_DIFFER_REAL="+strings.Join(append([]string{ip.path}, ip.args...), "\n"))
	return program{name: "broken", path: self, args: []string{"broken"}, env: env}
}
