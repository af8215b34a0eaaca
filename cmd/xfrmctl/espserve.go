package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/offload/userspace"
	"github.com/xfrmctl/xfrmctl/offload/userspace/journal"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
)

// stateDir is where an engine remembers keys.
const stateDir = "/var/lib/xfrmctl"

// espServe runs an engine until the context ends. What goes wrong before it
// serves is its error; what happens afterwards goes to stderr, a line each.
func (e *env) espServe(args []string, r *espRequest) error {
	if e.netnsFD != nil {
		return e.enterForGood(args)
	}
	socket, err := e.socketPath()
	if err != nil {
		return err
	}
	manager, err := connectServiceManager(e.getenv, os.Getpid())
	if err != nil {
		return &exitError{code: exitCheck, msg: err.Error(), err: err}
	}
	defer manager.close()
	log := newESPLog(e.stderr)
	defer log.close()
	cfg := &userspace.Config{Socket: socket, Confine: !r.unconfined, Path: r.path, Version: version(), Logf: log.printf}
	if err := e.espJournal(cfg, r); err != nil {
		return err
	}
	engine, err := userspace.Open(cfg)
	if err != nil {
		return espError(err)
	}
	return e.espRun(engine, cfg, manager)
}

// espJournal says where keys are remembered, and begins anew if that is asked.
func (e *env) espJournal(cfg *userspace.Config, r *espRequest) error {
	if r.forget {
		return nil
	}
	// systemd's have one or more, by colons
	state, _, _ := strings.Cut(e.getenv("STATE_DIRECTORY"), ":")
	run, _, _ := strings.Cut(e.getenv("RUNTIME_DIRECTORY"), ":")
	dir := cmp.Or(r.stateDir, state, stateDir)
	cfg.Journal = &journal.Config{Dir: filepath.Join(dir, "keys"), RunDir: cmp.Or(run, nlsock.Dir)}
	if err := writable(cfg.Journal.RunDir); err != nil {
		cfg.Logf("%v: a journal of used keys that is put back to an older state may go unnoticed", err)
		cfg.Journal.RunDir = ""
	}
	if !r.newJournal {
		return nil
	}
	if err := journal.Discard(cfg.Journal); err != nil {
		return espError(err)
	}
	cfg.Logf("a new journal begins in %s: keys that were used before must not be used again", cfg.Journal.Dir)
	return nil
}

// writable reports why files cannot be made in a directory, which is made if it
// is missing.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return &os.PathError{Op: "write in", Path: dir, Err: err}
	}
	return nil
}

// espRun serves until a signal comes.
func (e *env) espRun(engine *userspace.Engine, cfg *userspace.Config, manager *serviceManager) error {
	served := make(chan error, 1)
	go func() { served <- engine.Serve() }()
	cfg.Logf("answers at %s", engine.Socket())
	manager.tell("READY=1", "STATUS="+espSummary(engine.Status()))
	beat := time.NewTicker(beatInterval(manager.watchdog))
	defer beat.Stop()
	var err error
	for running := true; running; {
		select {
		case err = <-served: // nothing but trouble ends it by itself
			running = false
		case <-e.ctx.Done():
			running = false
		case <-beat.C:
			// an engine that is stuck does not come back from this, and is restarted
			manager.tell("WATCHDOG=1", "STATUS="+espSummary(engine.Status()))
		}
	}
	manager.tell("STOPPING=1")
	if cerr := engine.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return &exitError{code: exitCheck, msg: err.Error(), err: err}
	}
	return nil
}

// beatInterval is how often the status is told.
func beatInterval(watchdog time.Duration) time.Duration {
	const status = 30 * time.Second
	if watchdog > 0 && watchdog < status {
		return watchdog
	}
	return status
}

// espSummary is one line for systemctl status.
func espSummary(s *userspace.Status) string {
	text := fmt.Sprintf("%d SAs, %d policies, %d interfaces; %d packets in, %d out",
		s.SAs, s.Policies.In+s.Policies.Out+s.Policies.Forward, len(s.Devices), s.Law.InnerDelivered, s.Law.OuterSent)
	if s.Journal != nil && s.Journal.Lost != "" {
		text += "; journal of used keys lost"
	}
	return text
}

// espError gives the exit code and what to do.
func espError(err error) error {
	exit := &exitError{code: exitCheck, msg: err.Error(), err: err}
	if errors.Is(err, syscall.EADDRINUSE) {
		exit.hint = "xfrmctl esp status tells about it; --socket names another place"
	}
	return exit
}

// enterForGood starts the program again in the namespace of -n. The engine works
// in the namespace of its process, all threads of it; a thread that moves there would
// take none of the others along.
func (e *env) enterForGood(args []string) error {
	runtime.LockOSThread() // to the end
	if err := unix.Setns(int(e.netnsFD.Fd()), unix.CLONE_NEWNET); err != nil {
		return &exitError{code: exitCheck, msg: fmt.Sprintf("enter network namespace %q: %v", e.opts.netns, err), err: err}
	}
	words := []string{"xfrmctl"}
	if e.opts.socket != "" {
		words = append(words, "--socket", e.opts.socket)
	}
	words = append(append(words, "esp"), args...)
	err := unix.Exec("/proc/self/exe", words, os.Environ())
	return &exitError{code: exitCheck, msg: fmt.Sprintf("start again in network namespace %q: %v", e.opts.netns, err), err: err}
}
