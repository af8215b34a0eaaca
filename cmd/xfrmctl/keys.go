package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxKeyFile bounds what is read of a key file: the longest key is 512 bytes,
// 1,024 hex digits.
const maxKeyFile = 4096

// keyReader reads keys that the command line names instead of showing them:
// @FILE, @- (one line of standard input each), env:NAME. What it finds is
// taken like the word itself would be: 0x and hex digits, else the text's own
// bytes. A file that is not text is the key as it is.
type keyReader struct {
	stdin      io.Reader
	stdinTaken bool // standard input holds the batch
	lines      *bufio.Reader
	getenv     func(string) string
	warn       func(format string, args ...any)
}

// key is ipxfrm.Context.Key. No error holds anything of the key.
func (k *keyReader) key(word string) ([]byte, error) {
	if name, ok := strings.CutPrefix(word, "env:"); ok {
		v := k.getenv(name)
		if v == "" {
			return nil, fmt.Errorf("key %s: the environment has no such value", word)
		}
		return keyText(word, []byte(v))
	}
	if word == "@-" {
		return k.line()
	}
	return k.file(word, strings.TrimPrefix(word, "@"))
}

func (k *keyReader) line() ([]byte, error) {
	if k.stdinTaken {
		return nil, errors.New("key @-: standard input holds the batch")
	}
	if k.lines == nil {
		k.lines = bufio.NewReaderSize(k.stdin, maxKeyFile)
	}
	b, err := k.lines.ReadSlice('\n')
	if err != nil && (!errors.Is(err, io.EOF) || len(b) == 0) {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("key @-: standard input has no more lines")
		}
		return nil, fmt.Errorf("key @-: %w", err)
	}
	return keyText("@-", trimNewline(b))
}

func (k *keyReader) file(word, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", word, bareError(err))
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 {
		k.warn("key file %s may be read or written by others (mode %04o)", path, st.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", word, bareError(err))
	}
	if len(b) > maxKeyFile {
		return nil, fmt.Errorf("key %s: more than %d bytes", word, maxKeyFile)
	}
	if !isText(b) {
		return b, nil
	}
	return keyText(word, trimNewline(b))
}

// keyText reads a key as the grammar reads one from argv.
func keyText(word string, b []byte) ([]byte, error) {
	digits, ok := bytes.CutPrefix(b, []byte("0x"))
	if !ok || len(digits) == 0 {
		return bytes.Clone(b), nil
	}
	if len(digits)%2 == 1 {
		digits = append([]byte{'0'}, digits...)
	}
	out := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(out, digits); err != nil {
		return nil, fmt.Errorf("key %s: what follows 0x is not all hex digits", word)
	}
	return out, nil
}

func trimNewline(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

func isText(b []byte) bool {
	for _, c := range b {
		if (c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}
