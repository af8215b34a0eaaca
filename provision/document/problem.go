package document

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// Problem is one mistake in a document. What is or may be a key is hidden in
// both texts.
type Problem struct {
	File      string
	Line, Col int // from 1; columns are characters
	Msg       string
	Text      string // the line

	before int // bytes of Text in front of the place
}

// String returns three lines: the place and what is wrong, the line, and a
// caret below the place.
func (p Problem) String() string {
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, p.Text[:p.before])
	return fmt.Sprintf("%s:%d:%d: %s\n    %s\n    %s^", p.File, p.Line, p.Col, p.Msg, p.Text, pad)
}

// ProblemsError is all that is wrong with a document, in the order of lines.
type ProblemsError struct{ Problems []Problem }

// Error returns all problems with their excerpts.
func (e *ProblemsError) Error() string {
	var parts []string
	for _, p := range e.Problems {
		parts = append(parts, p.String())
	}
	return strings.Join(parts, "\n")
}

// fail notes a mistake at a node.
func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	p := Problem{File: r.file, Line: 1, Col: 1, Msg: fmt.Sprintf(format, args...)}
	if n != nil && n.Line > 0 {
		p.Line, p.Col = n.Line, n.Column
	}
	r.problems = append(r.problems, p)
}

// err returns what was noted, in the order of lines.
func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col)) })
	all := slices.Compact(r.problems)
	for i := range all {
		r.excerpt(&all[i])
	}
	return &ProblemsError{all}
}

// excerpt adds the line to a problem.
func (r *reader) excerpt(p *Problem) {
	p.Msg = r.hide(p.Msg)
	if p.Line > len(r.lines) {
		return
	}
	line := strings.TrimRight(r.lines[p.Line-1], "\r")
	at := 0
	for i := range line { // columns are characters
		if at++; at == p.Col {
			p.Text = r.hide(line[:i])
			p.before = len(p.Text)
			p.Text += r.hide(line[i:])
			return
		}
	}
	p.Text = r.hide(line)
	p.before = len(p.Text)
}

// withhold keeps what stands below keys, and is no reference, out of messages
// and excerpts: it may be the key itself.
func (r *reader) withhold(n *yaml.Node) {
	const short = 4 // would hide parts of other words
	if _, err := strconv.ParseUint(n.Value, 0, 64); n.Kind == yaml.ScalarNode && err != nil && len(n.Value) >= short && keys.Check(n.Value) != nil {
		r.withheld = append(r.withheld, n.Value)
	}
	for i, x := range n.Content {
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			r.withhold(x)
		}
	}
}

func (r *reader) hide(text string) string {
	for _, s := range r.withheld {
		text = strings.ReplaceAll(text, s, "<hidden>")
	}
	return netlinkx.HideKeys(text)
}
