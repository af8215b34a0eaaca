package differ

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// listener is a running `monitor`.
type listener struct {
	stop func()
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *listener) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *listener) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// listen starts a monitor and waits until its socket has joined groups.
func listen(t *testing.T, s *space, p program, c command, before int) *listener {
	t.Helper()
	l := &listener{}
	cmd := p.command(c.forTool(p))
	cmd.Stdout = l
	cmd.Stderr = l
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.start(cmd); err != nil {
		t.Fatal(err)
	}
	l.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(l.stop)
	until(t, fmt.Sprintf("%s joins groups", p.name), func() bool { return joined(t, s) > before })
	return l
}

// joined counts the NETLINK_XFRM sockets of the namespace that listen.
func joined(t *testing.T, s *space) int {
	t.Helper()
	var text []byte
	var err error
	s.do(func() { text, err = os.ReadFile("/proc/thread-self/net/netlink") })
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 3 && f[1] == "6" && strings.Trim(f[3], "0") != "" {
			n++
		}
	}
	return n
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	if !sandbox.Await(done) {
		t.Fatalf("timed out: %s", what)
	}
}

// TestMonitor lets both tools listen while ip makes, changes and deletes, and
// the kernel asks for SAs and lets some expire.
func TestMonitor(t *testing.T) {
	b := setUp(t, true)
	start := seed(t)
	variants := [][]string{{"monitor"}, {"-s", "monitor"}, {"-o", "monitor"}, {"monitor", "all"}, {"monitor", "all-nsid"},
		{"monitor", "nokeys", "policy"}, {"-s", "-o", "monitor", "SA", "expire"}, {"monitor", "acquire", "expire"}}
	if testing.Short() {
		i := start % uint64(len(variants)-1)
		variants = [][]string{variants[0], variants[1+i]}
	}
	for _, words := range variants {
		t.Run(strings.Join(words, " "), func(t *testing.T) {
			c := newCommand(words)
			p, err := newPair(b.ip, b.xfrmctl, b.ip)
			if err != nil {
				t.Fatal(err)
			}
			defer p.close()
			s := p.left
			theirs := listen(t, s, b.ip, c, 0)
			ours := listen(t, s, b.xfrmctl, c, 1)
			makeEvents(t, s, b, start)
			// A last event that every variant shows, in its own group.
			for _, last := range []string{"state flush", "policy flush", "policy setdefault in accept"} {
				if r, err := s.run(b.ip, newCommand(strings.Fields(last)).ip(), ""); err != nil || r.code != 0 {
					t.Fatalf("%s: %v %v", last, r, err)
				}
			}
			settle(theirs, ours)
			if left, right := theirs.String(), ours.String(); left != right {
				t.Errorf("ip and xfrmctl differ: %s", textDifference(left, right))
			}
			t.Logf("%d lines", strings.Count(theirs.String(), "\n"))
			if theirs.String() == "" {
				t.Errorf("no events")
			}
		})
	}
}

// settle waits until both have printed the same, and no more for a while. The
// caller looks at what they have printed.
func settle(theirs, ours *listener) {
	last, silent := "", 0
	sandbox.Await(func() bool {
		left, right := theirs.String(), ours.String()
		if silent++; left != right || left == "" || left != last {
			last, silent = left, 0
		}
		return silent == 15
	})
}

// makeEvents makes events of all kinds that a namespace without peers can
// have.
func makeEvents(t *testing.T, s *space, b bench, start uint64) {
	t.Helper()
	makeMarkers(t, s, b.ip)
	g := newGenerator(start)
	g.noESP = !b.esp
	n := 60
	if testing.Short() {
		n = 20
	}
	for range n {
		r, err := s.run(b.ip, g.next().ip(), "")
		if err != nil {
			t.Fatal(err)
		}
		g.learn(r.code == 0)
	}
	for _, line := range []string{
		"link set lo up", "link set d0 up", "link set d1 up", "address add 203.0.113.1/24 dev d0",
		"xfrm policy flush", // of what may catch the packet below first
		"xfrm policy add src 203.0.113.0/24 dst 203.0.113.0/24 dir out priority 1 mark 0 mask 0 tmpl src 203.0.113.1 dst 203.0.113.2 proto esp reqid 5 mode tunnel",
		"xfrm policy add src 203.0.113.64/26 dir in limit time-hard 1",
		"xfrm state allocspi src 203.0.113.1 dst 203.0.113.2 proto esp min 0x700 max 0x700",
		"xfrm state add src 203.0.113.1 dst 203.0.113.3 proto esp spi 0x701 aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128 limit time-soft 1 limit time-hard 2 if_id 5 mark 7",
	} {
		if r, err := s.run(b.ip, strings.Fields(line), ""); err != nil || r.code != 0 && (b.esp || !strings.Contains(line, "aead")) {
			t.Fatalf("%s: %v %v", line, r, err)
		}
	}
	// An acquire: a packet that needs an SA that nobody has.
	s.do(func() {
		if conn, err := net.Dial("udp4", "203.0.113.2:9"); err == nil {
			_, _ = conn.Write([]byte("x"))
			_ = conn.Close()
		}
	})
	time.Sleep(3 * time.Second) // for the limits above
}
