// Package demo shows the main job end to end: it makes two network namespaces
// that nothing else sees, joins them by a wire, protects traffic between them
// in tunnel, transport and BEET mode, pings across, and watches the wire for
// anything that is not ESP.
//
// It changes nothing outside of the namespaces, and those go with it, however
// it ends: no name, no mount, no process holds them.
//
// Start with Run.
package demo

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Config says how to run the demo. The zero Config runs the kernel engine in
// silence.
type Config struct {
	// Engines are tried in this order; the first that can has the work. Nil:
	// Kernel() alone.
	Engines []Engine
	Out     io.Writer // gets a transcript, step by step; nil none
	// Wait is how long the answer to a ping may take, as long as none has failed
	// to come; 0: three seconds.
	Wait time.Duration
}

// pings is how many are sent in each flow.
const pings = 3

// UnsupportedError tells that the kernel cannot run the demo.
type UnsupportedError struct{ Missing []Feature }

// Error names what is missing in one line.
func (e *UnsupportedError) Error() string {
	var names []string
	for _, f := range e.Missing {
		names = append(names, f.Name)
	}
	return "this kernel lacks " + strings.Join(names, ", ")
}

// Is answers errors.ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

// PrivilegeError tells that the caller may not do what the demo does.
type PrivilegeError struct {
	Op  string
	Err error
}

// Error says what to do, in one line.
func (e *PrivilegeError) Error() string {
	return e.Op + ": " + answer(e.Err) +
		" (needs root: CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW; or a user namespace: unshare -rn xfrmctl demo)"
}

// Unwrap returns the kernel's answer.
func (e *PrivilegeError) Unwrap() error { return e.Err }

// Run runs the demo. The Report is never nil and says what became of it; an
// error comes with Report.OK false: *UnsupportedError, *PrivilegeError, ctx's
// error, or what went wrong. When Run returns, all that it made is gone or
// being taken down by the kernel.
func Run(ctx context.Context, cfg *Config) (*Report, error) {
	r := &runner{engines: []Engine{Kernel()}, out: &transcript{w: io.Discard}, report: &Report{Tunnels: []Tunnel{}}, wait: firstWait, carried: map[netlinkx.SPI]carriage{}}
	if cfg != nil && len(cfg.Engines) > 0 {
		r.engines = cfg.Engines
	}
	if cfg != nil && cfg.Out != nil {
		r.out = &transcript{w: cfg.Out}
	}
	if cfg != nil && cfg.Wait > 0 {
		r.wait = cfg.Wait
	}
	r.report.Engine, r.report.Kernel = r.engines[0].Name(), release()
	err := r.run(ctx)
	var lacks *UnsupportedError
	if errors.As(err, &lacks) {
		r.report.Missing = lacks.Missing
		r.out.missing(lacks.Missing)
	}
	if r.report.OK = err == nil; err != nil {
		r.report.Error = oneLine(err)
	}
	if r.out.steps > 0 {
		r.out.line("%s", r.report.Summary())
	}
	return r.report, err
}

func oneLine(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// release returns what uname -r prints.
func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
