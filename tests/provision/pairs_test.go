package provision

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// count is a number from the environment.
func count(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// randomDocument is a document of up to most tunnels beside the one that all have,
// which protects what 10.1.0.1 and 10.2.0.1 send each other: 8 to 200 objects,
// few more often than many. Names and numbers come from small pools, so that two
// documents share tunnels, and have interfaces change hands. @EPOCH@ is for keys
// of counter-mode ciphers, which are new each time.
func randomDocument(r *rand.Rand, most int, userspace bool) string {
	head, _, _ := strings.Cut(site, "tunnels:")
	var b strings.Builder
	b.WriteString(head + "tunnels:\n")
	devices := make([]int, 24)
	if r.IntN(4) == 0 {
		devices = r.Perm(24) // interfaces change hands: all of them go and come, which takes long
	} else {
		for k := range devices {
			devices[k] = k
		}
	}
	extra := min(r.IntN(3)+r.IntN(1+r.IntN(20)), most)
	for _, name := range append([]int{-1}, r.Perm(20)[:extra]...) {
		b.WriteString(randomTunnel(r, name, devices[name+1], userspace))
	}
	return b.String()
}

// randomTunnel is one tunnel; number -1 is the one that all documents have.
func randomTunnel(r *rand.Rand, number, device int, userspace bool) string {
	some := func(one int, text string, args ...any) string {
		if r.IntN(one) > 0 {
			return ""
		}
		return "    " + fmt.Sprintf(text, args...) + "\n"
	}
	name, east, west := fmt.Sprintf("t%d", number), fmt.Sprintf("10.%d.0.0/16", 20+number), fmt.Sprintf("10.%d.0.0/16", 60+number)
	if number < 0 {
		name, east, west = "main", "10.1.0.0/16", "10.2.0.0/16"
	}
	cipher, epoch := "aes-gcm-128", "@EPOCH@"
	switch r.IntN(4) {
	case 0:
		cipher, epoch = "aes-cbc-128-sha256", "1"
	case 1:
		cipher = "aes-gcm-256"
	case 2:
		cipher, epoch = "aes-cbc-256-sha512", fmt.Sprint(1+r.IntN(2))
	}
	withInterface := userspace || r.IntN(8) > 0
	if !withInterface {
		epoch = "@EPOCH@" // an SA cannot lose its if_id, so it is another one
	}
	s := fmt.Sprintf("  - name: %s\n    between: [east, west]\n    cipher: %s\n    keys: {derive: \"file:@ROOT@\", epoch: %s}\n", name, cipher, epoch)
	s += some(3, "lifetime: {hard_seconds: %d}", 3600+r.IntN(2))
	s += some(3, "replay_window: %d", 64<<r.IntN(4))
	if withInterface {
		s += fmt.Sprintf("    interface: ipsec%d\n", device)
		s += some(3, "mtu: %d", 1300+r.IntN(3))
		s += some(4, "if_id: %d", 20000+max(number, 0)+100*r.IntN(2)+1000*min(number+1, 1))
		s += some(2, "addresses: {east: [172.16.%d.%d/32], west: [172.17.0.1/32]}", r.IntN(3), 1+device)
	}
	s += fmt.Sprintf("    traffic:\n      - {east: %s, west: %s}\n", east, west)
	if number >= 0 && r.IntN(3) == 0 {
		s += fmt.Sprintf("      - {east: 10.%d.0.0/16, west: 10.%d.0.0/16}\n", 20+number, 130+number)
	}
	return s
}

// trials is what TestPairs works with.
type trials struct {
	e       *end
	apply   *applier
	epoch   int
	most    int // tunnels of a document beside the one that all have
	long    bool
	took    time.Duration // by the last process that was not killed
	killed  int
	doubts  int    // took another epoch, because keys were in doubt
	foreign string // what others says at first
	// theirs tell which objects are another's; there are so many.
	theirs struct {
		sa     func(*netlinkx.SA) bool
		policy func(*netlinkx.Policy) bool
		count  int
	}
}

// ofTheTest are the objects that foreign makes.
func (x *trials) ofTheTest() {
	x.theirs.sa = func(sa *netlinkx.SA) bool { return sa.SPI >= 0x300 && sa.SPI < 0x30a }
	x.theirs.policy = func(p *netlinkx.Policy) bool { return p.Selector.Src.String() == "10.99.0.0/16" }
	x.theirs.count = 20
}

func newTrials(t *testing.T, e *end, most int) *trials {
	t.Helper()
	x := &trials{e: e, most: most, took: 100 * time.Millisecond, long: most == manyTunnels, apply: &applier{node: e.name, stateDir: filepath.Join(memory(t, e.dir), "pairs"), ns: netlinkx.NetNSFD(e.ns.FD())}}
	if e.engine != nil {
		x.apply.socket = e.engine.Socket()
	}
	return x
}

// manyTunnels are in the largest documents.
const manyTunnels = 20

// write writes a document with new keys and returns its path.
func (x *trials) write(t *testing.T, text string) string {
	t.Helper()
	x.epoch++
	return x.e.write(t, strings.ReplaceAll(text, "@EPOCH@", fmt.Sprint(x.epoch)))
}

// victim starts a process that applies the document, and kills itself behind so
// many messages.
func (x *trials) victim(path string, after int) *exec.Cmd {
	socket := "-"
	if x.apply.socket != "" {
		socket = x.apply.socket
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), fmt.Sprintf("XFRMCTL_TEST_VICTIM=%s %s %s %s %d", path, x.e.name, x.apply.stateDir, socket, after))
	return cmd
}

