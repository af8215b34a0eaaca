package main

import (
	"os/exec"
	"strings"
	"testing"
)

// The script is run by the bash of this machine, with a stand-in for the
// program that shows what it was asked.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal("bash is needed to test its completion: ", err)
	}
	tests := []struct{ line, asked, offered string }{
		{"xfrmctl ", "<>", "alpha beta fd00::1"},
		{"xfrmctl state add sr", "<state><add><sr>", "alpha beta fd00::1"},
		{"xfrmctl state add src fd00:", "<state><add><src><fd00:>", "alpha beta :1"},
	}
	for _, tt := range tests {
		script := strings.Replace(bashScript, "2>/dev/null", "2>&3", 1) + `
			exec 3>&1
			xfrmctl() { shift; printf '<%s>' "$@" >&2; printf 'alpha\nbeta\nfd00::1\n'; }
			COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=': ='
			_xfrmctl
			echo "${COMPREPLY[@]}"`
		out, err := exec.Command(bash, "-c", script, "bash", tt.line).Output()
		if got, want := strings.TrimSpace(string(out)), tt.asked+tt.offered; err != nil || got != want {
			t.Errorf("%s: %q, want %q (%v)", tt.line, got, want, err)
		}
	}
}
