package ifaces

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Change says what of an interface shall be different; what is absent stays.
// The kernel cannot change underlay and external: delete and create.
type Change struct {
	IfID   netlinkx.Opt[uint32]
	MTU    netlinkx.Opt[uint32]
	MTUFor *netlinkx.SA // computes the MTU from the underlay; see Spec
	Alias  netlinkx.Opt[string]
	Up     netlinkx.Opt[bool]

	AddAddresses    []netip.Prefix
	DeleteAddresses []netip.Prefix
}

// Change changes the XFRM interface of that name and returns it as read back.
// The steps (if_id, MTU, alias, addresses, up or down) are requests of their
// own: the first that fails ends it, and those before stay done. A new if_id
// takes effect at once; SAs and policies are not touched.
func (c *Conn) Change(ctx context.Context, name string, ch *Change) (*Link, error) {
	const op = "change interface"
	d, err := c.xfrmDevice(ctx, op, name, 0)
	if err != nil {
		return nil, err
	}
	mtu, err := c.changedMTU(ctx, d, ch)
	if err != nil {
		return nil, err
	}
	if ch.IfID.Valid && ch.IfID.V != d.IfID {
		if err := c.setIfID(ctx, d, ch.IfID.V); err != nil {
			return nil, err
		}
	}
	if err := c.changeRest(ctx, d, ch, mtu); err != nil {
		return nil, err
	}
	l, err := c.complete(ctx, op, "", d.Index)
	if err != nil {
		return nil, err
	}
	if diffs := ch.differences(l, mtu); len(diffs) > 0 {
		return l, &MismatchError{Op: op, Name: l.Name, Differences: diffs}
	}
	if l.External && ch.Up.Valid && ch.Up.V && !l.ContextID.Valid {
		c.warnExternal(ctx, l.Name, true)
	}
	return l, nil
}

func (c *Conn) changeRest(ctx context.Context, d *device, ch *Change, mtu uint32) error {
	if mtu != 0 {
		if err := c.setLink(ctx, d, &rtnetlink.LinkAttributes{MTU: mtu}); err != nil {
			return err
		}
	}
	if ch.Alias.Valid {
		if err := c.setAlias(ctx, d, ch.Alias.V); err != nil {
			return err
		}
	}
	for _, p := range ch.DeleteAddresses {
		if err := c.deleteAddress(ctx, d, p); err != nil {
			return err
		}
	}
	for _, p := range ch.AddAddresses {
		if err := c.addAddress(ctx, d, &Address{Prefix: p, Valid: Forever, Preferred: Forever}); err != nil {
			return err
		}
	}
	if ch.Up.Valid {
		return c.setUp(ctx, d, ch.Up.V)
	}
	return nil
}

// changedMTU returns the new MTU, 0 to leave it.
func (c *Conn) changedMTU(ctx context.Context, d *device, ch *Change) (uint32, error) {
	if ch.MTUFor == nil {
		return ch.MTU.V, nil
	}
	if d.Underlay == 0 || d.ContextID.Valid {
		return 0, fmt.Errorf("change interface %s: the mtu cannot be computed: the interface has no underlying device in this namespace", d.Name)
	}
	u, err := c.device(ctx, "find device", "", d.Underlay)
	if err != nil {
		return 0, err
	}
	mtu, err := MTU(int(u.MTU), ch.MTUFor)
	if err != nil {
		return 0, fmt.Errorf("change interface %s: underlay %s: %w", d.Name, u.Name, err)
	}
	return uint32(mtu), nil
}

// setIfID sends the whole parameter set: what is left out, the kernel takes
// for 0 and refuses (xfrmi_changelink).
func (c *Conn) setIfID(ctx context.Context, d *device, ifID uint32) error {
	err := c.setLink(ctx, d, &rtnetlink.LinkAttributes{
		Info: &rtnetlink.LinkInfo{Kind: Kind, Data: &Driver{Link: uint32(d.Underlay), IfID: ifID, External: d.External}},
	})
	return c.explainChange(ctx, d, ifID, err)
}

func (c *Conn) setLink(ctx context.Context, d *device, a *rtnetlink.LinkAttributes) error {
	m := &linkRequest{LinkMessage: rtnetlink.LinkMessage{Index: uint32(d.Index), Attributes: a}}
	return c.do(ctx, request{op: "change interface", object: d.Name, typ: rtmNewLink, msg: m})
}

func (c *Conn) setUp(ctx context.Context, d *device, up bool) error {
	m := &linkRequest{LinkMessage: rtnetlink.LinkMessage{Index: uint32(d.Index), Change: iffUp}}
	op := "set down interface"
	if up {
		m.Flags, op = iffUp, "set up interface"
	}
	return c.do(ctx, request{op: op, object: d.Name, typ: rtmNewLink, msg: m})
}

// setAlias sends the alias without a NUL, which the kernel would keep.
func (c *Conn) setAlias(ctx context.Context, d *device, alias string) error {
	m := &linkRequest{
		LinkMessage: rtnetlink.LinkMessage{Index: uint32(d.Index)},
		extra:       []netlink.Attribute{{Type: iflaIfalias, Data: []byte(alias)}},
	}
	return c.do(ctx, request{op: "change interface", object: d.Name, typ: rtmNewLink, msg: m})
}

func (ch *Change) differences(l *Link, mtu uint32) []Difference {
	var diffs []Difference
	add := func(field string, want, have any) {
		if want != have {
			diffs = append(diffs, Difference{Field: field, Want: fmt.Sprint(want), Have: fmt.Sprint(have)})
		}
	}
	if ch.IfID.Valid {
		add("if_id", fmt.Sprintf("%#x", ch.IfID.V), fmt.Sprintf("%#x", l.IfID))
	}
	if mtu != 0 {
		add("mtu", mtu, l.MTU)
	}
	if ch.Alias.Valid {
		add("alias", ch.Alias.V, l.Alias)
	}
	if ch.Up.Valid {
		add("up", ch.Up.V, l.Up)
	}
	return diffs
}

// Delete deletes the XFRM interface of that name or alternative name. A device
// of another kind is left alone: *KindError.
func (c *Conn) Delete(ctx context.Context, name string) error {
	d, err := c.xfrmDevice(ctx, "delete interface", name, 0)
	if err != nil {
		return err
	}
	return c.deleteDevice(ctx, d)
}

// deleteDevice deletes by index: a name may mean another device by now.
func (c *Conn) deleteDevice(ctx context.Context, d *device) error {
	m := &linkRequest{LinkMessage: rtnetlink.LinkMessage{Index: uint32(d.Index)}}
	return c.do(ctx, request{op: "delete interface", object: d.Name, typ: rtmDelLink, msg: m})
}

// Adopt returns the interface s.Name when it is what s describes: kind, if_id,
// external, underlay and, when given, MTU. It changes nothing; addresses, state
// and namespace of s are not looked at. Otherwise the error is a
// *MismatchError that lists the differences; fs.ErrNotExist without such a
// device.
func (c *Conn) Adopt(ctx context.Context, s *Spec) (*Link, error) {
	const op = "adopt interface"
	r, err := c.resolve(ctx, op, s)
	if err != nil {
		return nil, err
	}
	d, err := c.device(ctx, op, s.Name, 0)
	if err != nil {
		return nil, err
	}
	if diffs := r.differences(d); len(diffs) > 0 {
		return nil, &MismatchError{Op: op, Name: d.Name, Differences: diffs}
	}
	return c.complete(ctx, op, "", d.Index)
}
