package ifaces

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
)

// vtiData is the link data of a VTI (IFLA_INFO_DATA of kinds "vti" and "vti6"):
//
//	1  IFLA_VTI_LINK    u32        ifindex of the underlying device
//	2  IFLA_VTI_IKEY    be32
//	3  IFLA_VTI_OKEY    be32
//	4  IFLA_VTI_LOCAL   4 or 16 bytes; zeros: any
//	5  IFLA_VTI_REMOTE  the same
//	6  IFLA_VTI_FWMARK  u32
type vtiData struct {
	kind          string
	link          uint32
	ikey, okey    uint32
	local, remote netip.Addr
	fwmark        uint32
}

var _ rtnetlink.LinkDriver = (*vtiData)(nil)

// New returns an empty one of the same kind.
func (v *vtiData) New() rtnetlink.LinkDriver { return &vtiData{kind: v.kind} }

// Kind returns "vti" or "vti6".
func (v *vtiData) Kind() string { return v.kind }

// Encode appends all attributes but those that `ip` leaves out when they are 0.
func (v *vtiData) Encode(ae *netlink.AttributeEncoder) error {
	if v.link != 0 {
		ae.Uint32(vtiLink, v.link)
	}
	ae.Bytes(vtiIKey, binary.BigEndian.AppendUint32(nil, v.ikey))
	ae.Bytes(vtiOKey, binary.BigEndian.AppendUint32(nil, v.okey))
	for _, end := range []struct {
		attr uint16
		addr netip.Addr
	}{{vtiLocal, v.local}, {vtiRemote, v.remote}} {
		if end.addr.IsValid() {
			ae.Bytes(end.attr, end.addr.AsSlice())
		}
	}
	if v.fwmark != 0 {
		ae.Uint32(vtiFwMark, v.fwmark)
	}
	return nil
}

// Decode reads the attributes. Unknown ones are skipped; a known one of the
// wrong length is an error that names it.
func (v *vtiData) Decode(ad *netlink.AttributeDecoder) error {
	*v = vtiData{kind: v.kind}
	for ad.Next() {
		if err := v.attribute(ad); err != nil {
			return err
		}
	}
	if v.link > math.MaxInt32 {
		return fmt.Errorf("attribute VTI_LINK: ifindex %d", v.link)
	}
	return ad.Err()
}

func (v *vtiData) attribute(ad *netlink.AttributeDecoder) (err error) {
	family := uint8(vtiFamily(v.kind))
	switch ad.Type() {
	case vtiLink:
		v.link, err = u32(ad, "VTI_LINK")
	case vtiIKey:
		v.ikey, err = be32(ad, "VTI_IKEY")
	case vtiOKey:
		v.okey, err = be32(ad, "VTI_OKEY")
	case vtiLocal:
		v.local, err = endpoint(ad.Bytes(), family, "VTI_LOCAL")
	case vtiRemote:
		v.remote, err = endpoint(ad.Bytes(), family, "VTI_REMOTE")
	case vtiFwMark:
		v.fwmark, err = u32(ad, "VTI_FWMARK")
	}
	return err
}

func be32(ad *netlink.AttributeDecoder, name string) (uint32, error) {
	if n := len(ad.Bytes()); n != 4 {
		return 0, lengthError(name, n)
	}
	return binary.BigEndian.Uint32(ad.Bytes()), nil
}

// endpoint reads an address; that of zeros stands for any.
func endpoint(b []byte, family uint8, name string) (netip.Addr, error) {
	a, err := addrOf(b, family, name)
	if err != nil || a.IsUnspecified() {
		return netip.Addr{}, err
	}
	return a, nil
}

// tunnelData decodes the link data of a VTI.
func (d *device) tunnelData(ad *netlink.AttributeDecoder) error {
	d.tunnel.kind = d.kind
	if err := d.tunnel.Decode(ad); err != nil {
		return err
	}
	d.Underlay = int32(d.tunnel.link)
	return nil
}
