package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// runner is one run. Arrays are by side.
type runner struct {
	engines []Engine // to be tried in this order
	engine  Engine   // the first of them that can
	// interfaces: it wants one for transport mode
	interfaces bool
	out        *transcript
	report     *Report
	wait       time.Duration // for the first answer

	ns      [2]*Namespace
	nets    [2]*network
	ends    [2]Endpoint
	tap     *wiretap
	tunnels []*tunnel
	want    [2][]*netlinkx.SA // installed
	carried map[netlinkx.SPI]carriage
	lost    bool     // a flow has failed, so that others are not waited for long
	faults  []string // of SAs
	undo    []func() error
}

// run goes through the steps; whatever becomes of them, all is undone.
func (r *runner) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, r.close()) }()
	probeNS, err := newNamespace("probe")
	if err != nil {
		return err // nothing has begun that a transcript could tell of
	}
	r.later(probeNS.close)
	r.out.line("xfrmctl demo: Linux %s", r.report.Kernel)
	for _, s := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"What this kernel can do", func(ctx context.Context) error { return r.probe(ctx, probeNS) }},
		{"Two network namespaces and a wire", r.wire},
		{"XFRM interfaces, SAs and policies", r.protect},
		{"Pings, and what the wire saw of them", r.ping},
		{"TCP through a tunnel", r.transfer},
		{"Interfaces, SAs and counters", r.show},
	} {
		r.out.title(s.title)
		if err := s.do(ctx); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if faults := append(r.report.faults(), r.faults...); len(faults) > 0 {
		return errors.New(strings.Join(faults, "; "))
	}
	return nil
}

// later has fn called when the run ends, in reverse order.
func (r *runner) later(fn func() error) { r.undo = append(r.undo, fn) }

func (r *runner) close() error {
	var errs []error
	for i := len(r.undo) - 1; i >= 0; i-- {
		errs = append(errs, r.undo[i]())
	}
	if r.ns[left] != nil {
		r.out.title("Clean-up")
		r.out.line("  both namespaces are closed, and with them go their interfaces, SAs and policies")
	}
	return errors.Join(errs...)
}

// probe tries all features in a namespace of its own, and chooses the engine.
func (r *runner) probe(ctx context.Context, ns *Namespace) error {
	list, err := probeNetwork(ns)
	if err != nil {
		return err
	}
	r.out.features("", list)
	lacks := missing(list)
	for _, e := range r.engines {
		if len(missing(list)) > 0 {
			break
		}
		r.report.Engine = e.Name()
		found, err := e.Probe(ctx, ns)
		if err != nil {
			return err
		}
		r.out.features(e.Name()+" engine", found.List)
		m := missing(found.List)
		if len(m) == 0 {
			r.engine, r.report.SADir, r.interfaces = e, found.SADir, found.Interfaces
			r.out.chosen(e.Name(), found.SADir)
			return nil
		}
		lacks = append(lacks, m...)
	}
	r.report.Engine = r.engines[0].Name()
	return &UnsupportedError{Missing: lacks}
}

// wire makes the two namespaces.
func (r *runner) wire(context.Context) error {
	for side := range r.ns {
		ns, err := newNamespace(sideNames[side])
		if err != nil {
			return err
		}
		r.ns[side] = ns
		r.later(ns.close)
		if r.nets[side], err = dialNetwork(ns); err != nil {
			return err
		}
		r.later(r.nets[side].close)
	}
	if err := r.nets[left].addWire(r.ns[right], veth); err != nil {
		return err
	}
	var err error
	if r.tap, err = openTap(r.ns, veth); err != nil {
		return err
	}
	r.later(func() error { r.tap.close(); return nil })
	for _, n := range r.nets {
		if err := n.setUp(veth); err != nil {
			return err
		}
	}
	for side, n := range r.nets {
		if err := n.addAddresses(veth, wireAddresses[side]); err != nil {
			return err
		}
	}
	r.out.wire()
	return nil
}

