package rotation

import (
	"bufio"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// A clock is one of documents: how long its ends may be apart, and how many
// epochs are over.
type clock struct {
	slack time.Duration
	ago   int
}

// every is how long an epoch lasts: as short as is allowed.
func (c clock) every() time.Duration { return 6 * c.slack }

// byClock runs a test with a fast clock, and again with a slower one as long as
// this machine was late by its slack or more, which is what two ends may differ.
// The test says how late it was, and judges nothing then. Each time has new ends:
// another clock in the middle of a rotation is another document, whose keys count
// at once.
func byClock(t *testing.T, test func(t *testing.T, ends [2]*end, c clock) (late time.Duration)) {
	notUnderEmulation(t)
	for c := (clock{slack: 400 * time.Millisecond, ago: 1000}); ; c.slack *= 2 {
		late := time.Duration(0)
		t.Run(c.slack.String(), func(t *testing.T) {
			bothEngines(t, derived, func(t *testing.T, ends [2]*end) { late = max(late, test(t, ends, c)) })
		})
		if late < c.slack || t.Failed() {
			return
		}
		if c.slack > sandbox.Patience/2 {
			t.Fatalf("this machine is late by %s", late)
		}
	}
}

// TestAt: both ends take all steps at the time that both were told.
func TestAt(t *testing.T) {
	byClock(t, func(t *testing.T, ends [2]*end, c clock) time.Duration {
		w, l := watch(t, ends), start(t, ends, few, patience)
		at := time.Now().Add(max(3*time.Second, 3*c.slack)).UTC().Truncate(time.Second)
		var late [2]time.Duration
		var errs [2]error
		var both sync.WaitGroup
		for i, e := range ends {
			both.Go(func() { late[i], errs[i] = rotateAt(e, at, c.slack) })
		}
		both.Wait()
		_, _, err := l.end()
		if late := max(late[0], late[1]); late >= c.slack {
			return late
		}
		if err := errors.Join(err, errs[0], errs[1]); err != nil {
			t.Error(err)
		}
		w.verdict(t)
		for _, e := range ends {
			if s := e.status(t); !s.settledAt(2) {
				t.Errorf("%s: %+v", e.name, s)
			}
		}
		return max(late[0], late[1])
	})
}

// rotateAt replaces an end's keys at a time, and says how late the steps were
// that the other end depends on: it may use the new keys at the time, and delete
// the old ones two times the slack later.
func rotateAt(e *end, at time.Time, slack time.Duration) (late time.Duration, err error) {
	var said, errs strings.Builder
	cmd := e.command(e.about("keys", "rotate", "--at", at.Format(time.RFC3339), "--slack", slack.String())...)
	cmd.Stderr = &errs
	begun := time.Now()
	err = lines(e, cmd, func(line string) bool {
		said.WriteString(line + "\n")
		for step, due := range map[string]time.Time{"step inbound": at.Add(-slack), "step outbound": at} {
			if strings.Contains(line, step) {
				late = max(late, time.Since(due))
			}
		}
		return true
	})
	switch text := said.String() + errs.String(); {
	case strings.Contains(text, "is too near"):
		return max(slack, time.Since(begun)), nil
	case err != nil || !strings.Contains(text, "by the clock") && !strings.Contains(text, "packets came on the new inbound SA"):
		return late, fmt.Errorf("%s: %v: %s", e.name, err, text)
	}
	return late, nil
}

// lines runs a command at an end, and calls each with what it prints, as soon as
// it does. When that reports false, the command is told to end.
func lines(e *end, cmd *exec.Cmd, each func(line string) (more bool)) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := e.ns.Do(cmd.Start); err != nil {
		return err
	}
	timer := time.AfterFunc(3*sandbox.Patience, func() { cmd.Process.Kill() }) //nolint:errcheck // it may have ended
	defer timer.Stop()
	for in := bufio.NewScanner(out); in.Scan(); {
		if !each(in.Text()) {
			cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // Wait tells
			break
		}
	}
	return cmd.Wait()
}

// TestClock: apply follows the document's clock, whenever it happens to run,
// without a word between the ends.
func TestClock(t *testing.T) { byClock(t, applyByClock) }

// follow lets the document have such a clock.
func follow(t *testing.T, e *end, c clock) {
	t.Helper()
	begin := time.Now().UTC().Add(-time.Duration(c.ago) * c.every())
	e.write(t, strings.Replace(derived, "}", fmt.Sprintf(", epoch: {start: %s, every: %s, slack: %s}}", begin.Format(time.RFC3339Nano), c.every(), c.slack), 1))
}

// TestWatch: apply that stays takes all steps of a rotation by itself.
func TestWatch(t *testing.T) {
	byClock(t, func(t *testing.T, ends [2]*end, c clock) time.Duration {
		east := ends[0]
		stop := pulse()
		follow(t, east, c)
		var said []string
		err := lines(east, east.command(east.about("apply", "--watch")...), func(line string) bool {
			if _, step, ok := strings.Cut(line, ": tunnel main, epoch "); ok {
				said = append(said, step[strings.Index(step, ": ")+2:])
			}
			return len(said) < 5
		})
		late := stop()
		if got := strings.Join(said, " "); late < c.slack && (err != nil || got != "inbound confirm outbound drain delete") {
			t.Errorf("the steps were %q: %v", got, err)
		}
		return late
	})
}

// pulse begins to watch how late this machine wakes a goroutine that sleeps; stop
// returns the most.
func pulse() (stop func() time.Duration) {
	const beat = 20 * time.Millisecond
	end, most := make(chan struct{}), make(chan time.Duration)
	go func() {
		late := time.Duration(0)
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-end:
				most <- late
				return
			case <-time.After(beat):
				late = max(late, time.Since(last)-beat)
			}
		}
	}()
	return func() time.Duration {
		close(end)
		return <-most
	}
}

// applyByClock lets both ends follow a clock for a while, and returns how long
// an apply took at most.
func applyByClock(t *testing.T, ends [2]*end, c clock) (slowest time.Duration) {
	t.Helper()
	follow(t, ends[0], c)
	last := [2]time.Time{time.Now(), time.Now()}
	for _, e := range ends {
		e.verb(t, "apply") // the first epoch by the clock comes at once
	}
	first, w, l := ends[0].status(t).Epoch, watch(t, ends), start(t, ends, few, patience)
	var took [2]time.Duration
	var both sync.WaitGroup
	for i, e := range ends {
		both.Go(func() {
			for until := time.Now().Add(c.every() + 5*c.slack); time.Now().Before(until); time.Sleep(c.slack / 8) {
				if out, err := e.try(e.about("apply")...); err != nil {
					t.Errorf("%s: %v: %s", e.name, err, out)
					return
				}
				took[i] = max(took[i], time.Since(last[i]))
				last[i] = time.Now()
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
