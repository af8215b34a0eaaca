package engine

import (
	"bytes"
	"os/exec"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// Prepare prepares xfrmctl with words, for an engine or, with nil, the kernel of
// the namespace that it is started in.
func Prepare(binary string, e *Engine, words ...string) *exec.Cmd {
	if e != nil {
		return e.Command(words...)
	}
	return exec.Command(binary, append([]string{"--engine", "kernel"}, words...)...)
}

// Said runs a prepared command in a namespace and returns what it printed on both
// outputs.
func Said(ns *sandbox.NS, cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := ns.Do(cmd.Run)
	return out.String(), err
}
