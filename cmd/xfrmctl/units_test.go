package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// setting returns the value of a setting of a unit file.
func setting(t *testing.T, unit, name string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../systemd", unit))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.Fields(v)
		}
	}
	t.Fatalf("%s does not set %s", unit, name)
	return nil
}

// A unit that forbids a family of sockets which the engine opens takes away
// something that works without systemd: plain ESP leaves by AF_PACKET.
func TestUnitsLetTheEngineWork(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range []string{"xfrmctl-esp.service", "xfrmctl-esp@.service"} {
		families := setting(t, unit, "RestrictAddressFamilies")
		for _, want := range []string{"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET"} {
			if !slices.Contains(families, want) {
				t.Errorf("%s: RestrictAddressFamilies=%s lacks %s", unit, strings.Join(families, " "), want)
			}
		}
		program := setting(t, unit, "ExecStart")[0]
		if dir := filepath.Dir(program) + "/"; !strings.Contains(string(readme), " xfrmctl "+dir) {
			t.Errorf("%s starts %s, but README.md does not install it in %s", unit, program, dir)
		}
	}
}

// What a unit may do that applies again is what the one may do that applied.
func TestReloadIsConfinedAlike(t *testing.T) {
	var confined []string
	for _, unit := range []string{"xfrmctl-apply@.service", "xfrmctl-reload@.service"} {
		b, err := os.ReadFile(filepath.Join("../../systemd", unit))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, found := strings.Cut(string(b), "LoadCredential=")
		if rest, _, _ = strings.Cut(rest, "\n\n[Install]"); !found {
			t.Fatalf("%s loads no credential", unit)
		}
		confined = append(confined, strings.TrimSpace(rest))
	}
	if confined[0] != confined[1] {
		t.Errorf("the units differ:\n%s\nand\n%s", confined[0], confined[1])
	}
}

// TestUnitsAreValid asks systemd itself, about units that start another program
// in the place of one that is not installed.
func TestUnitsAreValid(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze; the unit files were not read by systemd")
	}
	units, err := filepath.Glob("../../systemd/*.service")
	if err != nil || len(units) < 3 {
		t.Fatalf("%v, %v", units, err)
	}
	dir := t.TempDir()
	for _, unit := range units {
		b, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.Replace(filepath.Base(unit), "@.", "@office.", 1)
		text := strings.ReplaceAll(string(b), "/usr/local/sbin/xfrmctl", "/bin/true")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(analyze, "verify", "--man=no", "--generators=no", filepath.Join(dir, name)).CombinedOutput()
		if err != nil || strings.Contains(string(out), name) {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}
