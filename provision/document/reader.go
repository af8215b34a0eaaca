package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
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
	return &reader{file: file, lines: strings.Split(strings.TrimPrefix(string(b), "\ufeff"), "\n")}
}

// text refuses what is no text, or none that YAML takes, and blanks and line ends
// that only look like ones.
func (r *reader) text(b []byte) error {
	for i, line := range r.lines {
		line = strings.TrimSuffix(line, "\r")
		col, indent := 0, true
		for at, c := range line {
			col++
			here := spot{int32(i + 1), int32(col)}
			switch {
			case c == utf8.RuneError && !strings.HasPrefix(line[at:], string(utf8.RuneError)):
				r.fail(here, "a byte that is not UTF-8: save the document as UTF-8")
			case control(c):
				r.fail(here, "a control character (%#02x)", c)
			case indent && c != ' ' && c != '\t' && unicode.IsSpace(c):
				r.fail(here, "this looks like a blank and is none (U+%04X): YAML is indented with blanks", c)
			default:
				indent = indent && (c == ' ' || c == '\t')
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

// control reports characters that YAML refuses, or takes for the end of a line.
func control(c rune) bool {
	switch c {
	case '\t':
		return false
	case '\u2028', '\u2029', '\ufeff', '\ufffe', '\uffff':
		return true
	}
	return unicode.IsControl(c)
}

// tree parses the text into its top node.
func (r *reader) tree(b []byte) (*yaml.Node, error) {
	if len(b) > maxDocument {
		return nil, fmt.Errorf("%s: more than %d bytes", r.file, maxDocument)
	}
	if err := r.text(b); err != nil {
		return nil, err
	}
	if looksLikeJSON(b) && json.Valid(b) {
		return jsonTree(b)
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var top, more yaml.Node
	err := dec.Decode(&top)
	switch {
	case errors.Is(err, io.EOF), err == nil && top.Content[0].Tag == "!!null":
		r.fail(spot{}, "the document is empty")
	case err != nil:
		return nil, r.syntax(b, err)
	case top.Content[0].Kind != yaml.MappingNode:
		r.fail(spotOf(top.Content[0]), "a document has fields: version, owner, nodes, tunnels")
	default:
		switch err := dec.Decode(&more); {
		case err == nil && more.Line > 0:
			r.fail(spotOf(&more), "a second document follows")
		case err != nil && !errors.Is(err, io.EOF):
			return nil, r.syntax(b, err)
		}
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
		switch {
		case !plain(key) || key.Tag == "!!merge":
			r.fail(spotOf(key), notPlain)
			continue
		case key.Kind != yaml.ScalarNode:
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
	switch {
	case !plain(n):
		r.fail(spotOf(n), notPlain)
	case n.Kind != kind:
		r.fail(spotOf(n), "%s: expected %s", what, expected)
	case kind == yaml.ScalarNode && n.Tag == "!!null" && n.Value == "":
		r.fail(spotOf(n), "%s: it has no value", what)
	case kind == yaml.ScalarNode && n.Tag == "!!null":
		r.fail(spotOf(n), "%s: it has no value: %s means none, unless it is in quotes", what, n.Value)
	default:
		return true
	}
	return false
}

const notPlain = "anchors and aliases (&, *, <<) and tags (!) are not taken: write out what is meant"

// plain reports whether a node means what stands there.
func plain(n *yaml.Node) bool {
	return n.Kind != yaml.AliasNode && n.Anchor == "" && n.Style&yaml.TaggedStyle == 0
}

// hasFields reports whether fields of a node were looked at.
func hasFields(n *yaml.Node) bool { return n.Kind == yaml.MappingNode && plain(n) }
