package apply

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/provision"
)

// TestQuarrel: an object that has to be put right again and again is left for
// longer and longer, and that is said once.
func TestQuarrel(t *testing.T) {
	var q quarrel
	now, said := time.Unix(1000, 0), 0
	var holds []time.Duration
	for range 12 {
		hold, about := q.wrote([]provision.ID{"route x", "interface y", "interface y"}, now)
		if about != "" {
			said++
		}
		holds = append(holds, hold)
		now = now.Add(hold + time.Second)
	}
	if said != 1 || holds[0] != 0 || holds[1] != 0 || holds[2] != time.Second || holds[3] != 2*time.Second || holds[11] != maxHold {
		t.Errorf("said %d times, held back %v", said, holds)
	}
	if hold, _ := q.wrote(nil, now); hold != maxHold {
		t.Errorf("a round without writes, while held back, ends it: %v", hold)
	}
	if hold, about := q.wrote([]provision.ID{"route x"}, now.Add(time.Hour)); hold != 0 || about != "" {
		t.Errorf("an hour later it is still held back: %v %v", hold, about)
	}
}

// TestNoQuarrel: different objects, and the same ones far apart, are none.
func TestNoQuarrel(t *testing.T) {
	var q quarrel
	now := time.Unix(1000, 0)
	for i := range 10 {
		id := provision.ID([]string{"a", "b", "c"}[i%3])
		if hold, _ := q.wrote([]provision.ID{id}, now); hold != 0 {
			t.Errorf("round %d is held back", i)
		}
		now = now.Add(time.Second)
	}
	for range 5 {
		now = now.Add(time.Minute)
		if hold, _ := q.wrote([]provision.ID{"a"}, now); hold != 0 {
			t.Error("once a minute is held back")
		}
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	p := &progress{out: &out, now: func() time.Time { return now }}
	p.begin(100)
	for range 50 {
		p.step(1)
		now = now.Add(10 * time.Millisecond)
	}
	p.end()
	if out.Len() > 0 {
		t.Errorf("half a second shows %q", out.String())
	}
	for range 50 {
		now = now.Add(20 * time.Millisecond)
		p.step(1)
	}
	p.end()
	if s := out.String(); !strings.Contains(s, "75 of 100 steps") || !strings.HasSuffix(s, "\r\x1b[K") || strings.Count(s, "steps") > 6 {
		t.Errorf("a second and a half shows %q", s)
	}
	(*progress)(nil).begin(1)
	(*progress)(nil).step(1)
	(*progress)(nil).end()
}
