package ifaces

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Link is an XFRM interface as the kernel reports it. It is a value of the
// caller.
type Link struct {
	Name     string
	AltNames []string
	Alias    string
	Index    int32
	IfID     uint32
	External bool // the if_id comes with each packet; IfID is 0

	// Underlay is the ifindex of the device named on creation, 0 none. It is a
	// number of the context namespace and outlives the device.
	Underlay     int32
	UnderlayName string // "" none, gone, or in another namespace

	// ContextID is present when the interface has been moved: the id by which
	// this namespace knows the one that the interface was made in, whose SAs
	// and policies it still uses. See Conn.NamespaceNames.
	ContextID netlinkx.Opt[int32]

	MTU       uint32
	Up        bool   // administratively
	OperState string // RFC 2863: "up", "down", "unknown" …
	Addresses []Address
	// NoXFRM: IPv4 packets that are routed to it meet no policy on their way
	// there (disable_xfrm), only those of its if_id.
	NoXFRM bool
}

// String names the interface and its key: "ipsec0 (if_id 0x5)".
func (l *Link) String() string { return l.Name + " (" + idText(l.IfID, l.External) + ")" }

func idText(ifID uint32, external bool) string {
	if external {
		return "external"
	}
	return fmt.Sprintf("if_id %#x", ifID)
}

// hasName reports whether the device answers to name.
func (d *device) hasName(name string) bool {
	return d.Name == name || slices.Contains(d.AltNames, name)
}

// List returns the XFRM interfaces that are in the namespace, also those made
// in another one, in order of ifindex. When they changed during every attempt
// to read them, the list comes with netlinkx.ErrDumpInterrupted.
func (c *Conn) List(ctx context.Context) ([]*Link, error) {
	devices, err := c.devices(ctx, Kind)
	if !keepGoing(err) {
		return nil, err
	}
	links := make([]*Link, 0, len(devices))
	byIndex := make(map[int32]*Link, len(devices))
	for _, d := range devices {
		links = append(links, &d.Link)
		byIndex[d.Index] = &d.Link
	}
	slices.SortFunc(links, func(a, b *Link) int { return int(a.Index) - int(b.Index) })
	if len(links) == 0 {
		return links, err
	}
	addrs, aerr := c.addresses(ctx, 0)
	if !keepGoing(aerr) {
		return nil, aerr
	}
	for index, list := range addrs {
		if l := byIndex[index]; l != nil {
			l.Addresses = list
		}
	}
	return links, errors.Join(err, aerr, c.nameUnderlays(ctx, links))
}

// nameUnderlays asks for each underlying device once.
func (c *Conn) nameUnderlays(ctx context.Context, links []*Link) error {
	names := make(map[int32]string)
	for _, l := range links {
		if l.Underlay == 0 || l.ContextID.Valid {
			continue
		}
		name, known := names[l.Underlay]
		if !known {
			d, err := c.device(ctx, "get interface", "", l.Underlay)
			if err != nil && !isNotExist(err) {
				return err
			}
			if d != nil {
				name = d.Name
			}
			names[l.Underlay] = name
		}
		l.UnderlayName = name
	}
	return nil
}

// Get returns the XFRM interface of that name or alternative name. Errors:
// fs.ErrNotExist; *KindError when it is a device of another kind.
func (c *Conn) Get(ctx context.Context, name string) (*Link, error) {
	return c.complete(ctx, "get interface", name, 0)
}

// GetByIndex returns the XFRM interface of that ifindex; errors as for Get.
func (c *Conn) GetByIndex(ctx context.Context, index int32) (*Link, error) {
	return c.complete(ctx, "get interface", "", index)
}

// GetByIfID returns the XFRM interface with that if_id among those of the
// namespace that were made in it; 0 stands for the external one. One that was
// made here and moved away is not found: see ConflictError for those.
func (c *Conn) GetByIfID(ctx context.Context, ifID uint32) (*Link, error) {
	d, err := c.deviceByIfID(ctx, ifID, ifID == 0)
	if err != nil {
		return nil, err
	}
	return c.complete(ctx, "get interface", "", d.Index)
}

