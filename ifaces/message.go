package ifaces

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// linkRequest is rtnetlink's link message with attributes that it cannot
// encode behind.
type linkRequest struct {
	rtnetlink.LinkMessage
	extra []netlink.Attribute
}

// MarshalBinary implements rtnetlink.Message.
func (m *linkRequest) MarshalBinary() ([]byte, error) {
	b, err := m.LinkMessage.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return appendAttributes(b, m.extra)
}

// addressRequest is the same for addresses.
type addressRequest struct {
	rtnetlink.AddressMessage
	extra []netlink.Attribute
}

// MarshalBinary implements rtnetlink.Message.
func (m *addressRequest) MarshalBinary() ([]byte, error) {
	b, err := m.AddressMessage.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return appendAttributes(b, m.extra)
}

// rawRequest is a message that rtnetlink does not know. It embeds one that it
// does, because its Message interface is closed.
type rawRequest struct {
	rtnetlink.LinkMessage
	header []byte
	attrs  []netlink.Attribute
}

// MarshalBinary implements rtnetlink.Message.
func (m *rawRequest) MarshalBinary() ([]byte, error) {
	return appendAttributes(append([]byte(nil), m.header...), m.attrs)
}

func appendAttributes(b []byte, attrs []netlink.Attribute) ([]byte, error) {
	if len(attrs) == 0 {
		return b, nil
	}
	a, err := netlink.MarshalAttributes(attrs)
	if err != nil {
		return nil, err
	}
	return append(b, a...), nil
}

func u32Attr(typ uint16, v uint32) netlink.Attribute {
	return netlink.Attribute{Type: typ, Data: binary.NativeEndian.AppendUint32(nil, v)}
}

// device is any link; of those that are neither XFRM interface nor VTI, what
// all links have in common is read.
type device struct {
	Link
	kind           string
	tunnel         vtiData
	txQueue, group uint32
	master         int32
	qdisc          string
}

// decodeLink decodes a link message: struct ifinfomsg and its attributes.
//
//	0      1      2..3   4..7     8..11   12..15
//	family pad    type   ifindex  flags   change
func decodeLink(b []byte) (*device, error) {
	if len(b) < sizeofIfInfo {
		return nil, fmt.Errorf("link message of %d bytes", len(b))
	}
	d := &device{}
	index := binary.NativeEndian.Uint32(b[4:])
	if index > math.MaxInt32 {
		return nil, fmt.Errorf("link message: ifindex %d", index)
	}
	d.Index = int32(index)
	d.Up = binary.NativeEndian.Uint32(b[8:])&iffUp != 0
	ad, err := netlink.NewAttributeDecoder(b[sizeofIfInfo:])
	if err != nil {
		return nil, fmt.Errorf("link message: %w", err)
	}
	for ad.Next() {
		if err := d.attribute(ad); err != nil {
			return nil, fmt.Errorf("link message: %w", err)
		}
	}
	if err := ad.Err(); err != nil {
		return nil, fmt.Errorf("link message: %w", err)
	}
	return d, nil
}

func (d *device) attribute(ad *netlink.AttributeDecoder) (err error) {
	var v uint32
	switch ad.Type() {
	case iflaIfname:
		d.Name = ad.String()
	case iflaIfalias:
		d.Alias = ad.String()
	case iflaMTU:
		d.MTU, err = u32(ad, "MTU")
	case iflaOperstate:
		if n := len(ad.Bytes()); n != 1 {
			return lengthError("OPERSTATE", n)
		}
		d.OperState = operState(ad.Uint8())
	case iflaLinkNetNS:
		v, err = u32(ad, "LINK_NETNSID")
		d.ContextID = netlinkx.Some(int32(v))
	case iflaQdisc:
		d.qdisc = ad.String()
	case iflaMaster:
		v, err = u32(ad, "MASTER")
		d.master = int32(v)
	case iflaTxQLen:
		d.txQueue, err = u32(ad, "TXQLEN")
	case iflaGroup:
		d.group, err = u32(ad, "GROUP")
	case iflaPropList:
		ad.Nested(d.altNames)
	case iflaLinkinfo:
		ad.Nested(d.linkInfo)
	case iflaAfSpec:
		ad.Nested(d.settings4)
	}
	if err != nil {
		return err
	}
	return ad.Err()
}

func (d *device) altNames(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		if ad.Type() == iflaAltIfname {
			d.AltNames = append(d.AltNames, ad.String())
		}
	}
	return ad.Err()
}

// linkInfo reads kind and data; the kernel sends the kind first.
func (d *device) linkInfo(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case iflaInfoKind:
			d.kind = ad.String()
		case iflaInfoData:
			switch {
			case d.kind == Kind:
				ad.Nested(d.data)
			case isVTI(d.kind):
				ad.Nested(d.tunnelData)
			}
		}
		if err := ad.Err(); err != nil {
			return err
		}
	}
	return ad.Err()
}

func (d *device) data(ad *netlink.AttributeDecoder) error {
	var x Driver
	if err := x.Decode(ad); err != nil {
		return err
	}
	if x.Link > math.MaxInt32 {
		return fmt.Errorf("attribute XFRM_LINK: ifindex %d", x.Link)
	}
	d.IfID, d.Underlay, d.External = x.IfID, int32(x.Link), x.External
	return nil
}

func operState(v uint8) string {
	names := strings.Fields(operstateNames)
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprint(v)
}
