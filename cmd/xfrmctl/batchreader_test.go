package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type readCommand struct {
	Line  int
	Words []string
	Err   string
}

func readCommands(t *testing.T, r io.Reader) []readCommand {
	t.Helper()
	var out []readCommand
	b := newBatchReader(r)
	for {
		words, line, err := b.next()
		if errors.Is(err, io.EOF) {
			return out
		}
		var bad *lineError
		switch {
		case errors.As(err, &bad):
			out = append(out, readCommand{Line: line, Err: bad.text})
		case err != nil:
			return append(out, readCommand{Line: line, Err: err.Error()})
		default:
			out = append(out, readCommand{Line: line, Words: append([]string(nil), words...)})
		}
	}
}

func TestBatchReader(t *testing.T) {
	many := strings.Repeat("a ", maxWords)
	long := strings.Repeat("x", batchBuffer+10)
	tests := []struct {
		name, in string
		want     []readCommand
	}{
		{"empty", "", nil},
		{"blank lines and comments", "\n  \t\n# all\n", nil},
		{"words", "a  b\tc\r\n d\n", []readCommand{{1, []string{"a", "b", "c"}, ""}, {2, []string{"d"}, ""}}},
		{"no newline at the end", "a b", []readCommand{{1, []string{"a", "b"}, ""}}},
		{"comment", "a b # c d\n", []readCommand{{1, []string{"a", "b"}, ""}}},
		{"comment cuts inside a word", "a b#c\n", []readCommand{{1, []string{"a", "b"}, ""}}},
		{"comment inside quotes", "a 'b # c'\nd\n", []readCommand{{1, nil, "quote is not closed"}, {2, []string{"d"}, ""}}},
		{"continuation", "a \\\n b\\\nc\nd\n", []readCommand{{1, []string{"a", "bc"}, ""}, {4, []string{"d"}, ""}}},
		{"comment ends continuation", "a # b \\\nc\n", []readCommand{{1, []string{"a"}, ""}, {2, []string{"c"}, ""}}},
		{"comment in a continuation line", "a \\\nb # c\nd\n", []readCommand{{1, []string{"a", "b"}, ""}, {3, []string{"d"}, ""}}},
		{"continuation at the end", "a \\\n", []readCommand{{1, nil, "continuation line is missing"}}},
		{"quotes", `a 'b c' "d ' e" ''` + "\n", []readCommand{{1, []string{"a", "b c", "d ' e", ""}, ""}}},
		{"quotes inside a word are letters", `a b'c d'` + "\n", []readCommand{{1, []string{"a", "b'c", "d'"}, ""}}},
		{"a quoted word ends with its quote", `'a'b` + "\n", []readCommand{{1, []string{"a", "b"}, ""}}},
		{"no escapes", `a \b "c\"` + "\n", []readCommand{{1, []string{"a", `\b`, `c\`}, ""}}},
		{"most words", many + "\n", []readCommand{{1, strings.Fields(many), ""}}},
		{"too many words", many + "a\n", []readCommand{{1, nil, "more than 511 words"}}},
		{"longer than the buffer", long + " b\nc\n", []readCommand{{1, []string{long, "b"}, ""}, {2, []string{"c"}, ""}}},
		{"too long", strings.Repeat("x", maxBatchLine+1) + "\n", []readCommand{{1, nil, "line is longer than 1048576 bytes"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, readCommands(t, strings.NewReader(tt.in))); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Words stay valid when later lines are read: values made of them may hold
// parts of them.
func TestBatchReaderWordsStay(t *testing.T) {
	b := newBatchReader(strings.NewReader("first line\nsecond text\n"))
	words, _, _ := b.next()
	kept := words[0]
	if _, _, err := b.next(); err != nil {
		t.Fatal(err)
	}
	if kept != "first" {
		t.Errorf("word became %q", kept)
	}
}

func TestBatchReaderReady(t *testing.T) {
	pr, pw := io.Pipe()
	go func() {
		_, _ = pw.Write([]byte("a\nb\nhalf"))
		_ = pw.Close()
	}()
	b := newBatchReader(pr)
	if b.ready() {
		t.Error("ready before anything was read")
	}
	if _, _, err := b.next(); err != nil {
		t.Fatal(err)
	}
	if !b.ready() {
		t.Error("not ready with a whole line buffered")
	}
	if _, _, err := b.next(); err != nil {
		t.Fatal(err)
	}
	if b.ready() {
		t.Error("ready with half a line")
	}
}

func BenchmarkBatchReader(b *testing.B) {
	line := "xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x1000 reqid 1 mode tunnel aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128\n"
	text := strings.Repeat(line, 1000)
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	r := newBatchReader(strings.NewReader(text))
	for range b.N {
		if _, _, err := r.next(); err != nil {
			r = newBatchReader(strings.NewReader(text))
		}
	}
}
