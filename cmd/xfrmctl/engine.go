package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
)

// subject is what a command is about, as far as kernels differ in it.
type subject string

const (
	aboutIPsec      subject = "ESP"
	aboutInterfaces subject = "XFRM interfaces"
)

// engine is what does the work of a command.
type engine struct {
	path string // of the userspace engine's socket, "" the kernel
	why  string
}

func (c *engine) name() string {
	if c.path == "" {
		return "kernel"
	}
	return "userspace"
}

// engineFor decides once for each subject. With `auto` the kernel has the work
// when it can do it, so that nothing that the kernel holds is ever out of sight.
// Where no engine runs, that costs one look at a folder.
func (e *env) engineFor(s subject) (*engine, error) {
	if c := e.engines[s]; c != nil {
		return c, nil
	}
	c, err := e.chooseEngine(s)
	if err != nil {
		return nil, err
	}
	if e.engines == nil {
		e.engines = make(map[subject]*engine)
	}
	e.engines[s] = c
	if e.opts.verbose && !e.said[c.why] {
		if e.said == nil {
			e.said = make(map[string]bool)
		}
		e.said[c.why] = true
		_ = e.stdout.Flush() // what cannot be written shows at the end
		fmt.Fprintf(e.stderr, "xfrmctl: engine: %s: %s\n", c.name(), c.why)
	}
	return c, nil
}

func (e *env) chooseEngine(s subject) (*engine, error) {
	switch e.opts.engine {
	case "kernel":
		return &engine{why: "it was asked for"}, nil
	case "userspace":
		path, err := e.socketPath()
		if err != nil {
			return nil, err
		}
		return &engine{path: path, why: "it was asked for"}, nil
	}
	path, err := e.runningEngine()
	if err != nil {
		return nil, err
	}
	if path == "" {
		return &engine{why: "no userspace engine is running"}, nil
	}
	can, why := e.kernelCan(s)
	if can {
		return &engine{why: fmt.Sprintf("%s; the engine at %s is for --engine userspace", why, path)}, nil
	}
	return &engine{path: path, why: why}, nil
}

// socketPath returns where the engine of this namespace has its socket.
func (e *env) socketPath() (string, error) {
	switch env := e.getenv(socketVariable); {
	case e.opts.socket != "":
		return e.opts.socket, nil
	case env != "":
		return env, nil
	}
	path, err := nlsock.DefaultPath(e.netns)
	if err != nil {
		return "", &exitError{code: exitCheck, msg: fmt.Sprintf("find the engine's socket: %v", err), err: err}
	}
	return path, nil
}

// socketVariable names the engine's socket in the environment.
const socketVariable = "XFRMCTL_ESP_SOCKET"

// runningEngine returns the socket's path if there is one, else "".
func (e *env) runningEngine() (string, error) {
	if e.opts.socket == "" && e.getenv(socketVariable) == "" {
		if _, err := os.Lstat(e.socketDir); err != nil {
			return "", nil
		}
	}
	path, err := e.socketPath()
	if err != nil {
		return "", err
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode()&fs.ModeSocket == 0 {
		return "", nil
	}
	return path, nil
}

// dialXFRM is what netlinkx.Config's Dial takes.
func (c *engine) dialXFRM() (netlinkx.Transport, error) {
	t, err := nlsock.DialXFRM(c.path)
	return t, engineError(err, c.path)
}

// dialMonitor is what netlinkx.MonitorConfig's Dial takes.
func (c *engine) dialMonitor(groups []netlinkx.Group) (netlinkx.Transport, error) {
	t, err := nlsock.DialMonitor(c.path, groups)
	return t, engineError(err, c.path)
}

// ifacesEngine is what ifaces.Config takes: nil for the kernel.
func (c *engine) ifacesEngine() *ifaces.Engine {
	if c.path == "" {
		return nil
	}
	return &ifaces.Engine{
		Links: func(ns netlinkx.NetNS) (netlinkx.Transport, error) {
			t, err := nlsock.DialRoute(c.path, ns)
			return t, engineError(err, c.path)
		},
		XFRM: c.dialXFRM,
	}
}

// dialIfaces connects for interfaces, in the namespace of -n.
func (e *env) dialIfaces(ns netlinkx.NetNS) (*ifaces.Conn, error) {
	by, err := e.engineFor(aboutInterfaces)
	if err != nil {
		return nil, err
	}
	if by.path != "" && e.opts.engine == "auto" {
		sas, err := e.engineFor(aboutIPsec)
		if err != nil {
			return nil, err
		}
		if sas.path == "" {
			e.warnOnce("this kernel does ESP but has no XFRM interfaces: SAs and policies go to the kernel, interfaces to the engine; --engine userspace sends both to the engine")
		}
	}
	c, err := ifaces.Dial(&ifaces.Config{NetNS: ns, OnWarning: e.ifaceWarning, Engine: by.ifacesEngine(), Tap: e.routesTap})
	if err != nil {
		var said *exitError
		if errors.As(err, &said) {
			return nil, err
		}
		return nil, &exitError{code: exitCheck, msg: err.Error(), hint: hintOf(err), err: err}
	}
	return c, nil
}

// kernelAlone reports whether no userspace engine has a part in the run.
func (e *env) kernelAlone() (bool, error) {
	for _, s := range []subject{aboutIPsec, aboutInterfaces} {
		if by, err := e.engineFor(s); err != nil || by.path != "" {
			return false, err
		}
	}
	return true, nil
}

// engineError says what to do when an engine does not answer.
func engineError(err error, path string) error {
	switch {
	case errors.Is(err, nlsock.ErrNotRunning):
		return &exitError{code: exitCheck, err: err, msg: fmt.Sprintf("no userspace engine is running at %s", path),
			hint: "start one: xfrmctl esp, or systemctl start xfrmctl-esp; --engine kernel does without"}
	case errors.Is(err, fs.ErrPermission):
		return &exitError{code: exitCheck, err: err, msg: fmt.Sprintf("userspace engine at %s: permission denied", path),
			hint: "it serves root and the user that started it"}
	}
	return err
}
