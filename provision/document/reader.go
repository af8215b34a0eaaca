package document

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is one mistake in a document.
type Problem struct {
	File      string
	Line, Col int // from 1
	Msg       string
	Text      string // the line
}

// String returns three lines: the place and what is wrong, the line, and a
// caret below the place.
func (p Problem) String() string {
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, p.Text[:min(max(p.Col-1, 0), len(p.Text))])
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

// maxDocument bounds a document, in bytes.
const maxDocument = 64 << 20

// reader reads a tree of YAML and notes what is wrong with it.
type reader struct {
	file     string
	lines    []string
	problems []Problem
}

func newReader(file string, b []byte) *reader {
	return &reader{file: file, lines: strings.Split(string(b), "\n")}
}

// fail notes a mistake at a node.
func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	p := Problem{File: r.file, Line: 1, Col: 1, Msg: fmt.Sprintf(format, args...)}
	if n != nil && n.Line > 0 {
		p.Line, p.Col = n.Line, n.Column
	}
	if p.Line <= len(r.lines) {
		p.Text = strings.TrimRight(r.lines[p.Line-1], "\r")
	}
	r.problems = append(r.problems, p)
}

func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col)) })
	return &ProblemsError{slices.Compact(r.problems)}
}

// syntaxLine finds the line in the messages of the YAML parser.
var syntaxLine = regexp.MustCompile(`line (\d+): (.*)`)

func (r *reader) syntax(err error) error {
	n := &yaml.Node{Line: 1, Column: 1}
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := syntaxLine.FindStringSubmatch(msg); m != nil {
		n.Line, _ = strconv.Atoi(m[1]) // digits
		msg = m[2]
	}
	if n.Line <= len(r.lines) {
		line := r.lines[n.Line-1]
		n.Column = len(line) - len(strings.TrimLeft(line, " \t")) + 1
	}
	r.fail(n, "%s", msg)
	return r.err()
}

// tree parses the text into its top node.
func (r *reader) tree(b []byte) (*yaml.Node, error) {
	if len(b) > maxDocument {
		return nil, fmt.Errorf("%s: more than %d bytes", r.file, maxDocument)
	}
	dec := yaml.NewDecoder(strings.NewReader(string(b)))
	var top yaml.Node
	if err := dec.Decode(&top); err != nil {
		if strings.TrimSpace(string(b)) == "" {
			err = errors.New("the document is empty")
		}
		return nil, r.syntax(err)
	}
	var more yaml.Node
	if dec.Decode(&more) == nil && more.Line > 0 {
		r.fail(&more, "a second document follows")
		return nil, r.err()
	}
	return top.Content[0], nil
}

// pairs calls f with each key and value of a mapping.
func (r *reader) pairs(n *yaml.Node, what string, f func(key, value *yaml.Node)) {
	if !r.kind(n, yaml.MappingNode, what, "fields with values") {
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			r.fail(key, "the name of a field is expected")
			continue
		}
		if seen[key.Value] {
			r.fail(key, "%s has %q twice", what, key.Value)
			continue
		}
		seen[key.Value] = true
		f(key, n.Content[i+1])
	}
}

func (r *reader) kind(n *yaml.Node, kind yaml.Kind, what, expected string) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		r.fail(n, "anchors and aliases are not taken")
		return false
	}
	if n.Kind != kind {
		r.fail(n, "%s: expected %s", what, expected)
		return false
	}
	return true
}
