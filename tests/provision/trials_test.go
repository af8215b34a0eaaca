package provision

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision/document"
)

// trials is what TestPairs and TestStrongswan work with: one node, in which
// documents are applied by processes that are killed.
type trials struct {
	e       *end
	apply   *applier
	epoch   int
	most    int // tunnels of a document beside the one that all have
	ahead   *victim
	took    time.Duration // what an apply takes, more or less
	killed  int
	foreign string // what others says at first
	wire    *wire  // what arrives at the other end; nil: nobody looks
	probes  []net.Conn
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
	x := &trials{e: e, most: most, took: 20 * time.Millisecond}
	x.apply = &applier{node: e.name, stateDir: filepath.Join(memory(t, e.dir), "pairs"), ns: netlinkx.NetNSFD(e.ns.FD()), mtus: map[string]int{}}
	if e.engine != nil {
		x.apply.socket = e.engine.Socket()
	}
	t.Cleanup(func() {
		x.apply.close() //nolint:errcheck // nothing is sent any more
		if x.ahead != nil {
			x.ahead.dismiss()
		}
		for _, c := range x.probes {
			c.Close()
		}
	})
	return x
}

// manyTunnels are in the largest documents.
const manyTunnels = 20

// write writes a document with new keys, and returns its path and what it wants.
func (x *trials) write(t *testing.T, text string) (path string, w *document.Wanted) {
	t.Helper()
	x.epoch++
	path = x.e.write(t, strings.ReplaceAll(text, "@EPOCH@", fmt.Sprint(x.epoch)))
	w, err := x.apply.resolve(t.Context(), path)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return path, w
}

// watch begins to send what all documents protect, and to look for it in clear.
// One more packet of both families goes out whenever a process was killed, before
// anything else is done.
func (x *trials) watch(t *testing.T, peer *end) {
	t.Helper()
	x.wire = watch(t, peer.ns)
	sendAll(t, x.e, "0.1")
	for _, s := range streams {
		if s.behind {
			continue
		}
		err := x.e.ns.Do(func() error {
			c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(s.from)}, &net.UDPAddr{IP: net.ParseIP(s.to), Port: 9})
			x.probes = append(x.probes, c)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// kill goes to a document by way of a process that is killed, and looks at what
// there is then. It reports whether the process was killed.
func (x *trials) kill(t *testing.T, text string, after int, at time.Duration) bool {
	t.Helper()
	path, w := x.write(t, text)
	v := x.ahead
	if v == nil {
		v = x.start(t)
	}
	x.ahead = nil
	dead, err := v.run(path, after, at)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, c := range x.probes {
		c.Write([]byte("probe")) //nolint:errcheck // it may be refused
	}
	if dead {
		x.killed++
	}
	x.ahead = x.start(t)
	x.reach(t, text, w, fmt.Sprintf("killed behind %d messages or %v", after, at))
	return dead
}

func (x *trials) start(t *testing.T) *victim {
	t.Helper()
	v, err := x.victim()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// reach applies a document, looks whether that was enough, and at the objects of
// others.
func (x *trials) reach(t *testing.T, text string, w *document.Wanted, when string) {
	t.Helper()
	begun := time.Now()
	if _, err := x.apply.apply(t.Context(), w); err != nil {
		t.Fatalf("%s: one more apply: %v\n%s", when, err, text)
	}
	x.took = (3*x.took + time.Since(begun)) / 4
	if steps, err := x.apply.apply(t.Context(), w); err != nil || steps != 0 {
		t.Fatalf("%s: a further apply: %d steps, %v\n%s", when, steps, err, text)
	}
	if now := x.others(t); x.foreign != "" && now != x.foreign {
		t.Fatalf("%s: foreign objects were\n%s\nare\n%s\n%s", when, x.foreign, now, text)
	}
	if x.wire != nil && x.wire.clear.Load() > 0 {
		t.Fatalf("%s: %d packets arrived in clear\n%s", when, x.wire.clear.Load(), text)
	}
}

// others is all that the engine says of the foreign objects, counters aside.
func (x *trials) others(t *testing.T) string {
	t.Helper()
	if err := x.apply.connect(); err != nil {
		t.Fatal(err)
	}
	sas, err := x.apply.xfrm.ListSAs(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	policies, err := x.apply.xfrm.ListPolicies(t.Context())
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

// allCame holds that each stream goes through the tunnel, and that it arrives in
// clear, and is seen, when nothing is wanted any more.
func (x *trials) allCame(t *testing.T) {
	t.Helper()
	w := x.wire
	each := func(counts *[len(streams)]atomic.Int64, what string) {
		t.Helper()
		for k, s := range streams {
			for deadline := time.Now().Add(time.Minute); counts[k].Load() == 0; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%s: %s", s.name, what)
				}
			}
		}
	}
	each(&w.espBySize, "no protected packet arrives")
	x.wire = nil
	x.reachNothing(t)
	each(&w.clearBySize, "it is not seen in clear without a tunnel, so it would not have been seen before")
}

// reachNothing applies a document without tunnels.
func (x *trials) reachNothing(t *testing.T) {
	t.Helper()
	head, _, _ := strings.Cut(site, "tunnels:")
	nothing := head + "tunnels: []\n"
	_, w := x.write(t, nothing)
	x.reach(t, nothing, w, "nothing is wanted")
}
