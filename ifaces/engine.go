package ifaces

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Engine is another engine than the kernel, which has XFRM interfaces of its
// own. It answers link messages; addresses and routes remain the kernel's.
type Engine struct {
	// Links connects to the engine for the links of a network namespace; the
	// zero NetNS is the caller's.
	Links func(ns netlinkx.NetNS) (netlinkx.Transport, error)
	// XFRM connects for SAs and policies, like the Dial of netlinkx.Config.
	XFRM func() (netlinkx.Transport, error)
}

// divided sends link messages to an engine and everything else to the kernel.
type divided struct {
	links *engineLinks
	rest  *socket
}

func (d *divided) exchange(ctx context.Context, m rtnetlink.Message, typ uint16, flags netlink.HeaderFlags) ([]netlink.Message, error) {
	switch typ {
	case rtmNewLink, rtmDelLink, rtmGetLink:
		return d.links.exchange(ctx, m, typ, flags)
	}
	return d.rest.exchange(ctx, m, typ, flags)
}

func (d *divided) close() error { return errors.Join(d.links.close(), d.rest.close()) }

// engineLinks is a connection to an engine for link messages. It is safe for
// concurrent use; requests take turns.
type engineLinks struct {
	mu  sync.Mutex // guards what is below, and the request in flight
	t   netlinkx.Transport
	seq uint32
	buf []byte
}

func newEngineLinks(t netlinkx.Transport) *engineLinks {
	return &engineLinks{t: t, buf: make([]byte, bufferSize)}
}

func (e *engineLinks) close() error { return e.t.Close() }

// exchange sends one message and returns all that answers it. A late answer to
// a request that was given up is known by its number.
func (e *engineLinks) exchange(ctx context.Context, m rtnetlink.Message, typ uint16, flags netlink.HeaderFlags) ([]netlink.Message, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() {
		_ = e.t.SetDeadline(time.Unix(1, 0)) // a closed transport fails by itself
	})
	msgs, err := e.ask(m, typ, flags)
	if !stop() {
		_ = e.t.SetDeadline(time.Time{}) // as above
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = context.Cause(ctx)
		}
	}
	return msgs, err
}

func (e *engineLinks) ask(m rtnetlink.Message, typ uint16, flags netlink.HeaderFlags) ([]netlink.Message, error) {
	body, err := m.MarshalBinary()
	if err != nil {
		return nil, err
	}
	e.seq++
	b := make([]byte, sizeofHeader, sizeofHeader+len(body))
	binary.NativeEndian.PutUint32(b, uint32(sizeofHeader+len(body)))
	binary.NativeEndian.PutUint16(b[4:], typ)
	binary.NativeEndian.PutUint16(b[6:], uint16(flags|netlink.Request))
	binary.NativeEndian.PutUint32(b[8:], e.seq)
	if err := e.t.Send(append(b, body...)); err != nil {
		return nil, err
	}
	return e.collect(flags)
}

// collect reads until the request has been answered: by an acknowledgement, the
// end of a dump, or, where neither was asked for, one message.
func (e *engineLinks) collect(flags netlink.HeaderFlags) (out []netlink.Message, err error) {
	single := flags&(netlink.Acknowledge|netlink.Dump) == 0
	for {
		n, err := e.t.Recv(e.buf)
		if err != nil {
			return nil, err
		}
		for b := e.buf[:n]; len(b) >= sizeofHeader; {
			m, rest, err := cutMessage(b)
			if err != nil {
				return nil, err
			}
			b = rest
			switch {
			case m.Header.Sequence != e.seq:
				continue
			case m.Header.Type == netlink.Error:
				return append(out, m), refusalOf(m)
			case m.Header.Type == netlink.Done:
				return out, refusalOf(m)
			}
			if out = append(out, m); single {
				return out, nil
			}
		}
	}
}

// sizeofHeader is the length of struct nlmsghdr.
const sizeofHeader = 16

// cutMessage cuts the first message off a datagram; its data is a copy.
func cutMessage(b []byte) (m netlink.Message, rest []byte, err error) {
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

// refusalOf returns the errno of an acknowledgement or of the end of a dump in
// the form that package netlink has for the kernel's; nil for success.
func refusalOf(m netlink.Message) error {
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
		at += sizeofHeader // the request's header; the rest is not repeated
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

// Attributes of an extended acknowledgement (NLMSGERR_ATTR_*).
const (
	ackAttrMsg    = 1
	ackAttrOffset = 2
)
