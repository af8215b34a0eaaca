package differ

import (
	"fmt"
	"strings"
	"time"
)

// pair is two namespaces that went through the same commands, one through
// each tool.
type pair struct {
	left, right         *space
	leftTool, rightTool program
	// SPIs that the kernel drew, per side, and how many
	leftDrawn, rightDrawn map[uint32]uint32
	drawn                 uint32
	// hasty pairs are those of a test that looks for differences, which then need
	// not be looked at for long.
	hasty bool
}

// devices exist in both namespaces, with the same indexes.
const devices = `link add d0 type veth peer name d1
link property add dev d0 altname alternative-name-of-d0
`

// newPair makes two fresh namespaces.
func newPair(left, right program, ip program) (*pair, error) {
	p := &pair{leftTool: left, rightTool: right}
	for _, s := range []**space{&p.left, &p.right} {
		var err error
		if *s, err = newSpace(); err != nil {
			p.close()
			return nil, err
		}
		r, err := (*s).run(ip, []string{"-batch", "-"}, devices)
		if err == nil && r.code != 0 {
			err = fmt.Errorf("make devices: %v", r)
		}
		if err != nil {
			p.close()
			return nil, err
		}
	}
	p.forget()
	return p, nil
}

func (p *pair) forget() {
	p.leftDrawn, p.rightDrawn, p.drawn = map[uint32]uint32{}, map[uint32]uint32{}, 0
}

func (p *pair) close() {
	for _, s := range []*space{p.left, p.right} {
		if s != nil {
			s.close()
		}
	}
}

// reset empties both namespaces and checks that they are.
func (p *pair) reset() error {
	for _, s := range []*space{p.left, p.right} {
		if err := s.dump.empty(); err != nil {
			return err
		}
	}
	p.forget()
	defer func(hasty bool) { p.hasty = hasty }(p.hasty)
	p.hasty = false
	left, right, err := p.settled(func(left, right snapshot) bool {
		return len(left.states)+len(left.policies)+len(right.states)+len(right.policies) == 0
	})
	if err != nil {
		return err
	}
	if n := len(left.states) + len(left.policies) + len(right.states) + len(right.policies); n != 0 {
		return fmt.Errorf("%d objects are left after a flush", n)
	}
	if d := left.differ(right); d != "" {
		return fmt.Errorf("empty namespaces differ: %s", d)
	}
	return nil
}

// settled reads the tables until they are as they should be, for ten seconds at
// most, if hasty for half a second: the kernel removes an SA for good in the
// background, and with an IPComp SA its helper.
func (p *pair) settled(done func(left, right snapshot) bool) (left, right snapshot, err error) {
	last := 5 * time.Second
	if p.hasty {
		last = 256 * time.Millisecond
	}
	for pause := time.Millisecond; ; pause *= 2 {
		left, right, err = p.snapshots()
		if err != nil || pause > last || done(left, right) {
			return left, right, err
		}
		time.Sleep(pause)
	}
}

func (p *pair) snapshots() (left, right snapshot, err error) {
	if left, err = p.left.snapshot(p.leftDrawn); err == nil {
		right, err = p.right.snapshot(p.rightDrawn)
	}
	return left, right, err
}

// outcome is what came of one command on both sides.
type outcome struct {
	left, right result
	kind        difference
	detail      string
	tables      string // how the tables differ, "" not at all
	objects     int    // in the left tables afterwards
}

// difference is in what respect two runs differ.
type difference string

const (
	same         difference = ""
	differCode   difference = "exit code"
	differTables difference = "tables" // what the kernel holds afterwards
	differText   difference = "standard output"
	differError  difference = "error text"
)

// both runs a command on both sides.
func (p *pair) both(c command) (left, right result, err error) {
	if left, err = p.left.run(p.leftTool, c.forTool(p.leftTool), ""); err == nil {
		right, err = p.right.run(p.rightTool, c.forTool(p.rightTool), "")
	}
	return left, right, err
}

// step runs a command on both sides and compares what came of it.
func (p *pair) step(c command) (outcome, error) {
	var o outcome
	var err error
	if o.left, o.right, err = p.both(c); err != nil {
		return o, err
	}
	p.noteDrawn(c, o)
	left, right, err := p.settled(func(left, right snapshot) bool { return left.differ(right) == "" })
	if err != nil {
		return o, err
	}
	if c.reads() && o.left.code == 0 && maskText(o.left.out, p.leftDrawn) != maskText(o.right.out, p.rightDrawn) {
		// One of them may have seen an SA that was about to go.
		if o.left, o.right, err = p.both(c); err != nil {
			return o, err
		}
	}
	o.objects = len(left.states) + len(left.policies)
	o.tables = left.differ(right)
	leftText, rightText := maskText(o.left.out, p.leftDrawn), maskText(o.right.out, p.rightDrawn)
	switch {
	case o.left.code != o.right.code:
		o.kind, o.detail = differCode, fmt.Sprintf("%d and %d", o.left.code, o.right.code)
	case o.tables != "":
		o.kind, o.detail = differTables, o.tables
	case o.left.code == 0 && leftText != rightText:
		o.kind, o.detail = differText, textDifference(leftText, rightText)
	case errorDifference(o) != "":
		o.kind, o.detail = differError, errorDifference(o)
	}
	return o, nil
}

// forTool returns the command's words for one of the tools.
func (c command) forTool(p program) []string {
	if strings.HasPrefix(p.name, "xfrmctl") {
		return c.xfrmctl()
	}
	return c.ip()
}

// noteDrawn remembers the SPIs that the kernel drew for an allocspi.
func (p *pair) noteDrawn(c command, o outcome) {
	if c.verb() != "state allocspi" || o.left.code != 0 || o.right.code != 0 {
		return
	}
	var left, right uint32
	_, err := fmt.Sscanf(spis.FindString(o.left.out), "spi 0x%x", &left)
	if err == nil {
		_, err = fmt.Sscanf(spis.FindString(o.right.out), "spi 0x%x", &right)
	}
	if err != nil || left == right {
		return
	}
	p.drawn++
	p.leftDrawn[left], p.rightDrawn[right] = p.drawn, p.drawn
}

// textDifference shows the first line that differs.
func textDifference(left, right string) string {
	l, r := strings.Split(left, "\n"), strings.Split(right, "\n")
	at := 0
	for at < len(l) && at < len(r) && l[at] == r[at] {
		at++
	}
	line := func(s []string) string {
		if at < len(s) {
			return fmt.Sprintf("%q", s[at])
		}
		return "nothing"
	}
	return fmt.Sprintf("line %d: %s and %s", at+1, line(l), line(r))
}
