package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The scripts are run by the shells of this machine, with a stand-in for the
// program that shows what it was asked.
const (
	standIn = `xfrmctl() { shift; printf '<%s>' "$@" >&2; printf 'a(b)\nfd00::1\n@dir/\n'; }` + "\n"
	fishIn  = `function xfrmctl; printf '<%s>' $argv[2..-1] >&2; printf 'a(b)\nfd00::1\n@dir/\n'; end` + "\n"
)

func shell(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s: its completion script was not run", name)
	}
	return path
}

func TestBashCompletion(t *testing.T) {
	bash := shell(t, "bash")
	tests := []struct{ line, offered string }{
		{"xfrmctl ", `a\(b\) fd00::1 @dir/`},
		{"xfrmctl state add sr", `a\(b\) fd00::1 @dir/`},
		{"xfrmctl state add src fd00:", `a\(b\) :1 @dir/`},
		{"xfrmctl state add aead 'a", `a(b) fd00::1 @dir/`},
	}
	for _, tt := range tests {
		script := strings.Replace(bashScript, "2>/dev/null", "2>&3", 1) + standIn + `exec 3>&1
			COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=': =' COMP_WORDS=(xfrmctl)
			_xfrmctl
			echo "${COMPREPLY[@]}"`
		out, err := exec.Command(bash, "-c", script, "bash", tt.line).Output()
		if got, want := strings.TrimSpace(string(out)), "<--line><"+tt.line+">"+tt.offered; err != nil || got != want {
			t.Errorf("%s: %q, want %q (%v)", tt.line, got, want, err)
		}
	}
}

func TestZshCompletion(t *testing.T) {
	zsh := shell(t, "zsh")
	script := `compdef() { }` + "\n" + strings.Replace(zshScript, "2>/dev/null", "", 1) + standIn + `
		compadd() { print -r -- "$1: ${(P)${@[-1]}}" }
		words=(xfrmctl state add aead "'a(b)'" "") CURRENT=6
		_xfrmctl 2>&1`
	out, err := exec.Command(zsh, "-f", "-c", script).Output()
	want := "<state><add><aead><a(b)><>" + "-a: a(b) fd00::1\n-S: @dir/\n"
	if err != nil || string(out) != want {
		t.Errorf("%q, want %q (%v)", out, want, err)
	}
}

func TestFishCompletion(t *testing.T) {
	fish := shell(t, "fish")
	script := strings.Replace(fishScript, "2>/dev/null", "2>>asked", 1) + fishIn + `complete -C "xfrmctl state add aead 'a(b)' "`
	cmd := exec.Command(fish, "--no-config", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir)
	out, err := cmd.Output()
	got := strings.Fields(string(out))
	slices.Sort(got)
	if diff := cmp.Diff([]string{"@dir/", "a(b)", "fd00::1"}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	asked, err := os.ReadFile(filepath.Join(cmd.Dir, "asked"))
	if err != nil || !strings.HasPrefix(string(asked), "<state><add><aead><a(b)><>") {
		t.Errorf("asked for %q (%v)", asked, err)
	}
}

func TestSplitLine(t *testing.T) {
	for line, want := range map[string][]string{
		"":                   {""},
		"xfrmctl ":           {"xfrmctl", ""},
		"  a  b":             {"a", "b"},
		`a 'b c' "d e" f\ g`: {"a", "b c", "d e", "f g"},
		`a rfc\(gcm\) `:      {"a", "rfc(gcm)", ""},
		`a 'b\' "c\"d"`:      {"a", `b\`, `c"d`},
		`a '' b`:             {"a", "", "b"},
		`a 'b c`:             {"a", "b c"},
		`a '`:                {"a", ""},
		`a \`:                {"a", `\`},
		`$(b) ~`:             {"$(b)", "~"},
	} {
		if diff := cmp.Diff(want, splitLine(line)); diff != "" {
			t.Errorf("%q: %s", line, diff)
		}
	}
}

func TestCompleteKeys(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ONLY_THIS_TEST_HAS_A_KEY", "1")
	for _, name := range []string{"out.key", "in.key", ".hidden", "sub/x"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const line = "xfrmctl state add aead 'rfc4106(gcm(aes))' "
	for word, want := range map[string]string{
		"@" + dir + "/":      "@" + dir + "/in.key @" + dir + "/out.key @" + dir + "/sub/",
		"@" + dir + "/o":     "@" + dir + "/out.key",
		"@" + dir + "/.":     "@" + dir + "/.hidden",
		"@" + dir + "/none/": "",
		"env:ONLY_THIS":      "env:ONLY_THIS_TEST_HAS_A_KEY",
		"":                   "@ env:",
	} {
		got := runWith(t, newFakeKernel(), "", "__complete", "--line", line+word)
		if out := strings.Join(strings.Fields(got.Stdout), " "); out != want || got.Code != 0 {
			t.Errorf("%s: %q, want %q (%+v)", word, out, want, got)
		}
	}
}

func TestDemoComplete(t *testing.T) {
	for line, want := range map[string]string{
		"":                  "-j -p --engine --offload",
		"--engine ":         "auto kernel userspace",
		"-j -engine k":      "auto kernel userspace",
		"--engine kernel -": "-j -p --engine --offload",
	} {
		if got := strings.Join(demoComplete(strings.Split(line, " ")), " "); got != want {
			t.Errorf("demo %s: %s, want %s", line, got, want)
		}
	}
}
