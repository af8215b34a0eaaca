package rtnl

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"

	"github.com/mdlayher/netlink"
)

// sizeofHeader is the length of struct nlmsghdr.
const sizeofHeader = 16

// Attributes of an extended acknowledgement (NLMSGERR_ATTR_*).
const (
	ackAttrMsg    = 1
	ackAttrOffset = 2
)

// cut cuts the first message off a datagram; its data is a copy.
func cut(b []byte) (m netlink.Message, rest []byte, err error) {
	n := int(binary.NativeEndian.Uint32(b))
	if n < sizeofHeader || n > len(b) {
		return m, nil, fmt.Errorf("malformed link message: length %d, %d bytes received", n, len(b))
	}
	m.Header = netlink.Header{
		Length: uint32(n), Type: netlink.HeaderType(binary.NativeEndian.Uint16(b[4:])), Flags: netlink.HeaderFlags(binary.NativeEndian.Uint16(b[6:])),
		Sequence: binary.NativeEndian.Uint32(b[8:]), PID: binary.NativeEndian.Uint32(b[12:]),
	}
	m.Data = append([]byte(nil), b[sizeofHeader:n]...)
	return m, b[min((n+3)&^3, len(b)):], nil
}

// refusal returns the errno of an acknowledgement or of the end of a dump in
// the form that package netlink has for the kernel's; nil for success.
func refusal(m netlink.Message) error {
	if len(m.Data) < 4 {
		return nil
	}
	errno := -int32(binary.NativeEndian.Uint32(m.Data))
	if errno == 0 {
		return nil
	}
	e := &netlink.OpError{Op: "receive", Err: os.NewSyscallError("recvmsg", syscall.Errno(errno)), Sequence: m.Header.Sequence}
	at := 4
	if m.Header.Type == netlink.Error {
		at += sizeofHeader
		if m.Header.Flags&netlink.Capped == 0 && len(m.Data) >= 8 { // the request is repeated
			at = 4 + int(binary.NativeEndian.Uint32(m.Data[4:]))
		}
	}
	if m.Header.Flags&netlink.AcknowledgeTLVs == 0 || at > len(m.Data) {
		return e
	}
	ad, err := netlink.NewAttributeDecoder(m.Data[at:])
	if err != nil {
		return e
	}
	for ad.Next() {
		switch ad.Type() {
		case ackAttrMsg:
			e.Message = ad.String()
		case ackAttrOffset:
			e.Offset = int(ad.Uint32())
		}
	}
	return e
}
