package main

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// fakeLinks knows one device: number 7, vpn0, also called a-very-long-device-name.
type fakeLinks struct{ asked int }

func (f *fakeLinks) Close() error { return nil }

func (f *fakeLinks) Execute(m netlink.Message) ([]netlink.Message, error) {
	f.asked++
	attrs, err := netlink.UnmarshalAttributes(m.Data[unix.SizeofIfInfomsg:])
	if err != nil {
		return nil, err
	}
	found := binary.NativeEndian.Uint32(m.Data[4:]) == 7
	for _, a := range attrs {
		name := unix.ByteSliceToString(a.Data)
		found = found || a.Type == unix.IFLA_IFNAME && name == "vpn0"
		found = found || a.Type == unix.IFLA_ALT_IFNAME && name == "a-very-long-device-name"
	}
	if !found {
		return nil, &netlink.OpError{Op: "receive", Err: unix.ENODEV}
	}
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], 7)
	b, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: unix.IFLA_IFNAME, Data: []byte("vpn0\x00")}})
	return []netlink.Message{{Header: netlink.Header{Type: unix.RTM_NEWLINK}, Data: append(body, b...)}}, err
}

func TestDevices(t *testing.T) {
	f := &fakeLinks{}
	d := devices{open: func() (linkConn, error) { return f, nil }}
	for range 3 {
		for _, name := range []string{"vpn0", "a-very-long-device-name"} {
			if i, err := d.index(name); i != 7 || err != nil {
				t.Errorf("%s: %d, %v", name, i, err)
			}
		}
		if n := d.name(7); n != "vpn0" {
			t.Errorf("name of 7: %q", n)
		}
		if n := d.name(99); n != "if99" {
			t.Errorf("name of 99: %q", n)
		}
	}
	if f.asked != 4 {
		t.Errorf("asked %d times, want 4", f.asked)
	}
	if i, err := d.index("if12"); i != 12 || err != nil {
		t.Errorf("if12: %d, %v", i, err)
	}
	for _, bad := range []string{"nope", "if", "ifx", "if0", "if99999999999"} {
		if _, err := d.index(bad); !errors.Is(err, unix.ENODEV) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	asked := f.asked
	d.forget()
	if _, err := d.index("vpn0"); err != nil || f.asked != asked+1 {
		t.Errorf("not asked again after forget: %v", err)
	}
}

func TestDecodeLinkTruncated(t *testing.T) {
	if _, _, err := decodeLink(make([]byte, unix.SizeofIfInfomsg-1)); err == nil {
		t.Error("no error")
	}
}