// step goes to a document by way of a process that is killed, and looks at what
// there is then. It reports whether the process was killed.
func (x *trials) step(t *testing.T, text string, after int, at time.Duration) bool {
	t.Helper()
	path := x.write(t, text)
	cmd := x.victim(path, after)
	var out strings.Builder
	cmd.Stderr = &out
	if err := x.e.ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if at > 0 {
		timer := time.AfterFunc(at, func() { cmd.Process.Kill() }) //nolint:errcheck // it may be gone
		defer timer.Stop()
	}
	err := cmd.Wait()
	dead := err != nil && strings.Contains(err.Error(), "killed")
	if err != nil && !dead {
		t.Fatalf("%v: %s\n%s", err, out.String(), text)
	}
	if dead {
		x.killed++
	} else {
		x.took = time.Since(begun)
	}
	for n, what := range []string{"one more apply", "a further one"} {
		steps, err := x.apply.apply(context.Background(), path)
		if err != nil && at > 0 && strings.Contains(err.Error(), "may have had this key") {
			x.doubts++ // it died between the note that keys are sent and their sending
			path = x.write(t, text)
			steps, err = x.apply.apply(context.Background(), path)
		}
		if err != nil || n == 1 && steps != 0 {
			t.Fatalf("killed behind %d messages or %v: %s: %d steps, %v\n%s", after, at, what, steps, err, text)
		}
	}
	return dead
}

// untouched compares the foreign objects.
func (x *trials) untouched(t *testing.T) {
	t.Helper()
	if now := x.others(t); now != x.foreign {
		t.Fatalf("foreign objects were\n%s\nare\n%s", x.foreign, now)
	}
}

// others is all that the engine says of the foreign objects, counters aside.
func (x *trials) others(t *testing.T) string {
	t.Helper()
	cfg := &netlinkx.Config{NetNS: x.apply.ns}
	if x.apply.socket != "" {
		cfg.Dial = x.apply.dialXFRM
	}
	c, err := netlinkx.Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sas, err := c.ListSAs(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	policies, err := c.ListPolicies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	add := func(v any, key string) {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b)+key)
	}
	for _, sa := range sas {
		if x.theirs.sa(sa) {
			sa.Usage, sa.Stats, sa.LastUsed, sa.Replay, sa.ReplayESN = netlinkx.Usage{}, netlinkx.SAStats{}, 0, nil, nil
			add(sa, secrets(sa))
		}
	}
	for _, p := range policies {
		if x.theirs.policy(p) {
			p.Usage = netlinkx.Usage{}
			add(p, "")
		}
	}
	if len(all) != x.theirs.count {
		t.Fatalf("%d foreign objects, not %d:\n%s", len(all), x.theirs.count, strings.Join(all, "\n"))
	}
	return strings.Join(all, "\n")
}

