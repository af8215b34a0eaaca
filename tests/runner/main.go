// Command runner runs the project's tests: on this machine, and on real kernels
// that tests/lab sets up. The Makefile calls it; docs/testing.md describes it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

const usage = `usage: runner COMMAND [FLAGS]
  test          everything: format, vet, unit tests, fuzzing for a moment, kernels
  lint          format, vet, shell scripts
  fuzz          each fuzz target for -time
  bench         tests/bench inside User Mode Linux and on this kernel, tests/enginebench on this kernel
  differential  the differential tests at full length on every kernel
  enginebench, interop, hostile, crash, rotate, scale, canaries
                one package of tests of the userspace engine, at full length
  provision     documents between which apply is killed, at full length
Run it inside the repository. XFRMCTL_TEST_KERNEL restricts the kernels.`

func main() {
	if len(os.Args) > 2 && os.Args[1] == "as-user" {
		os.Exit(asUser(os.Args[2:]))
	}
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(255)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1], os.Args[2:])
	stop()
	os.Exit(code)
}

// run executes one command and returns the exit code.
func run(ctx context.Context, command string, args []string) int {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	fuzzTime := flags.Duration("time", 3*time.Second, "how long each fuzz target runs")
	only := flags.String("only", "", "run only test packages whose import path matches this expression")
	if err := flags.Parse(args); err != nil {
		return 255
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "runner: -only:", err)
		return 255
	}
	s, err := newSession(ctx, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		return 1
	}
	s.only = pattern
	switch command {
	case "test":
		s.test(*fuzzTime)
	case "lint":
		s.prepare("lint")
		s.lint(true)
	case "fuzz":
		s.fuzz(*fuzzTime)
	default:
		runs, known := longRuns()[command]
		if !known {
			fmt.Fprintln(os.Stderr, usage)
			return 255
		}
		s.long(runs)
	}
	s.write(s.out)
	if !s.ok(command == "lint") {
		return 1
	}
	return 0
}

// repository finds the root of the repository: the parent of the folder that
// holds tests/lab, at or above the working directory.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "tests", "lab", "vm.sh")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("not inside the repository")
		}
		dir = parent
	}
}
