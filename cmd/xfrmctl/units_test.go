package main

import (
	"os"
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