// secrets are the keys of an SA, which JSON hides.
func secrets(sa *netlinkx.SA) (all string) {
	if sa.AEAD != nil {
		all += fmt.Sprintf("%x", sa.AEAD.Key.Reveal())
	}
	if sa.Crypt != nil {
		all += fmt.Sprintf("%x", sa.Crypt.Key.Reveal())
	}
	if sa.AuthTrunc != nil {
		all += fmt.Sprintf("%x", sa.AuthTrunc.Key.Reveal())
	}
	return all
}

// TestPairs goes between random documents by way of processes that are killed:
// for some pairs behind each possible message in turn, there and back, for the
// rest at random times. One more apply reaches the new document, a further one
// writes nothing, nothing of others has changed, and none of the packets that
// every document protects arrives in clear.
//
// It ends early where the time of the test binary (-test.timeout) ends. XFRMCTL_PAIRS is how many pairs get a kill behind each message,
// XFRMCTL_PAIRS_RANDOM how many one at a random time, XFRMCTL_PAIRS_SEED where the
// random numbers begin.
func TestPairs(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		every, random, most := count("XFRMCTL_PAIRS", 0), count("XFRMCTL_PAIRS_RANDOM", 0), manyTunnels
		if every+random == 0 {
			every, random, most = 1, 5, 1 // a look
			if testing.Short() {
				every = 0
			}
		}
		e, peer := ends(t, userspace)
		x := newTrials(t, e, most)
		x.ofTheTest()
		foreign(t, e)
		r := rand.New(rand.NewPCG(5, uint64(count("XFRMCTL_PAIRS_SEED", 1))))
		old := randomDocument(r, x.most, userspace)
		if _, err := x.apply.apply(t.Context(), x.write(t, old)); err != nil {
			t.Fatal(err)
		}
		w := watch(t, peer.ns)
		send(t, e)
		x.foreign = x.others(t)
		begun := time.Now()
		pairs, rest := 0, 0
		for ; pairs < every && x.time(t); pairs++ {
			old = x.everyMessage(t, r, old, userspace)
			x.untouched(t)
		}
		messages := x.killed
		for ; rest < random && x.time(t); rest++ {
			old = randomDocument(r, x.most, userspace)
			x.step(t, old, 0, time.Duration(1+r.Int64N(1+int64(x.took)))+time.Millisecond)
			x.untouched(t)
		}
		if n := w.clear.Load(); n > 0 || w.esp.Load() == 0 {
			t.Errorf("%d packets arrived in clear, %d protected", n, w.esp.Load())
		}
		t.Logf("%d of %d pairs there and back with %d processes killed, behind each message; %d of %d pairs at random times, %d killed, of which %d needed new keys; %d packets protected; %v",
			pairs, every, messages, rest, random, x.killed-messages, x.doubts, w.esp.Load(), time.Since(begun).Round(time.Second))
		if messages < 20*min(every, pairs) || pairs == 0 && every > 0 {
			t.Errorf("only %d messages", messages)
		}
	})
}

// time reports whether there is time for one more pair.
func (x *trials) time(t *testing.T) bool {
	end, limited := t.Deadline()
	return !x.long || !limited || time.Until(end) > time.Minute
}

// everyMessage goes to another random document and back, one message further
// each time, until both ways are complete. It ends at the new one.
func (x *trials) everyMessage(t *testing.T, r *rand.Rand, old string, userspace bool) string {
	t.Helper()
	next := randomDocument(r, x.most, userspace)
	for n, there, back := 1, true, true; (there || back) && x.time(t); n++ {
		there = x.step(t, next, n, 0)
		back = x.step(t, old, n, 0)
	}
	x.step(t, next, 0, 0)
	return next
}

// memory returns a folder in memory: what is synced there costs nothing.
func memory(t *testing.T, otherwise string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "pairs")
	if err != nil {
		return otherwise
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
