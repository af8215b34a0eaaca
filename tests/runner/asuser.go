package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

// nobody is the uid and gid that Linux keeps for it.
const nobody = 65534

// asUser is what `go test -exec` calls when the tests are run by root: it runs
// the test binary as an ordinary user, in the same folder, and returns its exit
// code. Go leaves binaries where only root may look, so it copies them first.
func asUser(args []string) int {
	code, err := runAsUser(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "runner: as-user:", err)
		return 125
	}
	return code
}

func runAsUser(args []string) (int, error) {
	dir, err := os.MkdirTemp("", "xfrmctl-test-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, filepath.Base(args[0]))
	if err := copyFile(binary, args[0]); err != nil {
		return 0, err
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, nobody, nobody)); err != nil {
		return 0, err
	}
	cmd := exec.Command(binary, args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "HOME="+dir, "USER=nobody", "LOGNAME=nobody")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	// go test ends a test that takes too long with SIGQUIT, for the stacks
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	go func() {
		for sig := range signals {
			cmd.Process.Signal(sig) //nolint:errcheck // it may have ended meanwhile
		}
	}()
	err = cmd.Wait()
	signal.Stop(signals)
	close(signals)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
