package document

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

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

// spot is where something stands in a document: line and column, from 1. The zero
// spot is nowhere.
type spot struct{ line, col int32 }

func spotOf(n *yaml.Node) spot { return spot{int32(n.Line), int32(n.Column)} }

// fail notes a mistake at a spot.
func (r *reader) fail(at spot, format string, args ...any) {
	p := Problem{File: r.file, Line: 1, Col: 1, Msg: fmt.Sprintf(format, args...)}
	if at.line > 0 {
		p.Line, p.Col = int(at.line), int(at.col)
	}
	r.problems = append(r.problems, p)
}

// missing notes that something is not there, unless something else is wrong at
// the same place: what is missing is then probably there, misspelled or
// mistaken.
func (r *reader) missing(n *yaml.Node, format string, args ...any) {
	wrong := map[[2]int]bool{}
	for _, p := range r.problems {
		wrong[[2]int{p.Line, p.Col}] = true
	}
	for _, x := range n.Content {
		for _, y := range append([]*yaml.Node{x}, x.Content...) {
			if wrong[[2]int{y.Line, y.Column}] {
				return
			}
		}
	}
	r.fail(spotOf(n), format, args...)
}

// failOnce notes a mistake, unless something else is wrong at that spot.
func (r *reader) failOnce(at spot, format string, args ...any) {
	if !slices.ContainsFunc(r.problems, func(p Problem) bool { return p.Line == int(at.line) && p.Col == int(at.col) }) {
		r.fail(at, format, args...)
	}
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
	p.Msg = longWord().ReplaceAllStringFunc(r.hide(p.Msg), func(w string) string { return w[:shownWord] + "…" })
	if p.Line > len(r.lines) {
		return
	}
	line := strings.TrimRight(r.lines[p.Line-1], "\r")
	col := p.Col
	if chars := []rune(line); len(chars) > maxLine { // JSON may be one line
		from := min(max(col-maxLine/2, 0), len(chars)-maxLine)
		line, col = "…"+string(chars[from:from+maxLine])+"…", col-from+1
	}
	at := 0
	for i := range line { // columns are characters
		if at++; at == col {
			p.Text = r.hide(line[:i])
			p.before = len(p.Text)
			p.Text += r.hide(line[i:])
			return
		}
	}
	p.Text = r.hide(line)
	p.before = len(p.Text)
}

// maxLine is how many characters of a line are shown.
const maxLine = 160

// longWord is a word that would fill a message, of which shownWord bytes are
// shown. It is compiled for the first mistake.
var longWord = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[[:graph:]]{121,}`) })

const shownWord = 80

// withhold keeps what stands below keys, and is no reference, out of messages
// and excerpts: it may be the key itself.
func (r *reader) withhold(n *yaml.Node) {
	const short = 8                     // bytes; no key, and would hide parts of other words
	if keys.Check(n.Value+"x") == nil { // the beginning of a reference
		return
	}
	if _, err := strconv.ParseUint(n.Value, 0, 64); n.Kind == yaml.ScalarNode && err != nil && len(n.Value) >= short && keys.Check(n.Value) != nil {
		r.withheld = append(r.withheld, n.Value)
	}
	for i, x := range n.Content {
		if n.Kind != yaml.MappingNode || i%2 == 1 && (n.Content[i-1].Value != "start" || !isTime(x.Value)) {
			r.withhold(x)
		}
	}
}

// isTime reports whether a text is made of what times are made of.
func isTime(s string) bool { return len(s) <= 35 && strings.Trim(s, "0123456789-:.+TZ ") == "" }

func (r *reader) hide(text string) string {
	for _, s := range r.withheld {
		text = strings.ReplaceAll(text, s, "<hidden>")
	}
	return netlinkx.HideKeys(text)
}
