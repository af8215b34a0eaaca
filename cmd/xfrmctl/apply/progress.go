package apply

import (
	"fmt"
	"io"
	"time"
)

// Work that is over sooner shows no progress, and a line is not written more
// often than that.
const (
	progressAfter = time.Second
	progressEvery = 100 * time.Millisecond
)

// progress is a line on a terminal that says how far long work has come. It is
// for one goroutine.
type progress struct {
	out         io.Writer
	now         func() time.Time
	total, done int
	begun, last time.Time
	shown       bool
}

// begin starts work of that many steps.
func (p *progress) begin(total int) {
	if p == nil {
		return
	}
	p.total, p.done, p.begun = total, 0, p.now()
}

// step counts one step, n is -1 when one is taken back.
func (p *progress) step(n int) {
	if p == nil {
		return
	}
	p.done += n
	now := p.now()
	if now.Sub(p.begun) < progressAfter || now.Sub(p.last) < progressEvery {
		return
	}
	p.last, p.shown = now, true
	fmt.Fprintf(p.out, "\r\x1b[K%d of %d steps", p.done, p.total)
}

// end takes the line away.
func (p *progress) end() {
	if p == nil || !p.shown {
		return
	}
	p.shown = false
	fmt.Fprint(p.out, "\r\x1b[K")
}
