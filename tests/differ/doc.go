// Package differ runs the same commands through `ip xfrm` and `xfrmctl`, each
// in a network namespace of its own, and compares what comes of it: exit code,
// standard output where both print, what they say about a mistake in the words,
// and the kernel's tables, byte for byte.
//
// The commands come from tables in testdata (a line for each row of the
// grammar and each trap) and from a seeded generator. Where xfrmctl differs on
// purpose, an entry in exceptions.go says so and why; entries that never occur
// fail the test, and so does every other difference, reduced to the fewest
// commands and words that still show it.
//
// Variables: XFRMCTL_IP and XFRMCTL_BIN name the two programs, XFRMCTL_DIFF_N
// how many commands are generated, XFRMCTL_DIFF_SEED where the generator
// starts.
package differ
