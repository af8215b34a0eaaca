package ifaces

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Kinds of virtual tunnel interfaces, the predecessors of XFRM interfaces:
// modules ip_vti, whose tunnels end at IPv4 addresses, and ip6_vti.
const (
	KindVTI  = "vti"
	KindVTI6 = "vti6"
)

// VTI is a virtual tunnel interface as the kernel reports it. Packets that are
// sent through it look for policies and SAs as if OKey were their mark; what
// arrives from Remote for Local, as if IKey were. It is a value of the caller.
type VTI struct {
	Name     string
	AltNames []string
	Alias    string
	Index    int32
	Kind     string // KindVTI or KindVTI6

	Local, Remote netip.Addr // not valid: any
	IKey, OKey    uint32     // host byte order; 0 none
	FwMark        uint32     // for the route that the MTU is taken from

	Underlay     int32  // ifindex of the device that was named on creation, 0 none
	UnderlayName string // "" none, gone, or in another namespace

	// ContextID is present when the VTI has been moved here: see Link.ContextID.
	ContextID netlinkx.Opt[int32]

	MTU       uint32
	TxQueue   uint32 // packets
	Group     uint32
	Master    int32  // ifindex of the VRF it belongs to, 0 none
	Qdisc     string // "noqueue" unless somebody set one; "noop" while it was never up
	Up        bool   // administratively
	OperState string // RFC 2863
	Addresses []Address
}

// String names the VTI and its keys: "vti0 (key 42)".
func (v *VTI) String() string {
	if v.IKey == v.OKey {
		return fmt.Sprintf("%s (key %d)", v.Name, v.OKey)
	}
	return fmt.Sprintf("%s (ikey %d, okey %d)", v.Name, v.IKey, v.OKey)
}

// Family is that of the addresses that the tunnel ends at.
func (v *VTI) Family() netlinkx.Family { return vtiFamily(v.Kind) }

// Fallback reports whether v is the device that the module makes by itself in
// the first namespace (ip_vti0, ip6_vti0): it ends nowhere and cannot be deleted.
func (v *VTI) Fallback() bool {
	return !v.Local.IsValid() && !v.Remote.IsValid() && v.IKey == 0 && v.OKey == 0 && (v.Name == "ip_vti0" || v.Name == "ip6_vti0")
}

func vtiFamily(kind string) netlinkx.Family {
	if kind == KindVTI6 {
		return netlinkx.FamilyIPv6
	}
	return netlinkx.FamilyIPv4
}

func isVTI(kind string) bool { return kind == KindVTI || kind == KindVTI6 }

// vti makes a VTI of a device of that kind.
func (d *device) vti() *VTI {
	p := &d.tunnel
	return &VTI{
		Name: d.Name, AltNames: d.AltNames, Alias: d.Alias, Index: d.Index, Kind: d.kind,
		Local: p.local, Remote: p.remote, IKey: p.ikey, OKey: p.okey, FwMark: p.fwmark,
		Underlay: d.Underlay, ContextID: d.ContextID, MTU: d.MTU, TxQueue: d.txQueue, Group: d.group, Master: d.master,
		Qdisc: d.qdisc, Up: d.Up, OperState: d.OperState,
	}
}

// ListVTIs returns the VTIs that are in the namespace, in order of ifindex, with
// the modules' own (see VTI.Fallback). Errors as for List.
func (c *Conn) ListVTIs(ctx context.Context) ([]*VTI, error) {
	if c.cfg.Engine != nil {
		return nil, errEngineVTI
	}
	var out []*VTI
	var errs []error
	for _, kind := range []string{KindVTI, KindVTI6} {
		devices, err := c.devices(ctx, kind)
		if !keepGoing(err) {
			return nil, err
		}
		errs = append(errs, err)
		for _, d := range devices {
			out = append(out, d.vti())
		}
	}
	slices.SortFunc(out, func(a, b *VTI) int { return int(a.Index) - int(b.Index) })
	if len(out) == 0 {
		return out, errors.Join(errs...)
	}
	addrs, err := c.addresses(ctx, 0)
	if !keepGoing(err) {
		return nil, err
	}
	for _, v := range out {
		v.Addresses = addrs[v.Index]
	}
	return out, errors.Join(errors.Join(errs...), err, c.nameVTIs(ctx, out))
}

// errEngineVTI is the answer of a Conn to an engine.
var errEngineVTI = fmt.Errorf("the userspace engine has no VTIs, only XFRM interfaces: %w", errors.ErrUnsupported)

// nameVTIs fills in the names of the devices below.
func (c *Conn) nameVTIs(ctx context.Context, list []*VTI) error {
	for _, v := range list {
		if v.Underlay == 0 || v.ContextID.Valid {
			continue
		}
		d, err := c.device(ctx, "get interface", "", v.Underlay)
		if err != nil && !isNotExist(err) {
			return err
		}
		if d != nil {
			v.UnderlayName = d.Name
		}
	}
	return nil
}

// GetVTI returns the VTI of that name or alternative name. Errors:
// fs.ErrNotExist; *KindError when it is a device of another kind.
func (c *Conn) GetVTI(ctx context.Context, name string) (*VTI, error) {
	return c.completeVTI(ctx, "get vti", name, 0)
}

// GetVTIByIndex returns the VTI of that ifindex; errors as for GetVTI.
func (c *Conn) GetVTIByIndex(ctx context.Context, index int32) (*VTI, error) {
	return c.completeVTI(ctx, "get vti", "", index)
}

func (c *Conn) completeVTI(ctx context.Context, op, name string, index int32) (*VTI, error) {
	d, err := c.vtiDevice(ctx, op, name, index)
	if err != nil {
		return nil, err
	}
	addrs, err := c.addresses(ctx, d.Index)
	if !keepGoing(err) {
		return nil, err
	}
	v := d.vti()
	v.Addresses = addrs[d.Index]
	return v, errors.Join(err, c.nameVTIs(ctx, []*VTI{v}))
}

// vtiDevice is device, but for VTIs alone.
func (c *Conn) vtiDevice(ctx context.Context, op, name string, index int32) (*device, error) {
	if c.cfg.Engine != nil {
		return nil, fmt.Errorf("%s %s: %w", op, name, errEngineVTI)
	}
	d, err := c.device(ctx, op, name, index)
	if err != nil {
		return nil, err
	}
	if !isVTI(d.kind) {
		return nil, &KindError{Op: op, Name: d.Name, Kind: d.kind, Want: "vti or vti6"}
	}
	return d, nil
}

// tunnelDevice is device, but for VTIs and XFRM interfaces alone.
func (c *Conn) tunnelDevice(ctx context.Context, op, name string) (*device, error) {
	d, err := c.device(ctx, op, name, 0)
	if err != nil {
		return nil, err
	}
	if d.kind != Kind && !isVTI(d.kind) {
		return nil, &KindError{Op: op, Name: d.Name, Kind: d.kind, Want: "xfrm, vti or vti6"}
	}
	return d, nil
}
