package ifaces

import (
	"context"
	"errors"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Engine is another engine than the kernel, which has XFRM interfaces of its
// own. It answers link messages; addresses and routes remain the kernel's.
type Engine struct {
	// Links connects to the engine for the links of a network namespace; the
	// zero NetNS is the caller's.
	Links func(ns netlinkx.NetNS) (netlinkx.Transport, error)
	// XFRM connects for SAs and policies, like the Dial of netlinkx.Config.
	XFRM func() (netlinkx.Transport, error)
}

// divided sends link messages to an engine and everything else to the kernel.
type divided struct {
	links *rtnl.Conn
	rest  *socket
}

func isLink(typ uint16) bool { return typ == rtmNewLink || typ == rtmDelLink || typ == rtmGetLink }

func (d *divided) exchange(ctx context.Context, m rtnetlink.Message, typ uint16, flags netlink.HeaderFlags) ([]netlink.Message, error) {
	if isLink(typ) {
		return exchangeOver(ctx, d.links, m, typ, flags)
	}
	return d.rest.exchange(ctx, m, typ, flags)
}

// batch is for messages that all go the same way.
func (d *divided) batch(ctx context.Context, msgs []rtnl.Message) (*rtnl.Result, error) {
	if len(msgs) > 0 && isLink(msgs[0].Type) {
		return d.links.Batch(ctx, msgs)
	}
	return d.rest.batch(ctx, msgs)
}

func (d *divided) close() error { return errors.Join(d.links.Close(), d.rest.close()) }

// exchangeOver is exchange over another connection than a socket of this package.
func exchangeOver(ctx context.Context, c *rtnl.Conn, m rtnetlink.Message, typ uint16, flags netlink.HeaderFlags) ([]netlink.Message, error) {
	body, err := m.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return c.Exchange(ctx, &rtnl.Message{Type: typ, Flags: flags, Body: body})
}
