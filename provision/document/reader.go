package document

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

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
