package document

import (
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// syntaxLine finds the line in the messages of the YAML parser.
var syntaxLine = regexp.MustCompile(`line (\d+): (.*)`)

// syntax notes what a parser says of a text.
func (r *reader) syntax(b []byte, err error) error {
	if looksLikeJSON(b) {
		return r.jsonSyntax(b)
	}
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
	case unknownAnchor.MatchString(msg):
		n.Line, n.Column = r.find("*" + unknownAnchor.FindStringSubmatch(msg)[1])
		r.fail(spotOf(n), notPlain)
		return r.err()
	}
	n.Line = min(n.Line, len(r.lines)) // of what ends too soon
	line := r.lines[n.Line-1]
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	n.Column = len(indent) + 1
	tab := strings.IndexByte(indent, '\t')
	odd := strings.IndexAny(line, "\t%@`")
	switch {
	case tab >= 0:
		n.Column, msg = tab+1, "a tab: YAML is indented with blanks"
	case msg != cannotStart || odd < 0:
	case line[odd] == '\t':
		n.Column, msg = odd+1, "a tab: YAML takes blanks here"
	default:
		n.Column, msg = utf8.RuneCountInString(line[:odd])+1, fmt.Sprintf("%c begins no value: put it in quotes", line[odd])
	}
	r.fail(spotOf(n), "%s%s", msg, remedy(msg))
	return r.err()
}

// Messages of the YAML parser: those of the first kind name the line where what
// is broken begins, which may be far above; those of the second the line before.
var (
	structure   = regexp.MustCompile(`^did not find expected (key|'-' indicator)$`)
	parserError = regexp.MustCompile(`^did not find expected (',' or|node content|<)`)

	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

const cannotStart = "found character that cannot start any token"

// remedy says what to look for behind a message of the YAML parser.
func remedy(msg string) string {
	for begin, hint := range map[string]string{
		"mapping values are not allowed":       "is a text with a colon in it to be put in quotes, or the line indented otherwise than its neighbours?",
		"did not find expected node content":   "a value that begins with a colon or a comma is put in quotes",
		"did not find expected ',' or":         "is a brace or a bracket not closed?",
		"did not find expected <document":      "does something stand behind the end?",
		"could not find expected ':'":          "is there a blank behind the colon?",
		"found unexpected end of stream":       "is a quote not closed?",
		"found unexpected document indicator":  "is a quote not closed?",
		"found a tab character that violates":  "YAML is indented with blanks",
		"block sequence entries are not allow": "a list begins on a line of its own",
	} {
		if strings.HasPrefix(msg, begin) {
			return ": " + hint
		}
	}
	return ""
}

// find returns where a word stands first.
func (r *reader) find(word string) (line, col int) {
	for i, l := range r.lines {
		if at := strings.Index(l, word); at >= 0 {
			return i + 1, utf8.RuneCountInString(l[:at]) + 1
		}
	}
	return 1, 1
}

// firstBad finds the line with which a document gets wrong: all before it is
// right by itself.
func (r *reader) firstBad(msg string) int {
	return 1 + sort.Search(len(r.lines), func(n int) bool {
		err := yaml.Unmarshal([]byte(strings.Join(r.lines[:n+1], "\n")), &yaml.Node{})
		return err != nil && strings.Contains(err.Error(), msg)
	})
}
