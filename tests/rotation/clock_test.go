package rotation

import (
	"bufio"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestAt: both ends take all steps at the time that both were told.
func TestAt(t *testing.T) {
	notUnderEmulation(t)
	bothEngines(t, derived, func(t *testing.T, ends [2]*end) {
		underLoad(t, ends, few, func() {
			at := time.Now().Add(3 * time.Second).UTC().Truncate(time.Second)
			var both sync.WaitGroup
			for _, e := range ends {
				both.Go(func() {
					out, err := e.try(e.about("keys", "rotate", "--at", at.Format(time.RFC3339), "--slack", "400ms")...)
					if err != nil || !strings.Contains(out, "by the clock") && !strings.Contains(out, "packets came on the new inbound SA") {
						t.Errorf("%s: %v: %s", e.name, err, out)
					}
				})
			}
			both.Wait()
		})
		for _, e := range ends {
			if s := e.status(t); !s.settledAt(2) {
				t.Errorf("%s: %+v", e.name, s)
			}
		}
	})
}

// TestClock: apply follows the document's clock, whenever it happens to run,
// without a word between the ends. A machine that takes longer for an apply than
// two clocks may differ gets a slower clock, at new ends: another clock in the
// middle of a rotation is another document, whose keys count at once.
func TestClock(t *testing.T) {
	notUnderEmulation(t)
	for c := (clock{slack: 400 * time.Millisecond, ago: 1000}); ; c.slack *= 2 {
		slow := false
		t.Run(c.slack.String(), func(t *testing.T) {
			bothEngines(t, derived, func(t *testing.T, ends [2]*end) {
				slowest := byClock(t, ends, c)
				slow = slow || slowest >= c.slack
				if slowest >= patience/4 {
					t.Errorf("an apply took %s", slowest)
				}
			})
		})
		if !slow || t.Failed() {
			return
		}
	}
}

// A clock is one of documents: how long its ends may be apart, and how many
// epochs are over.
type clock struct {
	slack time.Duration
	ago   int
}

// every is how long an epoch lasts: as short as is allowed.
func (c clock) every() time.Duration { return 6 * c.slack }

// follow lets the document have such a clock.
func follow(t *testing.T, e *end, c clock) {
	t.Helper()
	begin := time.Now().UTC().Add(-time.Duration(c.ago) * c.every())
	e.write(t, strings.Replace(derived, "}", fmt.Sprintf(", epoch: {start: %s, every: %s, slack: %s}}", begin.Format(time.RFC3339Nano), c.every(), c.slack), 1))
}

// TestWatch: apply that stays takes all steps of a rotation by itself.
func TestWatch(t *testing.T) {
	notUnderEmulation(t)
	bothEngines(t, derived, func(t *testing.T, ends [2]*end) {
		east := ends[0]
		follow(t, east, clock{slack: 400 * time.Millisecond, ago: 1000})
		cmd := east.command(east.about("apply", "--watch")...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := east.ns.Do(cmd.Start); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer timer.Stop()
		var said []string
		for lines := bufio.NewScanner(out); lines.Scan() && len(said) < 5; {
			if _, step, ok := strings.Cut(lines.Text(), ": tunnel main, epoch "); ok {
				said = append(said, step[strings.Index(step, ": ")+2:])
			}
		}
		cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // Wait tells
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if got := strings.Join(said, " "); got != "inbound confirm outbound drain delete" {
			t.Errorf("the steps were %q", got)
		}
	})
}

// byClock lets both ends follow a clock for a while, and returns how long an
// apply took at most. Only when that was less than the slack the test is judged.
func byClock(t *testing.T, ends [2]*end, c clock) (slowest time.Duration) {
	t.Helper()
	follow(t, ends[0], c)
	for _, e := range ends {
		e.verb(t, "apply") // the first epoch by the clock comes at once
	}
	first, w, l := ends[0].status(t).Epoch, watch(t, ends), start(t, ends, few, patience)
	var took [2]time.Duration
	var both sync.WaitGroup
	for i, e := range ends {
		both.Go(func() {
			last := time.Now()
			for until := last.Add(c.every() + 5*c.slack); time.Now().Before(until); time.Sleep(c.slack / 8) {
				if out, err := e.try(e.about("apply")...); err != nil {
					t.Errorf("%s: %v: %s", e.name, err, out)
					return
				}
				took[i] = max(took[i], time.Since(last))
				last = time.Now()
			}
		})
	}
	both.Wait()
	_, _, err := l.end()
	if slowest = max(took[0], took[1]); slowest >= c.slack {
		return slowest
	}
	if err != nil {
		t.Error(err)
	}
	w.verdict(t)
	for _, e := range ends {
		if s := e.status(t); s.Epoch < first+1 {
			t.Errorf("%s: %+v, after epoch %d", e.name, s, first)
		}
	}
	return slowest
}
