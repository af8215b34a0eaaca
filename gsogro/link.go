package gsogro

import (
	"encoding/binary"
	"fmt"

	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Link is a network device and its place among others.
type Link struct {
	Name  string
	Index int32
	// Kind is that of rtnetlink: "veth", "bond", "vlan", "xfrm" …; "" for
	// hardware and loopback.
	Kind string
	// SlaveKind is the kind of the master that it is a port of: "bond", "bridge".
	SlaveKind string
	Lower     int32               // ifindex of the device below (IFLA_LINK), 0 none
	Master    int32               // ifindex of the bond or bridge that it is a port of, 0 none
	PeerNSID  netlinkx.Opt[int32] // Lower is in another namespace, with this id
	Bus, Slot string              // where hardware is: "pci", "0000:3b:00.0"
	MTU       uint32              // bytes
	Up        bool                // administratively
	Sizes     map[string]uint32   // by name, see Sizes
}

// Names of sizes, as `ip -details link` and `ip link set` have them. Bytes,
// but for the _segs. Those of TSO are the driver's and cannot be set.
const (
	GSOMaxSize     = "gso_max_size"
	GSOMaxSegs     = "gso_max_segs"
	GROMaxSize     = "gro_max_size"
	GSOIPv4MaxSize = "gso_ipv4_max_size"
	GROIPv4MaxSize = "gro_ipv4_max_size"
	TSOMaxSize     = "tso_max_size"
	TSOMaxSegs     = "tso_max_segs"
)

// sizeAttr ties a size to its attribute.
type sizeAttr struct {
	name     string
	attr     uint16
	readOnly bool
}

// sizeAttrs is in the order in which sizes are set: setting the general one
// also sets that of IPv4 where it is at most 65536.
func sizeAttrs() []sizeAttr {
	return []sizeAttr{
		{GSOMaxSize, iflaGSOMaxSize, false},
		{GSOMaxSegs, iflaGSOMaxSegs, false},
		{GROMaxSize, iflaGROMaxSize, false},
		{GSOIPv4MaxSize, iflaGSOIPv4MaxSize, false},
		{GROIPv4MaxSize, iflaGROIPv4MaxSize, false},
		{TSOMaxSize, iflaTSOMaxSize, true},
		{TSOMaxSegs, iflaTSOMaxSegs, true},
	}
}

// SizeNames returns the names of the sizes that can be set.
func SizeNames() []string {
	var names []string
	for _, s := range sizeAttrs() {
		if !s.readOnly {
			names = append(names, s.name)
		}
	}
	return names
}

// decodeLink reads the payload of an RTM_NEWLINK message.
func decodeLink(b []byte) (*Link, error) {
	if len(b) < sizeofIfInfo {
		return nil, fmt.Errorf("malformed NEWLINK message of %d bytes", len(b))
	}
	l := &Link{
		Index: int32(native.Uint32(b[4:])),
		Up:    native.Uint32(b[8:])&iffUp != 0,
		Sizes: map[string]uint32{},
	}
	ad, err := netlink.NewAttributeDecoder(b[sizeofIfInfo:])
	if err != nil {
		return nil, fmt.Errorf("malformed NEWLINK message: %w", err)
	}
	for ad.Next() {
		l.attribute(ad)
	}
	if err := ad.Err(); err != nil {
		return nil, fmt.Errorf("malformed NEWLINK message: %w", err)
	}
	return l, nil
}

func (l *Link) attribute(ad *netlink.AttributeDecoder) {
	switch ad.Type() {
	case iflaIfname:
		l.Name = ad.String()
	case iflaMTU:
		l.MTU = ad.Uint32()
	case iflaLink:
		l.Lower = ad.Int32()
	case iflaMaster:
		l.Master = ad.Int32()
	case iflaLinkNetNSID:
		l.PeerNSID = netlinkx.Some(ad.Int32())
	case iflaParentDevName:
		l.Slot = ad.String()
	case iflaParentDevBus:
		l.Bus = ad.String()
	case iflaLinkinfo:
		ad.Nested(func(in *netlink.AttributeDecoder) error {
			for in.Next() {
				switch in.Type() {
				case iflaInfoKind:
					l.Kind = in.String()
				case iflaInfoSlaveKind:
					l.SlaveKind = in.String()
				}
			}
			return nil
		})
	default:
		for _, s := range sizeAttrs() {
			if s.attr == ad.Type() {
				l.Sizes[s.name] = ad.Uint32()
			}
		}
	}
}

// encodeLinkGet makes the payload of RTM_GETLINK: one device by name, or all.
func encodeLinkGet(name string) ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	if name != "" {
		ae.String(iflaIfname, name)
	}
	ae.Uint32(iflaExtMask, extSkipStats)
	return withIfInfo(0, ae)
}

// encodeSize makes the payload of RTM_NEWLINK that sets one size.
func encodeSize(index int32, attr uint16, v uint32) ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	ae.Uint32(attr, v)
	return withIfInfo(index, ae)
}

func withIfInfo(index int32, ae *netlink.AttributeEncoder) ([]byte, error) {
	attrs, err := ae.Encode()
	if err != nil {
		return nil, err
	}
	b := make([]byte, sizeofIfInfo, sizeofIfInfo+len(attrs))
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return append(b, attrs...), nil
}
