package document

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// asEngine is an `ip` that gives the engine its part of a script's work.
const asEngine = `#!/bin/sh
case "$1 $2" in
"xfrm "*) exec %[1]s "$@" ;;
"link add") exec %[1]s iface add "$3" if_id "$9" dev "$7" ;;
esac
exec %[2]s "$@"
`

// script runs a script of the manual on a machine.
func (m *machine) script(t *testing.T, text string) {
	t.Helper()
	bin := t.TempDir()
	ip, err := exec.LookPath(sandbox.IP())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", text)
	cmd.Env = os.Environ()
	as := fmt.Sprintf("#!/bin/sh\nexec %s \"$@\"\n", ip)
	if m.engine != nil {
		cmd.Env = m.engine.Command().Env
		as = fmt.Sprintf(asEngine, strings.Join(m.engine.Command().Args, " "), ip)
	}
	if err := os.WriteFile(filepath.Join(bin, "ip"), []byte(as), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "PATH="+bin+":"+os.Getenv("PATH"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := m.ns.Do(cmd.Run); err != nil {
		t.Fatalf("the script: %v\n%s", err, out.String())
	}
}

// export runs xfrmctl export and returns the document.
func (m *machine) export(t *testing.T, words ...string) string {
	t.Helper()
	cmd := exec.Command(m.binary, append([]string{"--engine", "kernel", "export"}, words...)...)
	if m.engine != nil {
		cmd = m.engine.Command(append([]string{"export"}, words...)...)
	}
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if e := m.ns.Do(cmd.Run); e != nil {
		t.Fatalf("export: %v\n%s", e, err.String())
	}
	return out.String()
}

// plain leaves out comments.
func plain(text string) (out string) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(" "+line, " #")
		if strings.TrimSpace(line) != "" {
			out += strings.TrimRight(line, " \n") + "\n"
		}
	}
	return out
}

// TestFromAScript goes the road of the manual: a script's machine is exported
// to the document that stands there, and a machine that applies this document
// exports it again, with nothing that it cannot say.
func TestFromAScript(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		page := manual(t, "examples.md")
		shown := block(t, page, "From a shell script", "yaml")
		if userspace { // where guards are routes in any case
			shown = strings.Replace(shown, "    guard: routes\n", "", 1)
			shown = strings.Replace(shown, "\nnodes:", "\nengine: userspace\nnodes:", 1)
		}
		old := build(t, shown, userspace)
		old.machines["east"].script(t, block(t, page, "From a shell script", "sh"))
		keys := filepath.Join(old.dir, "office.keys")
		words := []string{"--as", "east", "--name", "192.0.2.2=west", "--owner", "office", "--with-keys-to"}
		got := old.machines["east"].export(t, append(words, keys)...)
		if got != old.text {
			t.Errorf("export prints\n%s\nthe manual shows\n%s", got, old.text)
		}
		if st, err := os.Stat(keys); err != nil || st.Mode().Perm() != 0o600 {
			t.Fatalf("%v, %v", st, err)
		}
		if out, err := old.machines["east"].run(append(append([]string{"export"}, words...), keys)...); err == nil || !strings.Contains(out, "to a new file only") {
			t.Errorf("keys are written over: %v\n%s", err, out)
		}
		b, err := os.ReadFile(keys)
		if err != nil {
			t.Fatal(err)
		}
		s := build(t, shown, userspace)
		if err := os.WriteFile(filepath.Join(s.dir, "office.keys"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		s.settle(t)
		s.apply(t)
		s.carry(t)
		again := s.machines["east"].export(t, append(words, filepath.Join(s.dir, "new.keys"))...)
		if strings.Contains(again, "#!") || plain(again) != strings.ReplaceAll(plain(s.text), "office.keys", "new.keys") {
			t.Errorf("what is applied is exported as\n%s\nnot\n%s", again, s.text)
		}
		if c, err := os.ReadFile(filepath.Join(s.dir, "new.keys")); err != nil || !bytes.Equal(b, c) {
			t.Errorf("other keys are exported: %v", err)
		}
	})
}
