package main

import (
	"fmt"
	"io"
	"os"
	"unsafe"

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
	if os.Getenv("GOTRACEBACK") == "" { // whoever sets it wants to see
		endSilently(unix.SIGQUIT, unix.SIGABRT, unix.SIGTRAP, unix.SIGSYS)
	}
}

// endSilently gives signals the kernel's default action, which ends the process.
// Go would print the stacks of all goroutines first, with words in them that are
// no longer in use: now and then eight bytes of a key. To catch the signals instead
// takes two threads, which a short command has no time for.
func endSilently(signals ...unix.Signal) {
	var action [16]uint64 // longer than the kernel's struct sigaction; zeros are SIG_DFL
	for _, sig := range signals {
		const sizeOfMask = 8
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, sizeOfMask, 0, 0) //nolint:errcheck // Go's action stays
	}
}
