package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxDocument bounds a document, in bytes.
const maxDocument = 64 << 20

// reader reads a tree of YAML and notes what is wrong with it.
type reader struct {
	file     string
	lines    []string
	problems []Problem
	withheld []string // what messages and excerpts must not show
}

func newReader(file string, b []byte) *reader {
	return &reader{file: file, lines: strings.Split(string(b), "\n")}
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
	switch {
	case structure.MatchString(msg):
		n.Line = r.firstBad(msg)
		msg += ": is it indented like its neighbours?"
	case parserError.MatchString(msg):
		n.Line++ // it counts from 0 there
	}
	n.Line = min(n.Line, len(r.lines)) // of what ends too soon
	line := r.lines[n.Line-1]
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	n.Column = len(indent) + 1
	if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
		n.Column, msg = tab+1, "a tab: YAML is indented with blanks"
	}
	r.fail(spotOf(n), "%s", msg)
	return r.err()
}

// Messages of the YAML parser: those of the first kind name the line where what
// is broken begins, which may be far above; those of the second the line before.
var (
	structure   = regexp.MustCompile(`^did not find expected (key|'-' indicator)$`)
	parserError = regexp.MustCompile(`^did not find expected (',' or|node content|<)`)
)

// firstBad finds the line with which a document gets wrong: all before it is
// right by itself.
func (r *reader) firstBad(msg string) int {
	return 1 + sort.Search(len(r.lines), func(n int) bool {
		err := yaml.Unmarshal([]byte(strings.Join(r.lines[:n+1], "\n")), &yaml.Node{})
		return err != nil && strings.Contains(err.Error(), msg)
	})
}

// text refuses what is no text, or none that YAML takes.
func (r *reader) text(b []byte) error {
	for i, line := range r.lines {
		col := 0
		for at, c := range line {
			col++
			switch {
			case c == utf8.RuneError && !strings.HasPrefix(line[at:], string(utf8.RuneError)):
				r.fail(spot{int32(i + 1), int32(col)}, "a byte that is not UTF-8: save the document as UTF-8")
			case c < ' ' && c != '\t' && c != '\r' || c == 0x7f:
				r.fail(spot{int32(i + 1), int32(col)}, "a control character (%#02x)", c)
			default:
				continue
			}
			return r.err()
		}
	}
	if len(bytes.TrimSpace(b)) == 0 {
		r.fail(spot{}, "the document is empty")
	}
	return r.err()
}

// tree parses the text into its top node.
func (r *reader) tree(b []byte) (*yaml.Node, error) {
	if len(b) > maxDocument {
		return nil, fmt.Errorf("%s: more than %d bytes", r.file, maxDocument)
	}
	if err := r.text(b); err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var top, more yaml.Node
	err := dec.Decode(&top)
	switch {
	case errors.Is(err, io.EOF), err == nil && top.Content[0].Tag == "!!null":
		r.fail(spot{}, "the document is empty")
	case err != nil:
		return nil, r.syntax(err)
	case top.Content[0].Kind != yaml.MappingNode:
		r.fail(spotOf(top.Content[0]), "a document has fields: version, owner, nodes, tunnels")
	case dec.Decode(&more) == nil && more.Line > 0:
		r.fail(spotOf(&more), "a second document follows")
	}
	if err := r.err(); err != nil {
		return nil, err
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
			r.fail(spotOf(key), "the name of a field is expected")
			continue
		}
		if seen[key.Value] {
			r.fail(spotOf(key), "%s has %q twice", what, key.Value)
			continue
		}
		seen[key.Value] = true
		f(key, n.Content[i+1])
	}
}

func (r *reader) kind(n *yaml.Node, kind yaml.Kind, what, expected string) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		r.fail(spotOf(n), "anchors and aliases are not taken")
		return false
	}
	if n.Kind != kind {
		r.fail(spotOf(n), "%s: expected %s", what, expected)
		return false
	}
	return true
}
