package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// iface runs the words after "iface".
func (e *env) iface(args []string) error {
	r, err := parseIface(args)
	if err != nil {
		return err
	}
	if r.verb.run == nil {
		_, err := e.stdout.WriteString(ifaceUsage())
		return err
	}
	if err := r.resolveNetNS(); err != nil {
		return err
	}
	c, err := e.dialIfaces(e.netns)
	if err != nil {
		return err
	}
	err = r.verb.run(e, c, r)
	if cerr := c.Close(); err == nil && cerr != nil {
		err = cerr
	}
	return ifaceError(err)
}

func (e *env) ifaceWarning(w *ifaces.Warning) {
	if w.Kind == ifaces.WarnKernel {
		e.kernelWarning("", w.Text)
		return
	}
	e.warnf("%s", w)
}

// resolveNetNS finds the namespace of the words, which must exist before
// anything is made.
func (r *ifaceRequest) resolveNetNS() error {
	if r.netns == "" {
		return nil
	}
	for _, ns := range netnsCandidates(r.netns) {
		f, err := ns.Open()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return argError("netns %q: %v", r.netns, bareError(err))
		}
		_ = f.Close() // opened for a look
		r.spec.NetNS = ns
		return nil
	}
	return argError("netns %q: there is no such name in /run/netns, path or process", r.netns)
}

// netnsCandidates returns what a word may mean, as `ip link set … netns` has
// it: a path, else a name, else a process id.
func netnsCandidates(word string) []netlinkx.NetNS {
	if strings.Contains(word, "/") {
		return []netlinkx.NetNS{netlinkx.NetNSAt(word)}
	}
	out := []netlinkx.NetNS{netlinkx.NamedNetNS(word)}
	pid := strings.TrimPrefix(word, "pid:")
	if _, err := parseCount(pid, 31); err == nil {
		out = append(out, netlinkx.NetNSAt("/proc/"+pid+"/ns/net"))
	}
	return out
}

// ifaceError gives exit codes where those of the kernel's errors do not do: as
// `ip link`, a device that is named and missing is 1, one named as value 255.
func ifaceError(err error) error {
	var kernel *netlinkx.Error
	var kind *ifaces.KindError
	if errors.As(err, &kind) && kind.Want == "" && (kind.Kind == ifaces.KindVTI || kind.Kind == ifaces.KindVTI6) {
		return &exitError{code: exitCheck, msg: err.Error(), hint: "xfrmctl vti audit says what belongs to it, xfrmctl vti convert makes an XFRM interface of it", err: err}
	}
	if errors.As(err, &kind) {
		return &exitError{code: exitCheck, msg: err.Error(), hint: "only XFRM interfaces: ip link is for others, xfrmctl iface list shows these", err: err}
	}
	if !errors.As(err, &kernel) || kernel.Errno != syscall.ENODEV {
		return err
	}
	name := strings.TrimPrefix(kernel.Object, "with ")
	if kernel.Op == "find device" {
		return &exitError{code: exitArgument, msg: fmt.Sprintf("cannot find device %q", name), err: err}
	}
	return &exitError{code: exitCheck, msg: err.Error(), hint: "xfrmctl iface list shows those that are here; -n NETNS looks in another namespace", err: err}
}

func (e *env) ifaceAdd(c *ifaces.Conn, r *ifaceRequest) error {
	if e.opts.dryRun {
		s, err := c.Resolve(e.ctx, &r.spec)
		if err != nil {
			return err
		}
		return e.would("create interface %s: %s", r.spec.Name, r.describeSpec(s))
	}
	l, err := c.Create(e.ctx, &r.spec)
	if err != nil {
		return err
	}
	return e.ifaceDone("created", c, l)
}

func (e *env) ifaceAdopt(c *ifaces.Conn, r *ifaceRequest) error {
	l, err := c.Adopt(e.ctx, &r.spec)
	if err != nil {
		return err
	}
	return e.ifaceDone("adopted", c, l)
}

func (e *env) ifaceSet(c *ifaces.Conn, r *ifaceRequest) error {
	l, err := c.Get(e.ctx, r.spec.Name)
	if err != nil {
		return err
	}
	if err := r.checkUnchangeable(l); err != nil {
		return err
	}
	if e.opts.dryRun {
		return e.would("change interface %s: %s", l.Name, r.describeChange())
	}
	if !r.onlyMoves() {
		if l, err = c.Change(e.ctx, r.spec.Name, &r.change); err != nil {
			return err
		}
	}
	if r.netns != "" {
		return e.ifaceMove(c, r)
	}
	return e.ifaceDone("changed", c, l)
}

// checkUnchangeable refuses what the kernel would refuse without a word. As
// with `ip`, naming what is already so is no change.
func (r *ifaceRequest) checkUnchangeable(l *ifaces.Link) error {
	dev := l.UnderlayName
	if dev == "" && l.Underlay != 0 {
		dev = fmt.Sprintf("if%d", l.Underlay)
	}
	switch {
	case r.spec.External && !l.External:
		return &exitError{code: exitKernel, msg: fmt.Sprintf("interface %s cannot become external: delete it and create another", l.Name)}
	case r.spec.Underlay != "" && r.spec.Underlay != dev:
		return &exitError{code: exitKernel, msg: fmt.Sprintf("interface %s: its device cannot change from %s to %s: delete it and create another", l.Name, orNone(dev), r.spec.Underlay)}
	}
	return nil
}

func (e *env) ifaceDelete(c *ifaces.Conn, r *ifaceRequest) error {
	if !e.opts.dryRun {
		return c.Delete(e.ctx, r.spec.Name)
	}
	l, err := c.Get(e.ctx, r.spec.Name)
	if err != nil {
		return err
	}
	return e.would("delete interface %s", l)
}

func (e *env) ifaceMove(c *ifaces.Conn, r *ifaceRequest) error {
	if e.opts.dryRun {
		l, err := c.Get(e.ctx, r.spec.Name)
		if err != nil {
			return err
		}
		return e.would("move interface %s to network namespace %s", l, r.netns)
	}
	m, err := c.Move(e.ctx, r.spec.Name, r.spec.NetNS)
	if err != nil {
		return err
	}
	at, err := e.dialIfaces(r.spec.NetNS)
	if err != nil {
		return err
	}
	return errors.Join(e.ifaceDone("moved", at, m.Link), at.Close())
}

func (e *env) would(format string, args ...any) error {
	_, err := fmt.Fprintf(e.stdout, "would "+format+"\n", args...)
	return err
}

// ifaceDone tells of a change, where that is wanted: `ip` says nothing.
func (e *env) ifaceDone(verb string, c *ifaces.Conn, l *ifaces.Link) error {
	switch {
	case e.opts.json:
		names, err := c.NamespaceNames(e.ctx)
		if err != nil {
			return err
		}
		return e.printJSON(jsonIface(l, names))
	case e.opts.verbose:
		_, err := fmt.Fprintf(e.stdout, "%s %s\n", verb, l)
		return err
	}
	return nil
}
