package ifaces

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/netip"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Forever is the lifetime of an address that does not expire.
const Forever uint32 = math.MaxUint32

// Address is an address of an interface.
type Address struct {
	Prefix    netip.Prefix // local address and prefix length
	Peer      netip.Addr   // other end, when it is not the local address
	Broadcast netip.Addr
	Label     string
	Scope     uint8  // RT_SCOPE_*: 0 global, 253 link, 254 host
	Flags     uint32 // IFA_F_*
	Metric    uint32 // of the prefix route, 0 the kernel's
	Origin    uint8  // IFAPROT_*: 1 to 3 the kernel itself (Linux 5.18), 0 unknown
	Valid     uint32 // seconds left, or Forever
	Preferred uint32 // seconds left, or Forever
}

// Automatic reports whether the kernel made the address itself: from router
// advertisements, or as the link-local one. Kernels before 5.18 do not tell;
// there those of link scope in IPv6 are taken for its own.
func (a *Address) Automatic() bool {
	if a.Origin != 0 {
		return a.Origin <= addedByKernel
	}
	return a.Prefix.Addr().Is6() && a.Prefix.Addr().IsLinkLocalUnicast()
}

// Same reports whether b says of an address what a does; the seconds that are
// left and what the kernel decides itself are not compared.
func (a *Address) Same(b Address) bool {
	return a.Prefix == b.Prefix && a.Peer == b.Peer && a.Broadcast == b.Broadcast && a.Label == b.Label && a.Scope == b.Scope &&
		a.Flags&settableFlags == b.Flags&settableFlags && a.Metric == b.Metric && (a.Valid == Forever) == (b.Valid == Forever)
}

// Flags of an address that are a wish and not a state (IFA_F_NODAD,
// HOMEADDRESS, MANAGETEMPADDR, NOPREFIXROUTE, MCAUTOJOIN of linux/if_addr.h).
const settableFlags = 0x02 | 0x10 | 0x100 | 0x200 | 0x400

// addedByKernel is the highest IFAPROT_* that the kernel uses for addresses
// that it makes: loopback, router advertisement, link-local.
const addedByKernel = 3

// AddAddress gives the XFRM interface an address; errors: fs.ErrExist when it
// has it.
func (c *Conn) AddAddress(ctx context.Context, name string, p netip.Prefix) error {
	d, err := c.xfrmDevice(ctx, "add address", name, 0)
	if err != nil {
		return err
	}
	return c.addAddress(ctx, d, &Address{Prefix: p, Valid: Forever, Preferred: Forever})
}

// DeleteAddress takes an address from the XFRM interface; errors:
// *netlinkx.Error with EADDRNOTAVAIL when it does not have it.
func (c *Conn) DeleteAddress(ctx context.Context, name string, p netip.Prefix) error {
	d, err := c.xfrmDevice(ctx, "delete address", name, 0)
	if err != nil {
		return err
	}
	return c.deleteAddress(ctx, d, p)
}

// Addresses returns the addresses of the XFRM interface, primary ones first.
func (c *Conn) Addresses(ctx context.Context, name string) ([]Address, error) {
	l, err := c.complete(ctx, "list addresses", name, 0)
	if l == nil {
		return nil, err
	}
	return l.Addresses, err
}

func (c *Conn) addAddress(ctx context.Context, d *device, a *Address) error {
	m, err := newAddressRequest(d.Index, a)
	if err != nil {
		return fmt.Errorf("add address %s to %s: %w", a.Prefix, d.Name, err)
	}
	return c.do(ctx, request{
		op: "add address", object: fmt.Sprintf("%s to %s", a.Prefix, d.Name),
		typ: rtmNewAddr, flags: netlink.Create | netlink.Excl, msg: m,
	})
}

func (c *Conn) deleteAddress(ctx context.Context, d *device, p netip.Prefix) error {
	m, err := newAddressRequest(d.Index, &Address{Prefix: p, Valid: Forever, Preferred: Forever})
	if err != nil {
		return fmt.Errorf("delete address %s of %s: %w", p, d.Name, err)
	}
	return c.do(ctx, request{op: "delete address", object: fmt.Sprintf("%s of %s", p, d.Name), typ: rtmDelAddr, msg: m})
}

