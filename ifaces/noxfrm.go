package ifaces

import (
	"encoding/binary"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
)

// Numbers of linux/if_link.h and linux/ip.h: IFLA_AF_SPEC holds what families
// have to say of a link, for AF_INET its settings (net.ipv4.conf.DEV), an array
// of which entry n-1 is IPV4_DEVCONF_n.
const (
	iflaAfSpec    = 26
	afInet        = 2
	iflaInetConf  = 1
	devconfNoXFRM = 15
)

// settings4 reads IFLA_AF_SPEC as far as it concerns policies.
func (d *device) settings4(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		if ad.Type() == afInet {
			ad.Nested(func(ad *netlink.AttributeDecoder) error {
				for ad.Next() {
					if at := 4 * (devconfNoXFRM - 1); ad.Type() == iflaInetConf && len(ad.Bytes()) >= at+4 {
						d.NoXFRM = binary.NativeEndian.Uint32(ad.Bytes()[at:]) != 0
					}
				}
				return ad.Err()
			})
		}
	}
	return ad.Err()
}

// noXFRM is the attribute that sets it, which the kernel takes by number.
func noXFRM(on bool) (netlink.Attribute, error) {
	v := uint32(0)
	if on {
		v = 1
	}
	b := u32Attr(devconfNoXFRM, v)
	for _, typ := range []uint16{iflaInetConf, afInet, iflaAfSpec} {
		data, err := netlink.MarshalAttributes([]netlink.Attribute{b})
		if err != nil {
			return b, err
		}
		b = netlink.Attribute{Type: typ | netlink.Nested, Data: data}
	}
	return b, nil
}

// SetNoXFRM says whether IPv4 packets to the interface meet policies before it:
// see Link.NoXFRM. Routes that were looked up before keep to the old way until
// policies or routes change.
func (b *Batch) SetNoXFRM(index int32, name string, on bool) {
	b.noXFRM(&linkRequest{LinkMessage: rtnetlink.LinkMessage{Index: uint32(index)}}, name, on)
}

// SetUpNoXFRM is SetUp and SetNoXFRM in one request.
func (b *Batch) SetUpNoXFRM(index int32, name string) {
	b.noXFRM(&linkRequest{LinkMessage: rtnetlink.LinkMessage{Index: uint32(index), Flags: iffUp, Change: iffUp}}, name, true)
}

func (b *Batch) noXFRM(m *linkRequest, name string, on bool) {
	attr, err := noXFRM(on)
	if err != nil {
		b.items = append(b.items, batchItem{err: err})
		return
	}
	m.extra = []netlink.Attribute{attr}
	b.add(request{op: "set disable_xfrm of interface", object: name, typ: rtmNewLink, msg: m})
}
