package differ

import (
	"slices"
)

// finding is a difference, reduced.
type finding struct {
	before  []command // what has to run first
	command command
	outcome outcome
}

// minimiser looks for the shortest way to show a difference. Each trial runs
// in a pair of namespaces that were emptied.
type minimiser struct {
	pair    *pair
	excused func(command, outcome) bool
	trials  int // left
	err     error
}

// minimise reduces what was seen. It keeps what it cannot reproduce.
func (m *minimiser) minimise(f finding) (finding, error) {
	m.trials = 200
	if !m.shows(&f, nil, f.command) {
		m.shows(&f, f.before, f.command)
	}
	for i := len(f.before) - 1; i >= 0; i-- {
		m.shows(&f, slices.Delete(slices.Clone(f.before), i, i+1), f.command)
	}
	for i := -1; i < len(f.before); i++ {
		m.shorten(&f, i)
	}
	return f, m.err
}

// shorten drops words of the i-th command before, or of the last for -1.
func (m *minimiser) shorten(f *finding, i int) {
	get := func() command {
		if i < 0 {
			return f.command
		}
		return f.before[i]
	}
	try := func(c command) bool {
		if i < 0 {
			return m.shows(f, f.before, c)
		}
		before := slices.Clone(f.before)
		before[i] = c
		return m.shows(f, before, f.command)
	}
	if c := get(); len(c.options) > 0 {
		try(command{words: c.words, long: c.long})
	}
	// Two words at a time first: a keyword and its value.
	for _, width := range []int{4, 2, 1, 2, 1} {
		for at := len(get().words) - width; at >= 2; at-- {
			c := get()
			if at+width > len(c.words) {
				continue
			}
			try(command{options: c.options, words: slices.Delete(slices.Clone(c.words), at, at+width), long: c.long})
		}
	}
}

// shows runs the commands in emptied namespaces. If the last one, and only
// the last, shows a difference of the same kind, it becomes the finding.
func (m *minimiser) shows(f *finding, before []command, last command) bool {
	if m.trials <= 0 || m.err != nil {
		return false
	}
	m.trials--
	if m.err = m.pair.reset(); m.err != nil {
		return false
	}
	for _, c := range before {
		o, err := m.pair.step(c)
		if m.err = err; err != nil || o.kind != same {
			return false
		}
	}
	o, err := m.pair.step(last)
	if m.err = err; err != nil || o.kind != f.outcome.kind || m.excused(last, o) {
		return false
	}
	if o.kind == differCode && (o.left.code != f.outcome.left.code || o.right.code != f.outcome.right.code) {
		return false
	}
	*f = finding{slices.Clone(before), last, o}
	return true
}
