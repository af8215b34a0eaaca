package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/nicoffload"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
)

// env is what one run of the program sees and shares: the streams, the
// options, and what is opened on first use. It serves one goroutine.
type env struct {
	ctx    context.Context
	stdin  io.Reader
	stdout *bufio.Writer // flushed by main, and before anything goes to stderr
	stderr io.Writer
	opts   options
	getenv func(string) string
	dial   func(*netlinkx.Config) (*netlinkx.Conn, error)
	listen func(*netlinkx.MonitorConfig) (*netlinkx.Monitor, error)

	netns   netlinkx.NetNS
	netnsFD *os.File // nil: the caller's namespace
	conn    *netlinkx.Conn
	// kernelConn is the kernel's, for what no engine does; see kernelConnection.
	kernelConn *netlinkx.Conn
	// xfrmTap and routesTap are for the connections that are still to be made.
	xfrmTap, routesTap netlinkx.Tap

	devices  devices
	keys     keyReader
	protos   *ipxfrm.Protocols // read by protocols
	context  *ipxfrm.Context   // made by parse
	warnings warnings
	// probeKernel replaces kernelCan, for tests.
	probeKernel func(subject) (bool, string)
	socketDir   string // where engines have their sockets
	engines     map[subject]*engine
	said        map[string]bool // why an engine was chosen
	nic         *nicoffload.Env // made by nicEnv
	// committing: a batch is being sent.
	committing bool
	catching   bool // see catchInterrupts
}

// outputBuffer is as much as is written at once.
const outputBuffer = 256 << 10

func newEnv(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) *env {
	e := &env{
		ctx:    ctx,
		stdin:  stdin,
		stdout: bufio.NewWriterSize(stdout, outputBuffer),
		stderr: stderr,
		getenv: os.Getenv,
		dial:   netlinkx.Dial,
		listen: netlinkx.NewMonitor,

		socketDir: nlsock.Dir,
	}
	e.devices.open = e.dialLinks
	e.keys = keyReader{stdin: stdin, getenv: func(n string) string { return e.getenv(n) }, warn: e.warnOnce}
	return e
}

// main runs the words after the program's name and returns the exit code.
func (e *env) main(args []string) int {
	err := e.start(args)
	if ferr := e.stdout.Flush(); err == nil && ferr != nil {
		err = ferr
	}
	e.close()
	if err != nil {
		e.report("", err)
	}
	return exitCode(err)
}

// catchInterrupts makes SIGINT and SIGTERM end e.ctx from here on, for commands
// that tidy up or report when they are cut short. Those that read, or send one
// request, die of the signal like most programs: there is nothing to tidy up,
// and to catch signals takes two threads, a tenth of the time of a short run.
func (e *env) catchInterrupts() {
	if e.catching {
		return
	}
	e.catching = true
	e.ctx, _ = signal.NotifyContext(e.ctx, os.Interrupt, syscall.SIGTERM) // until the process ends
}

func (e *env) start(args []string) error {
	opts, words, err := parseOptions(args)
	if err != nil {
		return err
	}
	e.opts = opts
	if opts.version {
		return e.version(nil)
	}
	if opts.help {
		return e.help(words)
	}
	if err := e.enterNetNS(); err != nil {
		return err
	}
	if opts.batch != "" {
		if len(words) > 0 {
			return argError("-batch takes its commands from %s; unexpected word %q", opts.batch, words[0])
		}
		return e.batch(opts.batch)
	}
	return e.object(words)
}

// enterNetNS opens the namespace of -n once, so that all sockets of this run
// are in the same one even if its name is given to another meanwhile.
func (e *env) enterNetNS() error {
	if e.opts.netns == "" {
		return nil
	}
	ns, err := netnsOf(e.opts.netns)
	if err != nil {
		return err
	}
	f, err := ns.Open()
	if err != nil {
		msg := err.Error()
		if bare := bareError(err); bare != err {
			msg = fmt.Sprintf("cannot open network namespace %q: %v", e.opts.netns, bare)
		}
		return &exitError{code: exitArgument, msg: msg, err: err}
	}
	e.netnsFD = f
	e.netns = netlinkx.NetNSFD(int(f.Fd()))
	return nil
}

// connection returns the run's connection to the engine.
func (e *env) connection() (*netlinkx.Conn, error) {
	if e.conn != nil {
		return e.conn, nil
	}
	by, err := e.engineFor(aboutIPsec)
	if err != nil {
		return nil, err
	}
	e.conn, err = e.dialTo(by)
	return e.conn, err
}

// kernelConnection is a connection to the kernel whatever engine the run has:
// NICs are the kernel's.
func (e *env) kernelConnection() (*netlinkx.Conn, error) {
	var err error
	if e.kernelConn == nil {
		e.kernelConn, err = e.dialTo(&engine{})
	}
	return e.kernelConn, err
}

func (e *env) dialTo(by *engine) (*netlinkx.Conn, error) {
	cfg := &netlinkx.Config{
		NetNS:      e.netns,
		ReadBuffer: e.opts.rcvbuf,
		OnWarning:  e.onWarning,
		Tap:        e.xfrmTap,
	}
	if by.path != "" {
		cfg.Dial = by.dialXFRM
	}
	c, err := e.dial(cfg)
	if err != nil {
		return nil, connectError(err)
	}
	return c, nil
}

// connectError gives the exit code of what cannot be reached.
func connectError(err error) error {
	var said *exitError
	if errors.As(err, &said) {
		return err
	}
	return &exitError{code: exitCheck, msg: err.Error(), err: err}
}

// onWarning prints what the kernel says of a request that it carried out. A
// batch prints its own, with the line.
func (e *env) onWarning(w *netlinkx.Warning) {
	if !e.committing {
		e.kernelWarning("", w.Text)
	}
}

func (e *env) close() {
	e.devices.close()
	for _, c := range []*netlinkx.Conn{e.conn, e.kernelConn} {
		if c != nil {
			_ = c.Close()
		}
	}
	if e.netnsFD != nil {
		_ = e.netnsFD.Close()
	}
}
