package keys

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func root() (b []byte) {
	for i := range MinRoot {
		b = append(b, byte(i))
	}
	return b
}

// TestDeriveKnownAnswers compares with values of an implementation of RFC 5869
// on top of HMAC alone, in another language.
func TestDeriveKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		purpose string
		d       Derivation
		want    string
	}{
		{"sa", Derivation{"main", "east", "west", "b1", "b2", 1, "p"}, "9061113c02b48e8c1769b0a6cc8d276ad3108213"},
		{"sa", Derivation{"main", "west", "east", "b2", "b1", 1, "p"}, "78e28c9b2f964e391eebc598bb31129aa31827fe"},
		{"spi", Derivation{"main", "east", "west", "b1", "b2", 1, "p"}, "5c679b93"},
		{"sa", Derivation{"main", "east", "west", "", "", 1 << 40, ""}, "5788739796c191124b9c8e03668b1255fb592d4a1a24db9ab91534aea2d91f6b018e7cc1d855d7f0dfb8a6038a159d32e25e0a47c8e43986d6ad83bb7bd8dd271a2d3b04"},
	} {
		got, err := Derive(root(), c.purpose, &c.d, len(c.want)/2)
		if err != nil || hex.EncodeToString(got) != c.want {
			t.Errorf("%s %+v: %x, %v, want %s", c.purpose, c.d, got, err, c.want)
		}
	}
}

// TestDeriveSeparates changes one field at a time, also in ways in which fields
// would run into each other without their lengths.
func TestDeriveSeparates(t *testing.T) {
	base := Derivation{"main", "east", "west", "b1", "b2", 1, "p"}
	seen := map[string]string{}
	for name, d := range map[string]Derivation{
		"base": base, "tunnel": {"main2", "east", "west", "b1", "b2", 1, "p"}, "turned": {"main", "west", "east", "b1", "b2", 1, "p"},
		"shifted": {"maine", "ast", "west", "b1", "b2", 1, "p"}, "from boot": {"main", "east", "west", "b3", "b2", 1, "p"},
		"to boot": {"main", "east", "west", "b1", "b3", 1, "p"}, "epoch": {"main", "east", "west", "b1", "b2", 2, "p"}, "parameters": {"main", "east", "west", "b1", "b2", 1, "q"},
	} {
		b, err := Derive(root(), "sa", &d, 20)
		if err != nil {
			t.Fatal(err)
		}
		if other, there := seen[string(b)]; there {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[string(b)] = name
	}
	if _, err := Derive(root()[:31], "sa", &base, 20); err == nil {
		t.Error("a root secret of 31 bytes was taken")
	}
	if _, err := Derive(root(), "sa", &Derivation{Tunnel: "main", From: "a", To: "a"}, 20); err == nil {
		t.Error("a tunnel from a node to itself was taken")
	}
}

func TestSource(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	private := write("private", "0x00ff\n", 0o600)
	many := write("many", "# names and keys\nmain.a-to-b 0x00ff\nbare\nmain.b-to-a secret\n", 0o600)
	s := &Source{Getenv: func(name string) string {
		return map[string]string{"KEY": "secret-of-env", "CREDENTIALS_DIRECTORY": dir}[name]
	}}
	for _, c := range []struct{ ref, want, fails string }{
		{ref: "file:" + private, want: "\x00\xff"},
		{ref: "credential:private", want: "\x00\xff"},
		{ref: "keys:" + many + "#main.a-to-b", want: "\x00\xff"},
		{ref: "keys:" + many + "#main.b-to-a", want: "secret"},
		{ref: "keys:" + many + "#bare", fails: "no line of that name"},
		{ref: "keys:" + many, fails: "by reference"},
		{ref: "env:KEY", want: "secret-of-env"},
		{ref: "command:echo secret-of-command", want: "secret-of-command"},
		{ref: "file:" + write("group", "secret", 0o640), fails: "others may read"},
		{ref: "file:" + write("world", "secret", 0o604), fails: "others may read"},
		{ref: "file:" + write("odd", "0xsecret", 0o600), fails: "hex digits"},
		{ref: "file:" + write("empty", "\n", 0o600), fails: "empty"},
		{ref: "file:" + write("long", strings.Repeat("secret", 1000), 0o600), fails: "more than"},
		{ref: "file:" + filepath.Join(dir, "missing"), fails: "no such file"},
		{ref: "env:NONE", fails: "no such value"},
		{ref: "command:false", fails: "exit status 1"},
		{ref: "command:true", fails: "empty"},
		{ref: "command:yes", fails: "more than"},
		{ref: "command:/no/program", fails: "no such file"},
		{ref: "file:/dev/null", fails: "a pipe or a device"},
		{ref: "file:" + dir, fails: "is a directory"},
		{ref: "credential:../private", fails: "by reference"},
		{ref: "0x00112233", fails: "by reference"},
	} {
		got, err := s.Read(context.Background(), c.ref)
		if c.fails == "" && (err != nil || string(got) != c.want) {
			t.Errorf("%s: %q, %v", c.ref, got, err)
		}
		if c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails) || got != nil) {
			t.Errorf("%s: %q, %v, want an error with %q", c.ref, got, err, c.fails)
		}
		if err != nil && strings.Contains(strings.ReplaceAll(err.Error(), c.ref, ""), "secret") {
			t.Errorf("%s: the error shows the key: %v", c.ref, err)
		}
	}
}

