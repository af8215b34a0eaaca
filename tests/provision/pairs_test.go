package provision

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// count is a number from the environment.
func count(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// TestPairs goes between random documents by way of processes that are killed:
// for some pairs behind each possible message in turn, for the rest at random
// times. The former go by twos, (old, new) and (new, old). One more apply reaches
// the new document, a further one writes nothing, nothing of others has changed,
// and none of the packets that every document protects arrives in clear.
//
// XFRMCTL_PAIRS is how many pairs get a kill behind each message,
// XFRMCTL_PAIRS_RANDOM how many one at a random time, XFRMCTL_PAIRS_SEED the
// number of the first round; with XFRMCTL_PAIRS_LARGE=1 all documents are among
// the largest. It ends early where the time of the test binary
// (-test.timeout) ends, and says with which round it goes on.
func TestPairs(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		c := &campaign{t: t, userspace: userspace, every: count("XFRMCTL_PAIRS", 0), random: count("XFRMCTL_PAIRS_RANDOM", 0), most: manyTunnels, begun: time.Now()}
		c.first, c.large = count("XFRMCTL_PAIRS_SEED", 1), count("XFRMCTL_PAIRS_LARGE", 0) != 0
		c.next = c.first
		worlds := abreast
		if c.every+c.random == 0 {
			c.every, c.random, c.most, worlds = 2, 5, 1, 1 // a look
			if testing.Short() {
				c.every = 0
			}
		} else if k := os.Getenv("XFRMCTL_KERNEL"); userspace && k != "native" && k != "" {
			t.Skip("needs this machine's kernel for the long run of the userspace engine, which did not run here")
		}
		var all sync.WaitGroup
		for range worlds {
			all.Go(func() {
				for c.round() {
				}
			})
		}
		all.Wait()
		c.report()
	})
}

// abreast is how many rounds there are at a time: most of what a trial takes is
// waiting for the kernel to let go of devices.
const abreast = 12

// everyPerRound and randomPerRound bound the pairs of a round. Each round has
// namespaces, engines and a state directory of its own.
const everyPerRound, randomPerRound = 4, 36

// campaign is a run of TestPairs on one engine.
type campaign struct {
	t                   *testing.T
	userspace           bool
	every, random, most int
	large               bool // documents
	begun               time.Time

	mu          sync.Mutex
	first, next int // rounds
	done        tally
}

// tally is what has been done.
type tally struct {
	every, messages, random, killed int
	protected, clear                int64
}

// round does the next round, and reports whether it may go on.
func (c *campaign) round() bool {
	c.mu.Lock()
	n, rounds := c.next-c.first, max((c.every+everyPerRound-1)/everyPerRound, (c.random+randomPerRound-1)/randomPerRound)
	if n >= rounds || c.t.Failed() || !c.time() {
		c.mu.Unlock()
		return false
	}
	c.next++
	c.mu.Unlock()
	can := false // else it was skipped
	ok := c.t.Run(fmt.Sprintf("round %d", c.first+n), func(t *testing.T) {
		share := func(all int) int { return all*(n+1)/rounds - all*n/rounds }
		e, peer := ends(t, c.userspace)
		can = true
		c.pairs(t, e, peer, rand.New(rand.NewPCG(5, uint64(c.first+n))), 2*share(c.every/2), share(c.random))
	})
	return ok && can
}

// time reports whether there is time for one more pair.
func (c *campaign) time() bool {
	end, limited := c.t.Deadline()
	return c.most < manyTunnels || !limited || time.Until(end) > 20*time.Second
}

