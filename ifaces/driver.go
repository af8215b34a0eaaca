package ifaces

import (
	"fmt"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
)

// Kind is the kind of link that the kernel's xfrm_interface module makes.
const Kind = "xfrm"

// Driver is the link data of an XFRM interface (IFLA_INFO_DATA of kind
// "xfrm") for package rtnetlink:
//
//	1  IFLA_XFRM_LINK              u32   ifindex of the underlying device
//	2  IFLA_XFRM_IF_ID             u32
//	3  IFLA_XFRM_COLLECT_METADATA  flag  "external"
//
// This package does not register it: rtnetlink's registry is global, not safe
// for concurrent use, and not needed for what is done here. A program that
// wants its own rtnetlink.Conn to decode XFRM interfaces may call
// rtnetlink.RegisterDriver(&Driver{}) once, before it opens a connection.
type Driver struct {
	// Link is the ifindex of the underlying device, 0 none. The kernel checks
	// neither that it exists nor that packets leave through it; it selects
	// the VRF in which outer packets are routed.
	Link uint32
	// IfID is the interface id, 0 only in an external interface.
	IfID uint32
	// External: the id comes with each packet, from a route or a BPF program.
	External bool
}

var _ rtnetlink.LinkDriver = (*Driver)(nil)

// New returns an empty Driver.
func (d *Driver) New() rtnetlink.LinkDriver { return &Driver{} }

// Kind returns "xfrm".
func (d *Driver) Kind() string { return Kind }

// Encode appends the attributes; zero values are left out, as `ip` does.
func (d *Driver) Encode(ae *netlink.AttributeEncoder) error {
	if d.External {
		ae.Flag(xfrmMetadata, true)
	}
	if d.IfID != 0 {
		ae.Uint32(xfrmIfID, d.IfID)
	}
	if d.Link != 0 {
		ae.Uint32(xfrmLink, d.Link)
	}
	return nil
}

// Decode reads the attributes. Unknown ones are skipped; a known one of the
// wrong length is an error that names it.
func (d *Driver) Decode(ad *netlink.AttributeDecoder) error {
	*d = Driver{}
	for ad.Next() {
		var err error
		switch ad.Type() {
		case xfrmLink:
			d.Link, err = u32(ad, "XFRM_LINK")
		case xfrmIfID:
			d.IfID, err = u32(ad, "XFRM_IF_ID")
		case xfrmMetadata:
			if n := len(ad.Bytes()); n != 0 {
				err = lengthError("XFRM_COLLECT_METADATA", n)
			}
			d.External = true
		}
		if err != nil {
			return err
		}
	}
	return ad.Err()
}

// u32 reads a number whose length the kernel never varies. The decoder's own
// Uint32 names no attribute when it fails.
func u32(ad *netlink.AttributeDecoder, name string) (uint32, error) {
	if n := len(ad.Bytes()); n != 4 {
		return 0, lengthError(name, n)
	}
	return ad.Uint32(), nil
}

func lengthError(name string, n int) error {
	return fmt.Errorf("attribute %s: length %d", name, n)
}
