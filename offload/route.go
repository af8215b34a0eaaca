package offload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Numbers of linux/rtnetlink.h.
const (
	netlinkRoute = 0
	rtmNewRoute  = 24
	rtmGetRoute  = 26
	sizeofRtMsg  = 12
	rtaDst       = 1
	rtaOIF       = 4
	rtaMark      = 16
)

// RouteDevice returns the ifindex of the device through which packets to an
// address leave a namespace, as the kernel finds the device of an SA that names
// none; mark is the SA's output mark.
func RouteDevice(ns netlinkx.NetNS, to netip.Addr, mark uint32) (int32, error) {
	cfg := &netlink.Config{Strict: true}
	f, err := ns.Open()
	if err != nil {
		return 0, err
	}
	if f != nil {
		defer f.Close() // opened for reading: nothing is lost
		cfg.NetNS = int(f.Fd())
	}
	conn, err := netlink.Dial(netlinkRoute, cfg)
	if err != nil {
		return 0, err
	}
	index, err := askRoute(conn, to, mark)
	return index, errors.Join(err, conn.Close())
}

func askRoute(conn *netlink.Conn, to netip.Addr, mark uint32) (int32, error) {
	ae := netlink.NewAttributeEncoder()
	ae.Bytes(rtaDst, to.AsSlice())
	if mark != 0 {
		ae.Uint32(rtaMark, mark)
	}
	attrs, err := ae.Encode()
	if err != nil {
		return 0, err
	}
	b := make([]byte, sizeofRtMsg, sizeofRtMsg+len(attrs))
	b[0], b[1] = byte(netlinkx.FamilyOf(to)), byte(to.BitLen())
	msgs, err := conn.Execute(netlink.Message{Header: netlink.Header{Type: rtmGetRoute, Flags: netlink.Request}, Data: append(b, attrs...)})
	if err != nil {
		return 0, fmt.Errorf("find the route to %s: %w", to, errors.Unwrap(err))
	}
	for _, m := range msgs {
		if m.Header.Type == rtmNewRoute && len(m.Data) >= sizeofRtMsg {
			return outDevice(m.Data[sizeofRtMsg:])
		}
	}
	return 0, fmt.Errorf("find the route to %s: the kernel's answer has none", to)
}

func outDevice(attrs []byte) (int32, error) {
	ad, err := netlink.NewAttributeDecoder(attrs)
	if err != nil {
		return 0, err
	}
	for ad.Next() {
		if b := ad.Bytes(); ad.Type() == rtaOIF && len(b) == 4 {
			return int32(binary.NativeEndian.Uint32(b)), nil
		}
	}
	return 0, errors.Join(ad.Err(), errors.New("the route leads to no device"))
}
