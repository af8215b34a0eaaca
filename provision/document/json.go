package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// looksLikeJSON: YAML takes nearly all JSON. What it does not take are some
// escapes, \/ and surrogate pairs among them, which programs write.
func looksLikeJSON(b []byte) bool {
	b = bytes.TrimSpace(b)
	return bytes.HasPrefix(b, []byte("{")) && bytes.HasPrefix(bytes.TrimSpace(b[1:]), []byte(`"`))
}

// jsonTree reads valid JSON into the tree that the same YAML has.
func jsonTree(b []byte) (*yaml.Node, error) {
	j := &jsonReader{b: b, dec: json.NewDecoder(bytes.NewReader(b)), line: 1, col: 1}
	j.dec.UseNumber()
	return j.value()
}

// jsonReader is between two tokens; line and col are where at is, from 1.
type jsonReader struct {
	b         []byte
	dec       *json.Decoder
	at        int64 // bytes
	line, col int
}

// token returns the next token and a node at its place.
func (j *jsonReader) token() (json.Token, *yaml.Node, error) {
	end := j.dec.InputOffset()
	for end < int64(len(j.b)) && bytes.IndexByte([]byte(" \t\r\n,:"), j.b[end]) >= 0 {
		end++
	}
	for j.at < end {
		c, n := utf8.DecodeRune(j.b[j.at:])
		j.at += int64(n)
		j.col++
		if c == '\n' {
			j.line, j.col = j.line+1, 1
		}
	}
	t, err := j.dec.Token()
	return t, &yaml.Node{Kind: yaml.ScalarNode, Line: j.line, Column: j.col}, err
}

func (j *jsonReader) value() (*yaml.Node, error) {
	t, n, err := j.token()
	if err != nil {
		return nil, err
	}
	switch v := t.(type) {
	case json.Delim:
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		if v == '[' {
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		}
		for j.dec.More() {
			x, err := j.value() // a key is one too
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, x)
		}
		_, _, err = j.token() // what closes it
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case string:
		n.Tag, n.Value = "!!str", v
	default: // numbers and truth are read by those who want them
		n.Value = fmt.Sprint(v)
	}
	return n, err
}

// jsonSyntax names what is wrong with JSON.
func (r *reader) jsonSyntax(b []byte) error {
	var s *json.SyntaxError
	if err := json.Unmarshal(b, new(json.RawMessage)); !errors.As(err, &s) {
		return fmt.Errorf("%s: %w", r.file, err)
	}
	before := b[:min(max(s.Offset-1, 0), int64(len(b)))]
	at := spot{int32(bytes.Count(before, []byte("\n")) + 1), int32(utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1)}
	r.fail(at, "%s", s)
	return r.err()
}
