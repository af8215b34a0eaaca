package provision

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// staying is an apply that stays.
type staying struct {
	cmd *exec.Cmd
	out *output
}

func stay(t *testing.T, e *end, words ...string) *staying {
	t.Helper()
	words = append([]string{"apply", filepath.Join(e.dir, "office.yaml"), "--as", e.name, "--state-dir", filepath.Join(e.dir, e.name)}, words...)
	s := &staying{e.command(words...), &output{}}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := e.ns.Do(s.cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() }) //nolint:errcheck // it may have ended
	return s
}

// until waits until it has said something since the mark, and returns a new mark.
func (s *staying) until(t *testing.T, mark int, want string) int {
	t.Helper()
	text := ""
	if !sandbox.Await(func() bool {
		text = s.out.String()
		return strings.Contains(text[mark:], want)
	}) {
		t.Fatalf("it never said %q, but\n%s", want, text)
	}
	return len(text)
}

// right waits until it has said something since the mark, and all is right again;
// then it has written so often, in one round or in two: what it looked at may have
// been changed while it looked. It returns a new mark.
func (s *staying) right(t *testing.T, e *end, mark int, want string, writes int) int {
	t.Helper()
	s.until(t, mark, want)
	if !sandbox.Await(func() bool { _, err := e.try("verify"); return err == nil }) {
		t.Fatalf("it does not put all right:\n%s", s.out)
	}
	text := s.out.String()
	if n := written(text[mark:]); writes > 0 && n != writes {
		t.Errorf("%d writes, not %d:\n%s", n, writes, text[mark:])
	}
	return len(text)
}

var someWrites = regexp.MustCompile(`(\d+) writes`)

// written sums the writes that a text tells of.
func written(text string) (sum int) {
	for _, m := range someWrites.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[1]) // digits
		sum += n
	}
	return sum
}

// end tells it to end.
func (s *staying) end(t *testing.T) {
	t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // Wait tells
	if err := s.cmd.Wait(); err != nil {
		t.Error(fmt.Errorf("%w\n%s", err, s.out))
	}
}

// TestWatch: every kind of object that another takes away comes back without
// waiting for the time, and so does the document's next state, however it is
// replaced.
func TestWatch(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		e, _ := ends(t, userspace)
		path := e.write(t, site)
		s := stay(t, e, "--watch", "--every", "3600", "--prune")
		at := s.until(t, 0, firstApply(userspace))
		for _, c := range []struct {
			what, words, want string
			writes            int // 0: many
		}{
			{"route", "route del 10.2.0.0/16 dev ipsec0", "writes: create 1", 1},
			{"guard", "route del unreachable 10.2.0.0/16 metric 4294967040", "writes: create 1", 1},
			{"address", "addr del 10.1.0.1/32 dev ipsec0", "writes: create", 2},
			{"state", "link set ipsec0 down", "change 1", 0},
			{"mtu", "link set ipsec0 mtu 1300", "writes: change 1", 1},
		} {
			e.ns.MustRun(t, sandbox.IP(), strings.Fields(c.words)...)
			at = s.right(t, e, at, c.want, c.writes)
		}
		for _, words := range []string{"policy flush", "iface delete ipsec0"} {
			if out, err := runIn(e, e.command(strings.Fields(words)...).Args[1:]); err != nil {
				t.Fatal(words, err, out)
			}
			at = s.right(t, e, at, "writes: create", 0)
		}
		e.write(t, strings.Replace(site, "cipher", "cypher", 1)+"nonsense: 1\n")
		at = s.until(t, at, "nonsense")
		next := strings.Replace(site, "    traffic", "    mtu: 1300\n    traffic", 1)
		e.write(t, next)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at = s.until(t, at, "1 writes: change 1")
		if err := os.WriteFile(path+".new", []byte(strings.Replace(string(text), "mtu: 1300", "mtu: 1280", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		at = s.until(t, at, "1 writes: change 1")
		if err := os.WriteFile(filepath.Join(e.dir, "root"), bytes.Repeat([]byte("secret? "), 5), 0o600); err != nil { // new keys, new SPIs
			t.Fatal(err)
		}
		s.until(t, at, "new spi 2")
		s.end(t)
		e.do(t, "verify")
	})
}

// TestQuarrel: when another process takes the same object away again and again,
// that is said once, and the object is left alone for a while.
func TestQuarrel(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		e, _ := ends(t, userspace)
		e.write(t, site)
		s := stay(t, e, "--watch")
		s.until(t, 0, firstApply(userspace))
		if !sandbox.Await(func() bool {
			e.ns.Run(sandbox.IP(), "route", "del", "10.2.0.0/16", "dev", "ipsec0") //nolint:errcheck // it may not be back yet
			return strings.Contains(s.out.String(), "again and again")
		}) {
			t.Fatalf("it quarrels:\n%s", s.out)
		}
		if !strings.Contains(s.out.String(), "route 10.2.0.0/16 metric 1024 is changed again and again by another process") {
			t.Error(s.out)
		}
		at := len(s.out.String())
		e.ns.Run(sandbox.IP(), "route", "del", "10.2.0.0/16", "dev", "ipsec0") //nolint:errcheck // as above
		s.until(t, at, "create 1")
		if n := strings.Count(s.out.String(), "again and again"); n != 1 {
			t.Errorf("it was said %d times:\n%s", n, s.out)
		}
		s.end(t)
	})
}

// TestTwoAtOnce: the second waits and says for whom, or fails and says so.
func TestTwoAtOnce(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		e, _ := ends(t, userspace)
		e.write(t, site)
		e.do(t, "apply")
		lock, err := os.OpenFile(filepath.Join(e.dir, e.name, "lock"), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		holder := fmt.Sprintf("process %d", os.Getpid())
		if err := os.WriteFile(lock.Name(), []byte(holder), 0); err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"apply", "delete"} {
			out, err := e.try(verb, "--no-wait")
			if err == nil || !strings.Contains(out, "is locked by "+holder) {
				t.Errorf("%s --no-wait: %v: %s", verb, err, out)
			}
		}
		e.do(t, "verify") // reading needs no lock
		s := stay(t, e)
		at := s.until(t, 0, "waiting for "+holder)
		lock.Close()
		s.until(t, at, "0 writes")
		if err := s.cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
}
