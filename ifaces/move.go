package ifaces

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Loss is something of an interface that did not survive its move.
type Loss struct {
	What string // "address 10.0.0.1/24", "route 10.1.0.0/16", "state up"
	Err  error  // why it could not be restored; nil: it was not tried
}

// String returns one line.
func (l Loss) String() string {
	if l.Err == nil {
		return l.What
	}
	return l.What + ": " + l.Err.Error()
}

// Moved is the outcome of Conn.Move.
type Moved struct {
	Link *Link  // as read back in the target namespace
	Lost []Loss // what the kernel dropped and was not restored
}

// Move moves the XFRM interface of that name into another namespace, where it
// goes on using the SAs and policies of the one it was made in. The kernel
// sets it down and drops its addresses and routes; state and addresses are
// restored there, routes are not: they are listed as lost, as is whatever
// could not be restored. Addresses that the kernel makes itself are left to
// it. Errors: *ConflictError (fs.ErrExist) when the target has that name.
func (c *Conn) Move(ctx context.Context, name string, target netlinkx.NetNS) (*Moved, error) {
	const op = "move interface"
	l, err := c.complete(ctx, op, name, 0)
	if err != nil {
		return nil, err
	}
	routes, err := c.routes(ctx, l.Index)
	if !keepGoing(err) {
		return nil, err
	}
	at, d, err := c.carry(ctx, &device{Link: *l, kind: Kind}, target)
	if err != nil {
		return nil, err
	}
	if at == c {
		return &Moved{Link: l}, nil
	}
	defer func() { _ = at.Close() }()

	m := &Moved{}
	for _, r := range routes {
		m.Lost = append(m.Lost, Loss{What: "route " + r})
	}
	// It has moved: what follows reports, but does not fail.
	m.Lost = append(m.Lost, at.restore(ctx, d, l)...)
	if m.Link, err = at.complete(ctx, op, "", d.Index); err != nil {
		return m, err
	}
	for _, loss := range m.Lost {
		c.warn(WarnLost, m.Link.Name, loss.String())
	}
	return m, nil
}

// carry moves a device and returns a connection to the target namespace, for
// the caller to close, with the device as it is there. Where the target is
// this namespace, it returns c and d.
func (c *Conn) carry(ctx context.Context, d *device, target netlinkx.NetNS) (*Conn, *device, error) {
	const op = "move interface"
	file, err := target.Open()
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: %w", op, d.Name, err)
	}
	if file == nil || c.isHome(file) {
		closeFile(file)
		return c, d, nil
	}
	defer closeFile(file)
	at, err := c.dial(&Config{NetNS: netlinkx.NetNSFD(int(file.Fd())), OnWarning: c.cfg.OnWarning, Engine: c.cfg.Engine})
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: %w", op, d.Name, err)
	}
	msg := &linkRequest{LinkMessage: rtnetlink.LinkMessage{
		Index:      uint32(d.Index),
		Attributes: &rtnetlink.LinkAttributes{NetNS: rtnetlink.NetNSForFD(uint32(file.Fd()))},
	}}
	if err = c.do(ctx, request{op: op, object: d.Name + " to " + target.String(), typ: rtmNewLink, msg: msg}); err != nil {
		err = at.explainMove(ctx, d, target, err)
		return nil, nil, errors.Join(err, at.Close())
	}
	moved, err := at.xfrmDevice(ctx, op, d.Name, 0)
	if err != nil {
		return nil, nil, errors.Join(err, at.Close())
	}
	return at, moved, nil
}

func (c *Conn) isHome(file *os.File) bool {
	if c.home == nil {
		return false
	}
	fi, err := file.Stat()
	return err == nil && sameFile(c.home, fi)
}

// restore gives a moved device back what it had.
func (c *Conn) restore(ctx context.Context, d *device, had *Link) []Loss {
	var lost []Loss
	for i := range had.Addresses {
		a := &had.Addresses[i]
		if a.Origin != 0 && a.Origin <= addedByKernel {
			continue
		}
		if err := c.addAddress(ctx, d, a); err != nil {
			lost = append(lost, Loss{What: "address " + a.Prefix.String(), Err: err})
		}
	}
	if had.Up {
		if err := c.setUp(ctx, d, true); err != nil {
			lost = append(lost, Loss{What: "state up", Err: err})
		}
	}
	return lost
}

// routes lists the routes through a device that somebody added.
func (c *Conn) routes(ctx context.Context, index int32) ([]string, error) {
	m := &rawRequest{header: make([]byte, sizeofRouteMsg), attrs: []netlink.Attribute{u32Attr(rtaOIF, uint32(index))}}
	msgs, err := c.dump(ctx, request{op: "list routes", typ: rtmGetRoute, msg: m}, rtmNewRoute)
	if !keepGoing(err) {
		return nil, err
	}
	var out []string
	for _, msg := range msgs {
		r, derr := decodeRoute(msg.Data)
		if derr != nil {
			return nil, derr
		}
		if r.oif == uint32(index) && r.proto != rtprotKernel {
			out = append(out, r.String())
		}
	}
	return out, err
}

// route is what of a route is shown.
type route struct {
	dst    netip.Prefix // invalid: the default route
	oif    uint32
	table  uint32
	proto  uint8
	family netlinkx.Family
}

const tableMain = 254

func (r route) String() string {
	s := "default"
	if r.dst.IsValid() {
		s = r.dst.String()
	} else if r.family == netlinkx.FamilyIPv6 {
		s = "default (inet6)"
	}
	if r.table != tableMain {
		s += fmt.Sprintf(" table %d", r.table)
	}
	return s
}

// decodeRoute decodes a route message: struct rtmsg and its attributes.
//
//	0       1         2         3    4      5         6      7     8..11
//	family  dst bits  src bits  tos  table  protocol  scope  type  flags
func decodeRoute(b []byte) (route, error) {
	if len(b) < sizeofRouteMsg {
		return route{}, fmt.Errorf("route message of %d bytes", len(b))
	}
	r := route{table: uint32(b[4]), proto: b[5], family: netlinkx.Family(b[0])}
	ad, err := netlink.NewAttributeDecoder(b[sizeofRouteMsg:])
	if err != nil {
		return route{}, fmt.Errorf("route message: %w", err)
	}
	for ad.Next() {
		switch v := ad.Bytes(); ad.Type() {
		case rtaDst:
			if addr, ok := netip.AddrFromSlice(v); ok {
				r.dst = netip.PrefixFrom(addr, int(b[1]))
			}
		case rtaOIF, rtaTable:
			if len(v) != 4 {
				return route{}, fmt.Errorf("route message: %w", lengthError(fmt.Sprint(ad.Type()), len(v)))
			}
			if ad.Type() == rtaOIF {
				r.oif = binary.NativeEndian.Uint32(v)
			} else {
				r.table = binary.NativeEndian.Uint32(v)
			}
		}
	}
	if err := ad.Err(); err != nil {
		return route{}, fmt.Errorf("route message: %w", err)
	}
	return r, nil
}
