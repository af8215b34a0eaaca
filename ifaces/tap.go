package ifaces

import (
	"context"
	"encoding/binary"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

type exchange = func(context.Context, rtnetlink.Message, uint16, netlink.HeaderFlags) ([]netlink.Message, error)

// tapped tells the tap of requests and of their answers.
func tapped(inner exchange, tap netlinkx.Tap) exchange {
	var b []byte
	return func(ctx context.Context, m rtnetlink.Message, typ uint16, flags netlink.HeaderFlags) ([]netlink.Message, error) {
		body, err := m.MarshalBinary()
		if err != nil {
			return nil, err
		}
		b = appendMessage(b[:0], typ, flags, body)
		tap(true, b)
		msgs, err := inner(ctx, m, typ, flags)
		if err != nil {
			tap(false, nil)
		}
		for i := range msgs {
			b = appendMessage(b[:0], uint16(msgs[i].Header.Type), msgs[i].Header.Flags, msgs[i].Data)
			tap(false, b)
		}
		return msgs, err
	}
}

// appendMessage appends a message without sequence number and port.
func appendMessage(b []byte, typ uint16, flags netlink.HeaderFlags, body []byte) []byte {
	const header = 16
	b = binary.NativeEndian.AppendUint32(b, uint32(header+len(body)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, uint16(flags))
	b = binary.NativeEndian.AppendUint64(b, 0)
	return append(b, body...)
}
