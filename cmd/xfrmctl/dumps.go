package main

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// hideMemory keeps what the process has in its memory out of core files, and
// from processes of the same user that would trace it or read it below /proc
// (PR_SET_DUMPABLE): nearly every command has keys there. Root may still look. A
// limit of 0 for core files would not do: the kernel does not mind it when it pipes
// them to a program (core(5)).
func hideMemory(stderr io.Writer) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		fmt.Fprintf(stderr, "xfrmctl: warning: a core file of this process would hold keys: %v\n", err)
	}
}