// TestBundleIsReadOnce: one reading serves all names, so that the keys of one
// resolution are of one state of the file; what could not be read is tried again.
func TestBundleIsReadOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "many")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	s := &Source{}
	read := func(name string) string {
		t.Helper()
		b, err := s.Read(context.Background(), "keys:"+path+"#"+name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	write("a first\n", 0o644)
	if _, err := s.Read(context.Background(), "keys:"+path+"#a"); err == nil {
		t.Fatal("a file for everybody was read")
	}
	write("a first\nb second\na third\n", 0o600)
	if _, err := s.Read(context.Background(), "keys:"+path+"#a"); err == nil || !strings.Contains(err.Error(), "several lines of that name") {
		t.Errorf("of two lines one was taken: %v", err)
	}
	write("a other\nb other\n", 0o600)
	if got := read("b"); got != "second" {
		t.Errorf("the file was read again: %q", got)
	}
}

// TestBundleTooLong: a file that is cut short would miss its last keys.
func TestBundleTooLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "many")
	if err := os.WriteFile(path, []byte("a first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, maxBundle+1); err != nil {
		t.Fatal(err)
	}
	_, err := (&Source{}).Read(context.Background(), "keys:"+path+"#a")
	if err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("got %v", err)
	}
}

// TestDigest: it tells keys apart, names what was followed, and fails as Read does.
func TestDigest(t *testing.T) {
	env := map[string]string{"A": strings.Repeat("a", 32), "B": strings.Repeat("b", 32)}
	digest := func(refs ...string) string {
		s := &Source{Getenv: func(name string) string { return env[name] }}
		var b strings.Builder
		if err := s.Digest(context.Background(), refs, &b); err != nil {
			t.Fatal(err)
		}
		if got := s.Followed(); len(got) != len(refs) {
			t.Errorf("%q were followed", got)
		}
		return b.String()
	}
	one := digest("env:A", "env:B")
	if one == digest("env:A") || one != digest("env:A", "env:B") {
		t.Error("references that are there and those that are not")
	}
	env["B"] = strings.Repeat("c", 32)
	if one == digest("env:A", "env:B") {
		t.Error("another key is no difference")
	}
	if err := (&Source{Getenv: func(string) string { return "" }}).Digest(context.Background(), []string{"env:A"}, &strings.Builder{}); err == nil {
		t.Error("a key that is not there")
	}
}
