// Command xfrmctl manages Linux IPsec (XFRM) with the words of `ip xfrm`:
// SAs, policies, events and XFRM interfaces, from arguments or batch files.
//
// This package is the only one that prints, exits and reads the environment.
package main

import (
	"context"
	"io"
	"os"
)

func main() {
	hideMemory(os.Stderr)
	os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program but for the process around it. args[0] is the
// program's name; the result is the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := newEnv(ctx, stdin, stdout, stderr)
	return e.main(args[1:])
}