// newAddressRequest encodes an address as a wish: what the kernel decides
// itself (tentative, permanent, secondary) is left out.
func newAddressRequest(index int32, a *Address) (*addressRequest, error) {
	if !a.Prefix.IsValid() || a.Prefix.Addr().Zone() != "" || a.Prefix.Addr().Is4In6() {
		return nil, fmt.Errorf("%s is not an address with a prefix length", a.Prefix)
	}
	local := net.IP(a.Prefix.Addr().AsSlice())
	attrs := &rtnetlink.AddressAttributes{Address: local, Local: local, Label: a.Label, Flags: a.Flags & settableFlags, Priority: a.Metric}
	if a.Peer.IsValid() {
		attrs.Address = a.Peer.AsSlice()
	}
	if a.Broadcast.IsValid() {
		attrs.Broadcast = a.Broadcast.AsSlice()
	}
	m := &addressRequest{AddressMessage: rtnetlink.AddressMessage{
		Family:       uint8(netlinkx.FamilyOf(a.Prefix.Addr())),
		PrefixLength: uint8(a.Prefix.Bits()),
		Flags:        uint8(attrs.Flags),
		Scope:        a.Scope,
		Index:        uint32(index),
		Attributes:   attrs,
	}}
	if a.Valid != Forever || a.Preferred != Forever {
		life := binary.NativeEndian.AppendUint32(nil, a.Preferred)
		life = binary.NativeEndian.AppendUint32(life, a.Valid)
		m.extra = append(m.extra, netlink.Attribute{Type: ifaCacheinfo, Data: append(life, make([]byte, 8)...)})
	}
	if a.Origin != 0 {
		m.extra = append(m.extra, netlink.Attribute{Type: ifaProto, Data: []byte{a.Origin}})
	}
	return m, nil
}

// addresses lists the addresses by ifindex: of one device, or of all for 0.
func (c *Conn) addresses(ctx context.Context, index int32) (map[int32][]Address, error) {
	m := &addressRequest{AddressMessage: rtnetlink.AddressMessage{Index: uint32(index)}}
	msgs, err := c.dump(ctx, request{op: "list addresses", typ: rtmGetAddr, msg: m}, rtmNewAddr)
	if !keepGoing(err) {
		return nil, err
	}
	out := make(map[int32][]Address)
	for _, msg := range msgs {
		i, a, derr := decodeAddress(msg.Data)
		if derr != nil {
			return nil, derr
		}
		out[i] = append(out[i], a)
	}
	return out, err
}

// decodeAddress decodes an address message: struct ifaddrmsg and attributes.
//
//	0       1          2      3      4..7
//	family  prefixlen  flags  scope  ifindex
func decodeAddress(b []byte) (int32, Address, error) {
	a := Address{Valid: Forever, Preferred: Forever}
	if len(b) < sizeofIfAddr {
		return 0, a, fmt.Errorf("address message of %d bytes", len(b))
	}
	index := binary.NativeEndian.Uint32(b[4:])
	if index > math.MaxInt32 {
		return 0, a, fmt.Errorf("address message: ifindex %d", index)
	}
	a.Flags, a.Scope = uint32(b[2]), b[3]
	ad, err := netlink.NewAttributeDecoder(b[sizeofIfAddr:])
	if err != nil {
		return 0, a, fmt.Errorf("address message: %w", err)
	}
	var address, local netip.Addr
	for ad.Next() {
		switch ad.Type() {
		case ifaAddress:
			address, err = addrOf(ad.Bytes(), b[0], "ADDRESS")
		case ifaLocal:
			local, err = addrOf(ad.Bytes(), b[0], "LOCAL")
		default:
			err = a.attribute(ad, b[0])
		}
		if err != nil {
			return 0, a, fmt.Errorf("address message: %w", err)
		}
	}
	if err := ad.Err(); err != nil {
		return 0, a, fmt.Errorf("address message: %w", err)
	}
	switch {
	case !local.IsValid():
		local = address
	case address.IsValid() && address != local:
		a.Peer = address
	}
	if a.Prefix = netip.PrefixFrom(local, int(b[1])); !a.Prefix.IsValid() {
		return 0, a, fmt.Errorf("address message: address %s with prefix length %d", local, b[1])
	}
	return int32(index), a, nil
}

func (a *Address) attribute(ad *netlink.AttributeDecoder, family uint8) (err error) {
	switch ad.Type() {
	case ifaLabel:
		a.Label = ad.String()
	case ifaBroadcast:
		a.Broadcast, err = addrOf(ad.Bytes(), family, "BROADCAST")
	case ifaFlags:
		a.Flags, err = u32(ad, "FLAGS")
	case ifaRTPriority:
		a.Metric, err = u32(ad, "RT_PRIORITY")
	case ifaProto:
		if n := len(ad.Bytes()); n != 1 {
			return lengthError("PROTO", n)
		}
		a.Origin = ad.Uint8()
	case ifaCacheinfo:
		v := ad.Bytes()
		if len(v) != 16 {
			return lengthError("CACHEINFO", len(v))
		}
		a.Preferred = binary.NativeEndian.Uint32(v)
		a.Valid = binary.NativeEndian.Uint32(v[4:])
	}
	return err
}

func addrOf(b []byte, family uint8, name string) (netip.Addr, error) {
	a, ok := netip.AddrFromSlice(b)
	if !ok || a.BitLen() != netlinkx.Family(family).Bits() {
		return netip.Addr{}, lengthError(name, len(b))
	}
	return a, nil
}
