package tun

import (
	"encoding/binary"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// TestEncode: a request says what is asked and nothing else.
func TestEncode(t *testing.T) {
	for name, c := range map[string]struct {
		change      Change
		flags, mask uint32
		want        map[uint16]uint32
		renamed     string
	}{
		"nothing": {},
		"up":      {change: Change{Up: true, MTU: 1400}, flags: unix.IFF_UP, mask: unix.IFF_UP, want: map[uint16]uint32{unix.IFLA_MTU: 1400}},
		"down":    {change: Change{Down: true}, mask: unix.IFF_UP},
		"all": {
			change:  Change{Name: "new0", Namespace: 9, TxQueueLen: 100, GSOMaxSize: 60000, GSOMaxSegs: 64},
			want:    map[uint16]uint32{unix.IFLA_NET_NS_FD: 9, unix.IFLA_TXQLEN: 100, unix.IFLA_GSO_MAX_SIZE: 60000, unix.IFLA_GSO_MAX_SEGS: 64},
			renamed: "new0",
		},
	} {
		b, err := c.change.encode(77)
		if err != nil {
			t.Fatal(err)
		}
		u32 := binary.NativeEndian.Uint32
		if u32(b[4:]) != 77 || u32(b[8:]) != c.flags || u32(b[12:]) != c.mask {
			t.Errorf("%s: header %x", name, b[:16])
		}
		ad, err := netlink.NewAttributeDecoder(b[unix.SizeofIfInfomsg:])
		if err != nil {
			t.Fatal(err)
		}
		got, renamed := map[uint16]uint32{}, ""
		for ad.Next() {
			if ad.Type() == unix.IFLA_IFNAME {
				renamed = ad.String()
				continue
			}
			got[ad.Type()] = ad.Uint32()
		}
		if len(got) != len(c.want) || renamed != c.renamed {
			t.Errorf("%s: %v, name %q; want %v, %q", name, got, renamed, c.want, c.renamed)
		}
		for k, v := range c.want {
			if got[k] != v {
				t.Errorf("%s: attribute %d is %d, want %d", name, k, got[k], v)
			}
		}
	}
}
