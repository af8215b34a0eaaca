package main

import (
	"errors"
	"fmt"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// monitor prints events until a signal ends it, or those of a file.
func (e *env) monitor(cmd *ipxfrm.Command) error {
	e.catchInterrupts()
	v := &eventView{e: e, p: e.eventPrinter(cmd)}
	if cmd.Monitor.File != "" {
		return e.monitorFile(cmd.Monitor.File, v)
	}
	cfg, err := e.monitorConfig(cmd.Monitor)
	if err != nil {
		return err
	}
	m, err := e.listen(cfg)
	if err != nil {
		return connectError(err)
	}
	defer m.Close()
	return v.follow(m)
}

// monitorConfig is whom to listen to, and for what.
func (e *env) monitorConfig(asked *ipxfrm.MonitorSpec) (*netlinkx.MonitorConfig, error) {
	by, err := e.engineFor(aboutIPsec)
	if err != nil {
		return nil, err
	}
	cfg := &netlinkx.MonitorConfig{
		NetNS:      e.netns,
		Groups:     asked.Groups,
		AllNSID:    asked.AllNSID,
		ReadBuffer: e.opts.rcvbuf,
		Resync:     e.opts.json || e.opts.verbose,
	}
	if by.path != "" {
		cfg.Dial = by.dialMonitor
		if cfg.AllNSID {
			e.warnf("all-nsid: a userspace engine is of one namespace; the events of others are the kernel's (--engine kernel)")
		}
	}
	return cfg, nil
}

// eventPrinter is printer with what the monitor has besides.
func (e *env) eventPrinter(cmd *ipxfrm.Command) *ipxfrm.Printer {
	p := e.printer(cmd)
	p.AllNSID = cmd.Monitor.AllNSID
	switch {
	case e.opts.tshort:
		p.Time = ipxfrm.TimeShort
	case e.opts.timestamp:
		p.Time = ipxfrm.TimeLong
	}
	return p
}

// eventView prints events one after the other.
type eventView struct {
	e   *env
	p   *ipxfrm.Printer
	buf []byte
}

// follow prints what m hears until a signal ends it.
func (v *eventView) follow(m *netlinkx.Monitor) error {
	e := v.e
	for {
		n, err := m.Next(e.ctx)
		if e.ctx.Err() != nil {
			return nil
		}
		var bad *netlinkx.DecodeError
		if errors.As(err, &bad) {
			e.report("", err)
			continue
		}
		if err != nil {
			return &exitError{code: exitKernel, msg: err.Error(), err: err}
		}
		if err := v.print(n); err != nil {
			return err
		}
		if err := e.stdout.Flush(); err != nil {
			return err
		}
	}
}

// print prints one event: a line of JSON, or what `ip xfrm monitor` prints.
// That events were lost goes to stderr in text form, which has no word for it.
func (v *eventView) print(n *netlinkx.Notice) error {
	if v.e.opts.json {
		b, err := v.e.marshalLine(v.p.JSONEvent(n))
		if err != nil {
			return err
		}
		_, err = v.e.stdout.Write(b)
		return err
	}
	if _, lost := n.Event.(*netlinkx.LostEvent); lost && !v.p.Extensions {
		_ = v.e.stdout.Flush()
		_, err := fmt.Fprintln(v.e.stderr, "lost events: the receive buffer was full; -rcvbuf makes it larger")
		return err
	}
	v.buf = v.p.AppendEvent(v.buf[:0], n)
	_, err := v.e.stdout.Write(v.buf)
	return err
}