func (c *Conn) deviceByIfID(ctx context.Context, ifID uint32, external bool) (*device, error) {
	devices, err := c.devices(ctx, Kind)
	for _, d := range devices {
		if d.IfID == ifID && d.External == external && !d.ContextID.Valid {
			return d, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return nil, notFound("get interface", "with "+idText(ifID, external))
}

// complete reads one XFRM interface with its addresses and underlay.
func (c *Conn) complete(ctx context.Context, op, name string, index int32) (*Link, error) {
	d, err := c.xfrmDevice(ctx, op, name, index)
	if err != nil {
		return nil, err
	}
	addrs, err := c.addresses(ctx, d.Index)
	if !keepGoing(err) {
		return nil, err
	}
	d.Addresses = addrs[d.Index]
	return &d.Link, errors.Join(err, c.nameUnderlays(ctx, []*Link{&d.Link}))
}

// xfrmDevice is device, but for XFRM interfaces alone.
func (c *Conn) xfrmDevice(ctx context.Context, op, name string, index int32) (*device, error) {
	d, err := c.device(ctx, op, name, index)
	if err != nil {
		return nil, err
	}
	if d.kind != Kind {
		return nil, &KindError{Op: op, Name: d.Name, Kind: d.kind}
	}
	return d, nil
}

// device reads one link of any kind, by index or, when that is 0, by name.
func (c *Conn) device(ctx context.Context, op, name string, index int32) (*device, error) {
	skip := uint32(extSkipStats)
	m := &linkRequest{LinkMessage: rtnetlink.LinkMessage{
		Index:      uint32(index),
		Attributes: &rtnetlink.LinkAttributes{ExtMask: &skip},
	}}
	object := name
	switch {
	case index != 0:
		object = fmt.Sprintf("with ifindex %d", index)
	case name == "":
		return nil, notFound(op, "without a name")
	case len(name) > maxNameLen:
		m.extra = []netlink.Attribute{{Type: iflaAltIfname, Data: append([]byte(name), 0)}}
	default:
		m.Attributes.Name = name
	}
	r := request{op: op, object: object, typ: rtmGetLink, msg: m}
	msgs, err := c.get(ctx, r, rtmNewLink)
	if err != nil {
		return nil, err
	}
	if len(msgs) != 1 {
		return nil, fmt.Errorf("%s %s: %d answers", op, object, len(msgs))
	}
	return decodeLink(msgs[0].Data)
}

// devices lists links, of one kind or, with "", of all.
func (c *Conn) devices(ctx context.Context, kind string) ([]*device, error) {
	skip := uint32(extSkipStats)
	m := &linkRequest{LinkMessage: rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{ExtMask: &skip}}}
	if kind != "" {
		m.Attributes.Info = &rtnetlink.LinkInfo{Kind: kind}
	}
	msgs, err := c.dump(ctx, request{op: "list interfaces", typ: rtmGetLink, msg: m}, rtmNewLink)
	if !keepGoing(err) {
		return nil, err
	}
	out := make([]*device, 0, len(msgs))
	for _, msg := range msgs {
		d, derr := decodeLink(msg.Data)
		if derr != nil {
			return nil, derr
		}
		// a kernel that does not know the kind does not filter by it
		if kind == "" || d.kind == kind {
			out = append(out, d)
		}
	}
	return out, err
}

// Kinds returns the kind of each device of the namespace, by its name and by its
// alternative names; "" for one that has none, as most NICs.
func (c *Conn) Kinds(ctx context.Context) (map[string]string, error) {
	devices, err := c.devices(ctx, "")
	if !keepGoing(err) {
		return nil, err
	}
	out := make(map[string]string, len(devices))
	for _, d := range devices {
		for _, name := range append(d.AltNames, d.Name) {
			out[name] = d.kind
		}
	}
	return out, err
}
