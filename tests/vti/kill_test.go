package vti

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

var kills = flag.Int("kills", 2, "places at which each way is killed, of steps and of messages each; 0: all of them")

func lockThread() { runtime.LockOSThread() }

// TestKill kills a conversion, and the way back, behind steps and before
// messages to the kernel: what the next run says is reached, either way, nothing
// that the tunnel protects is sent in clear, and in the end all is as it was. A
// conversion of which a message is refused ends where it began.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a run without -short: no run was killed here, but in User Mode Linux")
	}
	all := kinds()
	if *kills != 0 {
		all = all[:1]
	}
	for _, k := range all {
		t.Run(k.name, func(t *testing.T) {
			a, _ := build(t, k)
			w := watch(t, a.ns)
			ping(t, a)
			before := a.picture(t)
			f := startFlood(t, a)
			f.goesOn(t)
			forward, _ := a.child(t, job{Way: "convert"})
			back, _ := a.child(t, job{Way: "undo"})
			same(t, "undone", before, a.picture(t))
			t.Logf("convert: %+v, undo: %+v", forward, back)
			for _, x := range []struct {
				way string
				n   counted
			}{{"convert", forward}, {"undo", back}} {
				for i := range places(x.n.Steps) {
					a.killed(t, before, job{Way: x.way, Steps: places(x.n.Steps)[i]}, i)
				}
				for i := range places(x.n.Messages) {
					a.killed(t, before, job{Way: x.way, Messages: places(x.n.Messages)[i]}, i)
				}
			}
			for _, n := range places(forward.Messages) {
				a.child(t, job{Way: "convert", Refused: n})
				same(t, fmt.Sprintf("message %d refused", n), before, a.picture(t))
				ping(t, a)
			}
			f.stop(t)
			w.judge(t)
		})
	}
}

// places are numbers from 1 to n, spread evenly.
func places(n int) (out []int) {
	many := *kills
	if many == 0 || many > n {
		many = n
	}
	for i := range many {
		out = append(out, 1+(2*i+1)*n/(2*many))
	}
	return out
}

// killed kills one way, lets the real command go on, forwards or back, and ends
// where it began.
func (e *end) killed(t *testing.T, before string, j job, i int) {
	t.Helper()
	if j.Way == "undo" {
		e.convert(t, "--all")
	}
	if _, killed := e.child(t, j); !killed {
		t.Errorf("%+v: was not killed", j)
	}
	if i%2 == 0 {
		if out, err := e.try("convert", "--all"); err != nil {
			t.Fatalf("%+v: %v\n%s", j, err, out)
		}
		ping(t, e)
	}
	out, err := e.try("convert", "--undo")
	if err != nil {
		t.Fatalf("%+v: %v\n%s", j, err, out)
	}
	ping(t, e)
	same(t, strings.TrimSpace(j.Way), before, e.picture(t))
	if t.Failed() {
		t.Fatalf("at %+v", j)
	}
}
