package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unsafe"
)

const (
	batchBuffer  = 64 << 10
	maxBatchLine = 1 << 20 // bytes of one command with its continuation lines
	maxWords     = 511     // of one command, as in `ip -batch`
)

// batchReader splits a batch file into commands as `ip -batch` does: # cuts
// the rest of a line, even inside quotes; a backslash before the newline
// continues it; quotes group a word only where they begin it; no escapes.
type batchReader struct {
	r     *bufio.Reader
	at    int    // number of the last physical line read, from 1
	long  []byte // a command that does not lie in r's buffer whole
	words []string
	text  []byte // holds the words since reset
}

func newBatchReader(r io.Reader) *batchReader {
	return &batchReader{r: bufio.NewReaderSize(r, batchBuffer)}
}

// lineError is a command that cannot be split into words.
type lineError struct{ text string }

func (e *lineError) Error() string { return e.text }

// next returns the words of the next command that is not empty, and the line
// on which it begins. The slice is valid until the next call, the words until
// reset. At the end the error is io.EOF. After a *lineError one may go on.
func (b *batchReader) next() (words []string, line int, err error) {
	for {
		raw, err := b.command(&line)
		if err != nil {
			return nil, line, err
		}
		if words, err = splitWords(b.words[:0], b.keep(raw)); err != nil {
			return nil, line, err
		}
		b.words = words
		if len(words) > 0 {
			return words, line, nil
		}
	}
}

// keep copies a line to where it stays until reset. New memory costs more than
// all else that is done with a line.
func (b *batchReader) keep(raw []byte) string {
	if len(raw) > cap(b.text)-len(b.text) {
		b.text = make([]byte, 0, max(batchBuffer, len(raw))) // words in the old one keep it
	}
	start := len(b.text)
	b.text = append(b.text, raw...)
	return unsafe.String(unsafe.SliceData(b.text[start:]), len(raw))
}

// reset gives up the words so far: nothing may refer to them any more.
func (b *batchReader) reset() { b.text = b.text[:0] }

// ready reports whether a whole line is buffered, so that next will not read.
func (b *batchReader) ready() bool {
	n := b.r.Buffered()
	if n == 0 {
		return false
	}
	p, _ := b.r.Peek(n)
	return bytes.IndexByte(p, '\n') >= 0
}

// command returns one line with its continuation lines, borrowed.
func (b *batchReader) command(first *int) ([]byte, error) {
	raw, err := b.line()
	*first = b.at
	if err != nil || !bytes.HasSuffix(raw, []byte("\\\n")) {
		return raw, err
	}
	b.long = append(b.long[:0], raw[:len(raw)-2]...)
	for {
		raw, err := b.line()
		if errors.Is(err, io.EOF) {
			return nil, &lineError{"continuation line is missing"}
		}
		if err != nil {
			return nil, err
		}
		more := bytes.HasSuffix(raw, []byte("\\\n"))
		if more {
			raw = raw[:len(raw)-2]
		}
		b.long = append(b.long, raw...)
		if len(b.long) > maxBatchLine {
			return nil, fmt.Errorf("line is longer than %d bytes", maxBatchLine)
		}
		if !more {
			return b.long, nil
		}
	}
}

// line reads one physical line, without its comment. A comment takes the
// newline with it, so that a backslash there continues nothing.
func (b *batchReader) line() ([]byte, error) {
	b.at++
	raw, err := b.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		raw, err = b.rest(bytes.Clone(raw))
	}
	if errors.Is(err, io.EOF) && len(raw) > 0 {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	if i := bytes.IndexByte(raw, '#'); i >= 0 {
		raw = raw[:i]
	}
	return raw, nil
}

// rest completes a line that is longer than the buffer.
func (b *batchReader) rest(raw []byte) ([]byte, error) {
	for {
		more, err := b.r.ReadSlice('\n')
		raw = append(raw, more...)
		if len(raw) > maxBatchLine {
			return nil, fmt.Errorf("line is longer than %d bytes", maxBatchLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return raw, err
		}
	}
}

// splitWords appends the words of a command to words. They are parts of s.
func splitWords(words []string, s string) ([]string, error) {
	s = trimBlanks(s)
	for s != "" {
		if len(words) == maxWords {
			return nil, &lineError{fmt.Sprintf("more than %d words", maxWords)}
		}
		if q := s[0]; q == '\'' || q == '"' {
			end := strings.IndexByte(s[1:], q)
			if end < 0 {
				return nil, &lineError{"quote is not closed"}
			}
			words = append(words, s[1:1+end])
			s = s[end+2:]
		} else {
			end := 1
			for end < len(s) && !isBlank(s[end]) {
				end++
			}
			words = append(words, s[:end])
			s = s[end:]
		}
		s = trimBlanks(s)
	}
	return words, nil
}

func trimBlanks(s string) string {
	i := 0
	for i < len(s) && isBlank(s[i]) {
		i++
	}
	return s[i:]
}

// isBlank reports whether c separates words: space, tab, CR, LF.
func isBlank(c byte) bool {
	const set = 1<<' ' | 1<<'\t' | 1<<'\r' | 1<<'\n'
	return c <= ' ' && uint64(set)>>c&1 != 0
}
