package ifaces

import (
	"context"
	"errors"

	"github.com/jsimonetti/rtnetlink/v2"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// In connects to another namespace as c is connected to its own: with the same
// engine and warnings. The caller closes it.
func (c *Conn) In(ns netlinkx.NetNS) (*Conn, error) {
	return c.dial(&Config{NetNS: ns, OnWarning: c.cfg.OnWarning, Engine: c.cfg.Engine})
}

// NamespaceID returns the id by which c's namespace knows that of another
// connection: what Link.ContextID says of interfaces that were made there.
// Absent: it knows it by none, so no such interface is here.
func (c *Conn) NamespaceID(ctx context.Context, of *Conn) (netlinkx.Opt[int32], error) {
	if of.home == nil {
		return netlinkx.Opt[int32]{}, errors.New("the other network namespace cannot be opened (/proc)")
	}
	return c.nsid(ctx, of.home)
}

// Transfer moves an interface of that name that is new, down and bare to another
// namespace and gives it a name there. When it cannot have that name, it is
// deleted. It goes on using the SAs and policies of this namespace.
func (c *Conn) Transfer(ctx context.Context, name string, target netlinkx.NetNS, as string) (*Link, error) {
	d, err := c.xfrmDevice(ctx, "move interface", name, 0)
	if err != nil {
		return nil, err
	}
	at, moved, err := c.carry(ctx, d, target)
	if err != nil {
		return nil, err
	}
	if at != c {
		defer func() { _ = at.Close() }()
	}
	if err := at.setLink(ctx, moved, &rtnetlink.LinkAttributes{Name: as}); err != nil {
		return nil, at.undo(ctx, moved, err)
	}
	l := moved.Link
	l.Name = as
	return &l, nil
}