// protect installs all tunnels on both sides.
func (r *runner) protect(ctx context.Context) error {
	r.tunnels = plan(randomKey)
	if r.interfaces {
		throughInterfaces(r.tunnels)
	}
	for side := range r.ends {
		end, err := r.engine.Open(ctx, r.ns[side])
		if err != nil {
			return err
		}
		r.ends[side] = end
		r.later(end.Close)
		for _, t := range r.tunnels {
			l := t.end(side, r.report.SADir)
			if err := end.Install(ctx, l); err != nil {
				return fmt.Errorf("%s: %w", sideNames[side], err)
			}
			r.want[side] = append(r.want[side], l.SAs...)
			if err := r.route(t, side); err != nil {
				return err
			}
		}
	}
	r.out.plan(r.tunnels)
	return r.awaitAddresses(ctx)
}

// awaitAddresses waits until all addresses that ping each other can be used, on
// both sides: a ping to one that cannot yet gets no answer. What cannot be used
// after a while shows with the pings.
func (r *runner) awaitAddresses(ctx context.Context) error {
	wait, stop := context.WithTimeout(ctx, bindWait)
	defer stop()
	for _, t := range r.tunnels {
		for _, f := range t.flows {
			for side, a := range f.addr {
				if awaitAddress(wait, r.ns[side], a) != nil {
					return ctx.Err()
				}
			}
		}
	}
	return nil
}

// route sends what a tunnel protects to its interface.
func (r *runner) route(t *tunnel, side int) error {
	if t.name == "" {
		return nil
	}
	for _, f := range t.flows {
		if err := r.nets[side].addRoute(f.net[1-side], t.name); err != nil {
			return fmt.Errorf("%s: %w", sideNames[side], err)
		}
	}
	return nil
}

// ping tries all flows, one after another.
func (r *runner) ping(ctx context.Context) error {
	r.out.flowHeader()
	for _, t := range r.tunnels {
		for _, f := range t.flows {
			res, err := r.flow(ctx, t, f)
			if err != nil {
				return err
			}
			r.report.Tunnels = append(r.report.Tunnels, res)
			r.out.flow(&res)
		}
	}
	return r.unexpected()
}

// unexpected counts what passed the wire while no flow was looked at.
func (r *runner) unexpected() error {
	c, err := r.tap.read(nil)
	if err != nil {
		return err
	}
	r.report.Wire.add(c)
	if c.clear > 0 {
		r.out.line("  in clear between the pings: %s", c.firstBad)
	}
	return nil
}

func (r *runner) flow(ctx context.Context, t *tunnel, f *flow) (Tunnel, error) {
	res := newTunnel(t, f)
	if err := r.unexpected(); err != nil {
		return res, err
	}
	p, err := newPinger(ctx, r.ns[left], f.addr[left], f.addr[right])
	if err != nil {
		return res, err
	}
	defer p.close()
	wait := r.wait
	if r.lost {
		wait = min(wait, shortWait)
	}
	res.Sent = pings
	if res.Received, err = p.run(ctx, pings, wait); err != nil {
		return res, err
	}
	c, err := r.tap.read(p.marker)
	if err != nil {
		return res, err
	}
	r.report.Wire.add(c)
	res.ESPPackets, res.ClearPackets = c.packets(f.pair.spi[:]...), c.clear
	res.Detail = detail(p.lost, c)
	for _, s := range f.pair.spi {
		c := r.carried[s]
		c.packets += pings
		r.carried[s] = c
	}
	r.lost = r.lost || res.Received < res.Sent
	return res, nil
}

func detail(lost error, c *count) string {
	switch {
	case lost != nil:
		return lost.Error()
	case c.clear > 0:
		return "in clear: " + c.firstBad
	}
	return ""
}

func (w *Wire) add(c *count) {
	w.ESPPackets += c.packets()
	w.ClearPackets += c.clear
}
