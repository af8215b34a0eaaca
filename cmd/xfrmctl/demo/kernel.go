package demo

import (
	"context"
	"os"
	"strings"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Kernel returns the engine that has the kernel do the IPsec.
func Kernel() Engine { return kernel{} }

type kernel struct{}

// Name returns "kernel".
func (kernel) Name() string { return "kernel" }

// Open connects to the kernel in ns.
func (kernel) Open(_ context.Context, ns *Namespace) (Endpoint, error) {
	xfrm, err := netlinkx.Dial(&netlinkx.Config{NetNS: ns.NetNS()})
	if err != nil {
		return nil, err
	}
	links, err := ifaces.Dial(&ifaces.Config{NetNS: ns.NetNS()})
	if err != nil {
		_ = xfrm.Close() // the other error says what is wrong
		return nil, err
	}
	return &kernelEndpoint{ns, xfrm, links}, nil
}

// kernelEndpoint speaks the kernel's messages, to the kernel or to another
// engine.
type kernelEndpoint struct {
	ns    *Namespace
	xfrm  *netlinkx.Conn
	links *ifaces.Conn
}

// Install implements Endpoint. SAs and policies come before the interface is
// up, so that no packet leaves it before there is something to protect it.
func (e *kernelEndpoint) Install(ctx context.Context, l *Link) error {
	for _, sa := range l.SAs {
		if err := e.xfrm.AddSA(ctx, sa); err != nil {
			return err
		}
	}
	for _, p := range l.Policies {
		// neighbour discovery may pass for a link before this one already
		if err := e.xfrm.UpdatePolicy(ctx, p); err != nil {
			return err
		}
	}
	if l.Name == "" {
		return nil
	}
	spec := &ifaces.Spec{Name: l.Name, IfID: l.IfID, Underlay: l.Underlay, MTUFor: longest(l.SAs)}
	if _, err := e.links.Create(ctx, spec); err != nil {
		return err
	}
	quiet(e.ns, l.Name)
	if _, err := e.links.Change(ctx, l.Name, &ifaces.Change{Up: netlinkx.Some(true)}); err != nil {
		return err
	}
	// last, see addAddresses
	_, err := e.links.Change(ctx, l.Name, &ifaces.Change{AddAddresses: l.Addresses})
	return err
}

// longest returns the SA that leaves the least room in a packet. The size of
// the underlay does not matter to the order.
func longest(sas []*netlinkx.SA) *netlinkx.SA {
	const underlay = 1500
	var worst *netlinkx.SA
	least := underlay
	for _, sa := range sas {
		if mtu, err := ifaces.MTU(underlay, sa); err == nil && mtu < least {
			worst, least = sa, mtu
		}
	}
	return worst
}

// SAs implements Endpoint.
func (e *kernelEndpoint) SAs(ctx context.Context) ([]*netlinkx.SA, error) {
	return e.xfrm.ListSAs(ctx, nil)
}

// Errors implements Endpoint: CONFIG_XFRM_STATISTICS.
func (e *kernelEndpoint) Errors(context.Context) (nonzero []string, counted bool) {
	var text []byte
	err := e.ns.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/xfrm_stat")
		return err
	})
	if err != nil {
		return nil, false
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[1] != "0" {
			nonzero = append(nonzero, f[0]+" "+f[1])
		}
	}
	return nonzero, true
}

// Close implements Endpoint.
func (e *kernelEndpoint) Close() error {
	err := e.xfrm.Close()
	if lerr := e.links.Close(); err == nil {
		err = lerr
	}
	return err
}