// pairs does so many pairs of each kind, in a world of its own.
func (c *campaign) pairs(t *testing.T, e, peer *end, r *rand.Rand, every, random int) {
	x := newTrials(t, e, c.most)
	x.ofTheTest()
	foreign(t, e)
	old := randomDocument(r, c.size(r, small(r)), x.most, c.userspace)
	_, w := x.write(t, old)
	x.reach(t, old, w, "at first")
	x.watch(t, peer)
	x.foreign = x.others(t)
	var done tally
	defer func() {
		done.packets(x.wire)
		c.add(done)
	}()
	for done.every < every && c.time() {
		next := randomDocument(r, c.size(r, small(r)), x.most, c.userspace)
		if c.everyMessage(t, x, old, next) {
			done.every += 2
		}
		old, done.messages = next, x.killed
	}
	// a process that was killed too late, by chance, is no reason to give up
	for ; (done.random < random || 5*done.killed < random && done.random < 10*random) && c.time(); done.random++ {
		old = randomDocument(r, c.size(r, r.Float64()), x.most, c.userspace)
		x.kill(t, old, 0, time.Duration(1+r.Int64N(1+int64(x.took))))
		done.killed = x.killed - done.messages
	}
	done.packets(x.wire)
	x.allCame(t)
}

// packets takes over what was seen on a wire, unless nobody looks at it any more.
func (d *tally) packets(w *wire) {
	if w != nil {
		d.protected, d.clear = w.esp.Load(), w.clear.Load()
	}
}

func (c *campaign) add(d tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done.every += d.every
	c.done.messages += d.messages
	c.done.random += d.random
	c.done.killed += d.killed
	c.done.protected += d.protected
	c.done.clear += d.clear
}

// report says what was done, and is not content with too little.
func (c *campaign) report() {
	d := c.done
	if d == (tally{}) {
		return // the rounds say why
	}
	c.t.Logf("tally: %d pairs with a kill behind each message, %d kills behind messages, %d pairs with a kill at a random time, %d kills on the way, %d packets protected, %d packets in clear",
		d.every, d.messages, d.random, d.killed, d.protected, d.clear)
	c.t.Logf("in %v", time.Since(c.begun).Round(time.Second))
	if d.every < c.every || d.random < c.random {
		c.t.Logf("go on with XFRMCTL_PAIRS=%d XFRMCTL_PAIRS_RANDOM=%d XFRMCTL_PAIRS_SEED=%d", c.every-d.every, c.random-d.random, c.next)
	}
	if d.messages < 2*d.every || d.killed < min(d.random, c.random)/5 {
		c.t.Errorf("only %d and %d processes were killed", d.messages, d.killed)
	}
}

// small is the size of a document that is small more often than not: a pair with a
// kill behind each message takes as long as both are large, times as long again.
func small(r *rand.Rand) float64 { return min(r.Float64(), r.Float64(), r.Float64()) }

// size is what a document's size is, a number from 0 to 1, or else near 1.
func (c *campaign) size(r *rand.Rand, otherwise float64) float64 {
	if c.large {
		return 0.75 + r.Float64()/4
	}
	return otherwise
}

// everyMessage goes to another document and back, one message further each time,
// until both ways are complete. It ends at the new one, and reports whether there
// was time for that.
func (c *campaign) everyMessage(t *testing.T, x *trials, old, next string) bool {
	t.Helper()
	there, back := true, true
	for n := 1; (there || back) && c.time(); n++ {
		there = x.way(t, next, n, there)
		back = x.way(t, old, n, back)
	}
	x.way(t, next, 0, false)
	return !there && !back
}

// way goes to a document, and as long as there are messages by way of a process
// that is killed behind one of them.
func (x *trials) way(t *testing.T, text string, after int, more bool) bool {
	t.Helper()
	if more {
		return x.kill(t, text, after, 0)
	}
	_, w := x.write(t, text)
	x.reach(t, text, w, "not killed")
	return false
}

// TestBefore: a process that is killed before a message has noted what it was going
// to send. The engine has not got it, and the next one goes on with the same keys.
func TestBefore(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		e, peer := ends(t, userspace)
		x := newTrials(t, e, 0)
		x.ofTheTest()
		foreign(t, e)
		next := strings.Replace(site, "epoch: 1", "epoch: @EPOCH@", 1) + sixes
		old := strings.Replace(next, "ipsec0", "ipsec1", 1)
		x.way(t, old, 0, false)
		x.watch(t, peer)
		x.foreign = x.others(t)
		n := 1
		for ; x.way(t, next, -n, true); n++ {
			x.way(t, old, 0, false)
		}
		if n < 10 {
			t.Errorf("only %d messages", n)
		}
	})
}
