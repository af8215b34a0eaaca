package ifaces

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// VTISpec describes a VTI that shall exist. New tunnels are better made of XFRM
// interfaces: this is for what must look like an old one.
type VTISpec struct {
	Name          string // not ""
	Kind          string // KindVTI or KindVTI6
	Local, Remote netip.Addr
	IKey, OKey    uint32
	FwMark        uint32
	Underlay      string // name of the device below, "" none
	MTU           uint32 // bytes; 0: the kernel's
	Addresses     []netip.Prefix
	Up            bool
}

func (s *VTISpec) check() error {
	switch {
	case s.Name == "":
		return errors.New("the name of a vti is required")
	case !isVTI(s.Kind):
		return fmt.Errorf("kind %q: it is %s or %s", s.Kind, KindVTI, KindVTI6)
	}
	for _, a := range []netip.Addr{s.Local, s.Remote} {
		if a.IsValid() && netlinkx.FamilyOf(a) != vtiFamily(s.Kind) {
			return fmt.Errorf("%s: a %s ends at %s addresses", a, s.Kind, vtiFamily(s.Kind))
		}
	}
	return nil
}

// linkData looks up the device below.
func (c *Conn) linkData(ctx context.Context, op string, s *VTISpec) (*vtiData, error) {
	if c.cfg.Engine != nil {
		return nil, fmt.Errorf("%s %s: %w", op, s.Name, errEngineVTI)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%s %s: %w", op, s.Name, err)
	}
	v := &vtiData{kind: s.Kind, ikey: s.IKey, okey: s.OKey, local: s.Local, remote: s.Remote, fwmark: s.FwMark}
	if s.Underlay == "" {
		return v, nil
	}
	d, err := c.device(ctx, "find device", s.Underlay, 0)
	if err != nil {
		return nil, err
	}
	v.link = uint32(d.Index)
	return v, nil
}

// CreateVTI makes a VTI, gives it addresses, sets it up, and returns it as read
// back. When a step fails, what was made is deleted again. Errors:
// *ConflictError (fs.ErrExist) when the name, or endpoints and keys, are taken;
// errors.ErrUnsupported when the kernel has no VTIs.
func (c *Conn) CreateVTI(ctx context.Context, s *VTISpec) (*VTI, error) {
	const op = "create vti"
	data, err := c.linkData(ctx, op, s)
	if err != nil {
		return nil, err
	}
	m := &linkRequest{LinkMessage: rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{
		Name: s.Name, MTU: s.MTU, Info: &rtnetlink.LinkInfo{Kind: s.Kind, Data: data},
	}}}
	r := request{op: op, object: s.Name, typ: rtmNewLink, flags: netlink.Create | netlink.Excl, msg: m}
	if err := c.do(ctx, r); err != nil {
		return nil, c.explainVTI(ctx, s, err)
	}
	v, err := c.finishVTI(ctx, s, data)
	if err != nil {
		return nil, c.undoVTI(ctx, s.Name, err)
	}
	return v, nil
}

func (c *Conn) finishVTI(ctx context.Context, s *VTISpec, data *vtiData) (*VTI, error) {
	d, err := c.vtiDevice(ctx, "create vti", s.Name, 0)
	if err != nil {
		return nil, err
	}
	if diffs := vtiDifferences(s, data, d); len(diffs) > 0 {
		return nil, &MismatchError{Op: "create vti", Name: s.Name, Differences: diffs}
	}
	if err := c.complement(ctx, d, &Spec{Addresses: s.Addresses, Up: s.Up}); err != nil {
		return nil, err
	}
	return c.completeVTI(ctx, "read back vti", "", d.Index)
}

func (c *Conn) undoVTI(ctx context.Context, name string, cause error) error {
	if err := c.DeleteVTI(context.WithoutCancel(ctx), name); err != nil && !isNotExist(err) {
		return errors.Join(cause, fmt.Errorf("vti %s is left behind: %w", name, err))
	}
	return cause
}

func vtiDifferences(s *VTISpec, want *vtiData, d *device) []Difference {
	var diffs []Difference
	have := &d.tunnel
	for _, f := range []struct {
		field      string
		want, have string
	}{
		{"kind", want.kind, quoteEmpty(d.kind)}, {"local", anyText(want.local), anyText(have.local)}, {"remote", anyText(want.remote), anyText(have.remote)},
		{"ikey", fmt.Sprint(want.ikey), fmt.Sprint(have.ikey)}, {"okey", fmt.Sprint(want.okey), fmt.Sprint(have.okey)},
		{"fwmark", fmt.Sprintf("%#x", want.fwmark), fmt.Sprintf("%#x", have.fwmark)},
		{"dev", indexText(int32(want.link), s.Underlay), indexText(int32(have.link), nameIf(have.link == want.link, s.Underlay))},
	} {
		if f.want != f.have {
			diffs = append(diffs, Difference{Field: f.field, Want: f.want, Have: f.have})
		}
	}
	if s.MTU != 0 && s.MTU != d.MTU {
		diffs = append(diffs, Difference{Field: "mtu", Want: fmt.Sprint(s.MTU), Have: fmt.Sprint(d.MTU)})
	}
	return diffs
}

