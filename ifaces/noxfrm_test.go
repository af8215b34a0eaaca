package ifaces

import (
	"encoding/binary"
	"testing"

	"github.com/mdlayher/netlink"
)

// TestNoXFRM: what the kernel shows is an array, what sets it names its place.
func TestNoXFRM(t *testing.T) {
	values := make([]byte, 4*33)
	binary.NativeEndian.PutUint32(values[4*(devconfNoXFRM-1):], 1)
	for on, data := range map[bool][]byte{true: values, false: make([]byte, len(values))} {
		attr := netlink.Attribute{Type: iflaInetConf, Data: data}
		for _, typ := range []uint16{afInet, iflaAfSpec} {
			b, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: 10 /* AF_INET6 */, Data: []byte{1, 2, 3, 4}}, attr})
			if err != nil {
				t.Fatal(err)
			}
			attr = netlink.Attribute{Type: typ | netlink.Nested, Data: b}
		}
		b, err := netlink.MarshalAttributes([]netlink.Attribute{attr})
		if err != nil {
			t.Fatal(err)
		}
		d, err := decodeLink(append(make([]byte, sizeofIfInfo), b...))
		if err != nil || d.NoXFRM != on {
			t.Errorf("%v, want %v: %v", d, on, err)
		}
		set, err := noXFRM(on)
		if err != nil || set.Type != iflaAfSpec|netlink.Nested || len(set.Data) != 16 || binary.NativeEndian.Uint16(set.Data[10:]) != devconfNoXFRM || (set.Data[12] == 1) != on {
			t.Errorf("%+v, %v", set, err)
		}
	}
	short := netlink.Attribute{Type: iflaAfSpec | netlink.Nested, Data: []byte{8, 0, 2, 0, 5, 0, 1, 0}}
	b, err := netlink.MarshalAttributes([]netlink.Attribute{short})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := decodeLink(append(make([]byte, sizeofIfInfo), b...)); err == nil && d.NoXFRM {
		t.Error("an attribute that is cut short says something")
	}
}
