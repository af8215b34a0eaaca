package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain is also the program that confines itself.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CONFINE_DIR"); dir != "" {
		_ = json.NewEncoder(os.Stdout).Encode(confined(dir))
		return
	}
	os.Exit(m.Run())
}

// outcome is what a confined process could do: "" or the error, by name.
type outcome struct {
	Result *Result
	Status []string // of each thread: Seccomp, NoNewPrivs, CapEff, CapPrm
	Worker string   // the same of a packet thread
	Did    map[string]string
}

func confined(dir string) *outcome {
	stop := make(chan struct{})
	for range 3 { // threads that are there already
		go func() { runtime.LockOSThread(); <-stop }()
	}
	o := &outcome{Result: Process(), Did: map[string]string{}}
	try := func(name string, fn func() error) {
		if err := fn(); err != nil {
			o.Did[name] = err.Error()
			return
		}
		o.Did[name] = ""
	}
	try("file", func() error {
		p := filepath.Join(dir, "x")
		return errors.Join(os.MkdirAll(dir+"/sub", 0o700), os.WriteFile(p, []byte("x"), 0o600), os.Rename(p, p+"y"), os.Remove(p+"y"))
	})
	try("unix socket", func() error {
		l, err := net.Listen("unixpacket", filepath.Join(dir, "sock"))
		if err != nil {
			return err
		}
		defer l.Close()
		go func() { _, _ = l.Accept() }()
		c, err := net.Dial("unixpacket", filepath.Join(dir, "sock"))
		if err != nil {
			return err
		}
		return c.Close()
	})
	try("udp socket", func() error {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		return c.Close()
	})
	try("netlink socket", func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	})
	try("memory and threads", func() error {
		done := make(chan int)
		for range 50 {
			go func() { runtime.LockOSThread(); b := make([]byte, 1<<20); done <- len(b) }()
		}
		for range 50 {
			<-done
		}
		runtime.GC()
		return nil
	})
	try("exec", func() error { return exec.Command("/bin/true").Run() })
	try("packet socket", func() error {
		_, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
		return err
	})
	try("ptrace", func() error { return unix.PtraceAttach(os.Getppid()) })
	try("mount", func() error { return unix.Mount("none", dir, "tmpfs", 0, "") })
	try("unshare", func() error { return unix.Unshare(unix.CLONE_NEWUSER) })
	try("ioctl", func() error { _, err := unix.IoctlGetInt(0, unix.TIOCSTI); return err })
	try("keys", func() error { _, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false); return err })
	tasks, _ := filepath.Glob("/proc/self/task/*/status")
	for _, f := range tasks {
		o.Status = append(o.Status, threadStatus(f))
	}
	worker := make(chan string)
	go func() {
		runtime.LockOSThread()
		if err := Thread(); err != nil {
			worker <- err.Error()
			return
		}
		worker <- threadStatus(fmt.Sprintf("/proc/self/task/%d/status", unix.Gettid()))
	}()
	o.Worker = <-worker
	close(stop)
	return o
}

func threadStatus(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "gone"
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		for _, want := range []string{"CapEff:", "CapPrm:", "NoNewPrivs:", "Seccomp:"} {
			if strings.HasPrefix(line, want) {
				out = append(out, strings.Join(strings.Fields(line), ""))
			}
		}
	}
	return strings.Join(out, " ")
}

func TestProcess(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CONFINE_DIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o := &outcome{}
	if err := json.Unmarshal(out, o); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	t.Logf("%+v", o.Result)
	if !o.Result.Seccomp {
		t.Skipf("needs seccomp: %v; nothing of the filter was tried", o.Result.Missing)
	}
	checkDid(t, o)
	checkThreads(t, o)
}

func checkDid(t *testing.T, o *outcome) {
	t.Helper()
	for name, msg := range o.Did {
		switch name {
		case "file", "unix socket", "udp socket", "netlink socket", "memory and threads":
			if msg != "" {
				t.Errorf("%s: %s", name, msg)
			}
		default:
			if !strings.Contains(msg, "operation not permitted") {
				t.Errorf("%s: %q, want it refused", name, msg)
			}
		}
	}
	if len(o.Did) != 12 {
		t.Errorf("%d things were tried", len(o.Did))
	}
}

// checkThreads looks at every thread, those from before as well.
func checkThreads(t *testing.T, o *outcome) {
	t.Helper()
	const bits = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW
	dropped := !strings.Contains(strings.Join(o.Result.Missing, " "), "capabilities")
	if len(o.Status) < 4 {
		t.Errorf("%d threads", len(o.Status))
	}
	for _, s := range o.Status {
		if s == "gone" {
			continue
		}
		if !strings.Contains(s, "NoNewPrivs:1") || !strings.Contains(s, "Seccomp:2") {
			t.Errorf("thread: %s", s)
		}
		var prm, eff uint64
		for _, f := range strings.Fields(s) {
			_, _ = fmt.Sscanf(f, "CapPrm:%x", &prm)
			_, _ = fmt.Sscanf(f, "CapEff:%x", &eff)
		}
		if dropped && (prm|eff)&^bits != 0 {
			t.Errorf("thread: %s", s)
		}
	}
	if !strings.Contains(o.Worker, "CapEff:0000000000000000") || !strings.Contains(o.Worker, "CapPrm:0000000000000000") {
		t.Errorf("packet thread: %s", o.Worker)
	}
	if os.Geteuid() == 0 && dropped && len(o.Result.Capabilities) != 2 {
		t.Errorf("root keeps %v", o.Result.Capabilities)
	}
}

// A filter is right for every argument only if it is looked at instruction by
// instruction: each call of the list is allowed, everything else is not.
func TestProgram(t *testing.T) {
	p := program(7, []uint32{1, 3}, []rule{{call: 5, arg: 1, only: []uint32{10, 11}}, {call: 6, arg: 0, only: []uint32{2}}})
	allow, deny, kill := uint32(unix.SECCOMP_RET_ALLOW), uint32(unix.SECCOMP_RET_ERRNO|1), uint32(unix.SECCOMP_RET_KILL_PROCESS)
	for _, tt := range []struct {
		arch, nr, arg0, arg1, want uint32
	}{
		{7, 1, 0, 0, allow}, {7, 3, 9, 9, allow}, {7, 2, 0, 0, deny}, {8, 1, 0, 0, kill}, {7, 0x40000001, 0, 0, deny},
		{7, 5, 0, 10, allow}, {7, 5, 0, 11, allow}, {7, 5, 10, 0, deny}, {7, 6, 2, 0, allow}, {7, 6, 0, 2, deny},
	} {
		if got := interpret(p, map[uint32]uint32{offArch: tt.arch, offNumber: tt.nr, offArg0: tt.arg0, offArg1: tt.arg1}); got != tt.want {
			t.Errorf("%+v: %#x", tt, got)
		}
	}
}

// interpret runs the few instructions that program uses.
func interpret(p []unix.SockFilter, data map[uint32]uint32) uint32 {
	var a uint32
	for pc := 0; ; pc++ {
		switch f := p[pc]; f.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = data[f.K]
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if a == f.K {
				pc += int(f.Jt)
			} else {
				pc += int(f.Jf)
			}
		default:
			return f.K
		}
	}
}