func anyText(a netip.Addr) string {
	if !a.IsValid() {
		return "any"
	}
	return a.String()
}

// explainVTI finds out what EEXIST is about: the name, or endpoints and keys
// (ip_tunnel_find, vti6_locate).
func (c *Conn) explainVTI(ctx context.Context, s *VTISpec, err error) error {
	var e *netlinkx.Error
	if !errors.As(err, &e) || e.Errno != syscall.EEXIST {
		return err
	}
	out := &ConflictError{Err: e}
	devices, derr := c.devices(ctx, "")
	if derr != nil && len(devices) == 0 {
		return out // the refusal itself is the news
	}
	for _, d := range devices {
		if d.hasName(s.Name) {
			out.Taken, out.Holder, e.Hint = TakenName, holderOf(d, netlinkx.NetNS{}), "choose another name"
			return out
		}
	}
	i := slices.IndexFunc(devices, func(d *device) bool {
		return d.kind == s.Kind && d.tunnel.local == s.Local && d.tunnel.remote == s.Remote
	})
	if i >= 0 {
		out.Taken, out.Holder = TakenEnds, holderOf(devices[i], netlinkx.NetNS{})
		e.Hint = "the kernel has one VTI for two endpoints and their keys; XFRM interfaces are told apart by their if_id alone"
	}
	return out
}

// AdoptVTI returns the VTI s.Name when it is what s describes: kind, endpoints,
// keys, device below and, when given, MTU. It changes nothing. Errors as for
// Adopt.
func (c *Conn) AdoptVTI(ctx context.Context, s *VTISpec) (*VTI, error) {
	const op = "adopt vti"
	data, err := c.linkData(ctx, op, s)
	if err != nil {
		return nil, err
	}
	d, err := c.device(ctx, op, s.Name, 0)
	if err != nil {
		return nil, err
	}
	if diffs := vtiDifferences(s, data, d); len(diffs) > 0 {
		return nil, &MismatchError{Op: op, Name: d.Name, Differences: diffs}
	}
	return c.completeVTI(ctx, op, "", d.Index)
}

// ChangeVTI is Change for a VTI: its MTU, alias, addresses and state. Its keys
// and endpoints cannot be changed by it.
func (c *Conn) ChangeVTI(ctx context.Context, name string, ch *Change) (*VTI, error) {
	const op = "change vti"
	if ch.IfID.Valid || ch.MTUFor != nil {
		return nil, fmt.Errorf("%s %s: a vti has no if_id, and its mtu is not computed", op, name)
	}
	d, err := c.vtiDevice(ctx, op, name, 0)
	if err != nil {
		return nil, err
	}
	if err := c.changeRest(ctx, d, ch, ch.MTU.V); err != nil {
		return nil, err
	}
	v, err := c.completeVTI(ctx, op, "", d.Index)
	if err != nil {
		return nil, err
	}
	if diffs := ch.differences(&Link{MTU: v.MTU, Alias: v.Alias, Up: v.Up}, ch.MTU.V); len(diffs) > 0 {
		return v, &MismatchError{Op: op, Name: v.Name, Differences: diffs}
	}
	return v, nil
}

// DeleteVTI deletes the VTI of that name or alternative name. A device of
// another kind is left alone: *KindError.
func (c *Conn) DeleteVTI(ctx context.Context, name string) error {
	d, err := c.vtiDevice(ctx, "delete vti", name, 0)
	if err != nil {
		return err
	}
	return c.deleteDevice(ctx, d)
}

// Rename gives an XFRM interface or a VTI another name. Before Linux 6.2 it has
// to be down. Errors: fs.ErrExist when a device has that name.
func (c *Conn) Rename(ctx context.Context, name, to string) error {
	const op = "rename interface"
	d, err := c.tunnelDevice(ctx, op, name)
	if err != nil {
		return err
	}
	m := &linkRequest{LinkMessage: rtnetlink.LinkMessage{Index: uint32(d.Index), Attributes: &rtnetlink.LinkAttributes{Name: to}}}
	return c.do(ctx, request{op: op, object: name + " to " + to, typ: rtmNewLink, msg: m})
}

// SetAddresses makes the addresses of an XFRM interface or VTI those of list,
// with their labels, peers, scopes, metrics and lifetimes: others are deleted.
// Addresses that the kernel makes itself are left to it, in both.
func (c *Conn) SetAddresses(ctx context.Context, name string, list []Address) error {
	d, err := c.tunnelDevice(ctx, "set addresses", name)
	if err != nil {
		return err
	}
	all, err := c.addresses(ctx, d.Index)
	if !keepGoing(err) {
		return err
	}
	have := all[d.Index]
	for i := range have {
		if a := &have[i]; !a.Automatic() && !slices.ContainsFunc(list, a.Same) {
			if err := c.deleteAddress(ctx, d, a.Prefix); err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
				return err // EADDRNOTAVAIL: it went with the primary one of its subnet
			}
		}
	}
	if all, err = c.addresses(ctx, d.Index); !keepGoing(err) {
		return err
	}
	for i := range list {
		if a := &list[i]; !a.Automatic() && !slices.ContainsFunc(all[d.Index], a.Same) {
			if err := c.addAddress(ctx, d, a); err != nil {
				return err
			}
		}
	}
	return nil
}
