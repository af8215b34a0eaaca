package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKey(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return "@" + p
	}
	env := map[string]string{"HEX": "0x0102", "TEXT": "secret", "BAD": "0x01zz"}
	binary := "\x00\x01\xff\n"
	tests := []struct {
		name, word, stdin string
		want              string
		err               string
		warned            bool
	}{
		{"hex in the environment", "env:HEX", "", "\x01\x02", "", false},
		{"text in the environment", "env:TEXT", "", "secret", "", false},
		{"bad hex", "env:BAD", "", "", "key env:BAD: what follows 0x is not all hex digits", false},
		{"not in the environment", "env:NONE", "", "", "key env:NONE: the environment has no such value", false},
		{"hex file", file("hex", "0xabc\n", 0o600), "", "\x0a\xbc", "", false},
		{"text file with CRLF", file("crlf", "text\r\n", 0o400), "", "text", "", false},
		{"0x alone is text", file("0x", "0x\n", 0o600), "", "0x", "", false},
		{"binary file", file("bin", binary, 0o600), "", binary, "", false},
		{"readable by others", file("open", "text\n", 0o644), "", "text", "", true},
		{"too long", file("long", strings.Repeat("a", 5000), 0o600), "", "", "more than 4096 bytes", false},
		{"no file", "@" + filepath.Join(dir, "none"), "", "", "no such file or directory", false},
		{"stdin", "@-", "0x0f\nnext\n", "\x0f", "", false},
		{"stdin without newline", "@-", "abc", "abc", "", false},
		{"empty stdin", "@-", "", "", "key @-: standard input has no more lines", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			warned := ""
			k := &keyReader{
				stdin:  strings.NewReader(tt.stdin),
				getenv: func(n string) string { return env[n] },
				warn:   func(f string, a ...any) { warned += fmt.Sprintf(f, a...) },
			}
			got, err := k.key(tt.word)
			if tt.err == "" && (err != nil || !bytes.Equal(got, []byte(tt.want))) {
				t.Errorf("got %x, %v", got, err)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if (warned != "") != tt.warned {
				t.Errorf("warned %q", warned)
			}
		})
	}
}

func TestKeyLines(t *testing.T) {
	k := &keyReader{stdin: strings.NewReader("0x01\n0x02\n")}
	for _, want := range []byte{1, 2} {
		if got, err := k.key("@-"); err != nil || !bytes.Equal(got, []byte{want}) {
			t.Errorf("got %x, %v", got, err)
		}
	}
	k.stdinTaken = true
	if _, err := k.key("@-"); err == nil {
		t.Error("read a key from the batch")
	}
}
