package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// startWait is how long an engine may take until it is ready; stopWait, until
	// it has ended.
	startWait = 20 * time.Second
	stopWait  = 20 * time.Second
)

// process is a program that runs in a namespace. It is killed when the demo
// ends, however that ends.
type process struct {
	cmd    *exec.Cmd
	stderr lastWords
	ended  chan struct{}
}

// startError tells that a program has ended instead of becoming ready.
type startError struct{ said string }

// Error returns what the program said last.
func (e *startError) Error() string { return e.said }

// notifyName is an abstract socket: it has no file, and is of the namespace.
const notifyName = "@xfrmctl-demo-notify"

// startProcess starts a program in ns and waits until it says that it is ready,
// as to systemd.
func startProcess(ctx context.Context, ns *Namespace, program string, args ...string) (*process, error) {
	var notify *net.UnixConn
	err := ns.Do(func() (err error) {
		notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notifyName, Net: "unixgram"})
		return err
	})
	if err != nil {
		return nil, err
	}
	defer notify.Close()
	p := &process{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notifyName)
	p.cmd.Stderr = &p.stderr
	// the signal is sent when the thread ends that has started it; a terminal's
	// interrupt is for the demo, which then stops it
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := ns.Do(p.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go p.wait()
	if err := p.ready(ctx, notify); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// wait notices the end.
func (p *process) wait() {
	_ = p.cmd.Wait() // stop looks at the state
	close(p.ended)
}

// ready waits for READY=1, the end, or ctx.
func (p *process) ready(ctx context.Context, notify *net.UnixConn) error {
	told := make(chan error, 1)
	go func() { // ends with notify
		buf := make([]byte, 4096)
		for {
			n, err := notify.Read(buf)
			if err != nil || bytes.Contains(buf[:n], []byte("READY=1")) {
				told <- err
				return
			}
		}
	}()
	timer := time.NewTimer(startWait)
	defer timer.Stop()
	select {
	case err := <-told:
		return err
	case <-p.ended:
		return (&startError{p.stderr.String()}).privilege()
	case <-timer.C:
		return errors.New("the engine does not become ready: " + p.stderr.String())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop asks it to end, and sees to it that it does.
func (p *process) stop() error {
	select {
	case <-p.ended:
		return fmt.Errorf("the engine has ended: %s", p.stderr.String())
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended just now
	select {
	case <-p.ended:
	case <-time.After(stopWait):
		p.kill()
		return errors.New("the engine does not stop")
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("the engine: %s: %s", p.cmd.ProcessState, p.stderr.String())
	}
	return nil
}

// kill ends it at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// lastWords keeps the last line that was written.
type lastWords struct {
	mu   sync.Mutex
	line string
}

// Write implements io.Writer. Lines come whole.
func (w *lastWords) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	for _, l := range lines {
		if !strings.HasPrefix(l, "hint: ") {
			w.line = strings.TrimPrefix(l, "xfrmctl: ")
		}
	}
	return len(b), nil
}

// String returns the line.
func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.line == "" {
		return "it said nothing"
	}
	return w.line
}
