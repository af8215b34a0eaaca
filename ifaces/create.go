package ifaces

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Create makes an interface, moves it to Spec.NetNS, gives it addresses, sets
// it up, and returns it as read back. When a step fails, what was made is
// deleted again. Errors: *ConflictError (fs.ErrExist) when the name or the
// if_id is taken, errors.ErrUnsupported when the kernel has no XFRM interfaces
// or no external ones.
func (c *Conn) Create(ctx context.Context, s *Spec) (*Link, error) {
	const op = "create interface"
	r, err := c.resolve(ctx, op, s)
	if err != nil {
		return nil, err
	}
	if err := c.do(ctx, createRequest(r)); err != nil {
		return nil, c.explainCreate(ctx, r, err)
	}
	d, err := c.created(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := c.verifyNew(r, d); err != nil {
		return nil, c.undo(ctx, d, err)
	}
	l, err := c.furnish(ctx, r, d)
	if err != nil {
		return nil, err
	}
	c.warnAbout(ctx, r)
	return l, nil
}

func createRequest(r *resolved) request {
	data := &Driver{Link: uint32(r.underlay), IfID: r.IfID, External: r.External}
	m := &linkRequest{LinkMessage: rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{
		Name: r.Name,
		MTU:  r.mtu,
		Info: &rtnetlink.LinkInfo{Kind: Kind, Data: data},
	}}}
	object := r.Name
	if object == "" {
		object = "with " + idText(r.IfID, r.External)
	}
	return request{op: "create interface", object: object, typ: rtmNewLink, flags: netlink.Create | netlink.Excl, msg: m}
}

// created finds what has just been made: by its name or, when the kernel chose
// that, by its key.
func (c *Conn) created(ctx context.Context, r *resolved) (*device, error) {
	if r.Name != "" {
		return c.xfrmDevice(ctx, "read back interface", r.Name, 0)
	}
	d, err := c.deviceByIfID(ctx, r.IfID, r.External)
	if isNotExist(err) && r.External {
		// a kernel that ignores "external" made one of if_id 0
		d, err = c.deviceByIfID(ctx, 0, false)
	}
	return d, err
}

// verifyNew compares what was made with what was asked: kernels skip link data
// that they do not know.
func (c *Conn) verifyNew(r *resolved, d *device) error {
	if r.External && !d.External {
		return noExternal(r, "the kernel ignored it")
	}
	if diffs := r.differences(d); len(diffs) > 0 {
		return &MismatchError{Op: "create interface", Name: d.Name, Differences: diffs}
	}
	return nil
}

func noExternal(r *resolved, text string) error {
	return &netlinkx.Error{
		Op: "create interface", Object: r.Name, Errno: syscall.EOPNOTSUPP, Text: text,
		Hint: "external interfaces need Linux 6.1",
	}
}

// undo deletes what this call has made, even when ctx has ended. It looks again
// first: the device may be gone, and its ifindex another's.
func (c *Conn) undo(ctx context.Context, d *device, cause error) error {
	ctx = context.WithoutCancel(ctx)
	now, err := c.xfrmDevice(ctx, "delete interface", "", d.Index)
	if err != nil || now.Name != d.Name {
		return cause
	}
	if err := c.deleteDevice(ctx, d); err != nil && !isNotExist(err) {
		return errors.Join(cause, fmt.Errorf("interface %s is left behind: %w", d.Name, err))
	}
	return cause
}

// furnish moves the new device to where it shall be and completes it.
func (c *Conn) furnish(ctx context.Context, r *resolved, d *device) (*Link, error) {
	at := c
	if !r.NetNS.IsZero() {
		target, moved, err := c.carry(ctx, d, r.NetNS)
		if err != nil {
			return nil, c.undo(ctx, d, err)
		}
		if target != c {
			defer func() { _ = target.Close() }()
		}
		at, d = target, moved
	}
	if err := at.complement(ctx, d, r.Spec); err != nil {
		return nil, at.undo(ctx, d, err)
	}
	l, err := at.complete(ctx, "read back interface", "", d.Index)
	if err != nil {
		return nil, at.undo(ctx, d, err)
	}
	if r.Up && !l.Up {
		diff := []Difference{{Field: "state", Want: "up", Have: "down"}}
		return nil, at.undo(ctx, d, &MismatchError{Op: "create interface", Name: l.Name, Differences: diff})
	}
	return l, nil
}

// complement sets what a new device does not take on creation.
func (c *Conn) complement(ctx context.Context, d *device, s *Spec) error {
	if s.Alias != "" {
		if err := c.setAlias(ctx, d, s.Alias); err != nil {
			return err
		}
	}
	for _, p := range s.Addresses {
		if err := c.addAddress(ctx, d, &Address{Prefix: p, Valid: Forever, Preferred: Forever}); err != nil {
			return err
		}
	}
	if s.Up {
		return c.setUp(ctx, d, true)
	}
	return nil
}

// warnAbout tells what the new interface may surprise with.
func (c *Conn) warnAbout(ctx context.Context, r *resolved) {
	if r.mtu == 0 {
		c.warn(WarnMTU, r.Name, "mtu is the kernel's 1500, not reduced for the tunnel: larger packets than fit are refused or fragmented when sent; give an mtu or what it shall be computed from")
	}
	if r.External {
		c.warnExternal(ctx, r.Name, r.Up)
	}
}

// warnExternal looks for IPv4 transport-mode SAs next to an external interface.
// Not being allowed to look is no reason for a warning.
func (c *Conn) warnExternal(ctx context.Context, name string, up bool) {
	n, err := c.transportSAs(ctx)
	if err != nil || n == 0 {
		return
	}
	when := "when it is set up, it takes"
	if up {
		when = "it takes"
	}
	c.warn(WarnExternal, name, fmt.Sprintf("%s the packets of all SAs of this namespace, and its IPv4 transport-mode SAs (%d) receive nothing any more; give external interfaces a namespace of their own", when, n))
}

// countTransportSAs counts the IPv4 transport-mode SAs of the namespace.
func (c *Conn) countTransportSAs(ctx context.Context) (n int, err error) {
	cfg := &netlinkx.Config{}
	if c.cfg.Engine != nil {
		cfg.Dial = c.cfg.Engine.XFRM
	}
	if c.home != nil && !c.cfg.NetNS.IsZero() {
		cfg.NetNS = netlinkx.NetNSFD(int(c.home.Fd()))
	}
	conn, err := netlinkx.Dial(cfg)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for sa, err := range conn.SAs(ctx, nil) {
		if err != nil {
			return n, err
		}
		if sa.Mode == netlinkx.ModeTransport && sa.Family == netlinkx.FamilyIPv4 && sa.Dir != netlinkx.DirOut {
			n++
		}
	}
	return n, nil
}
