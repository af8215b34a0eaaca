package vti

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Messages of rtnetlink.
const (
	rtmNewLink     = 16
	rtmGetLink     = 18
	rtmNewRoute    = 24
	rtmDelRoute    = 25
	rtmGetRoute    = 26
	rtmNewRule     = 32
	rtmGetRule     = 34
	rtmNewLinkProp = 108
	rtmDelLinkProp = 109
)

// kernel reads and writes what package ifaces has no words for: routes as they
// are, rules, and properties of links. It serves one goroutine.
type kernel struct{ c *rtnl.Conn }

func (n *kernel) close() error { return n.c.Close() }

// list dumps messages; data is the fixed part of the request.
func (n *kernel) list(ctx context.Context, what string, typ, want uint16, data []byte) ([][]byte, error) {
	const retries = 5
	for range retries {
		msgs, err := n.c.Exchange(ctx, &rtnl.Message{Type: typ, Flags: netlink.Request | netlink.Dump, Body: data})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", what, err)
		}
		var out [][]byte
		interrupted := false
		for _, m := range msgs {
			interrupted = interrupted || m.Header.Flags&netlink.DumpInterrupted != 0
			if uint16(m.Header.Type) == want {
				out = append(out, m.Data)
			}
		}
		if !interrupted {
			return out, nil
		}
	}
	return nil, fmt.Errorf("list %s: %w", what, netlinkx.ErrDumpInterrupted)
}

// routes returns all but those of table local and of single flows.
func (n *kernel) routes(ctx context.Context) (out []*Route, err error) {
	for _, family := range []netlinkx.Family{netlinkx.FamilyIPv4, netlinkx.FamilyIPv6} {
		head := make([]byte, sizeRtMsg)
		head[0] = uint8(family)
		msgs, err := n.list(ctx, "routes", rtmGetRoute, rtmNewRoute, head)
		if err != nil {
			return nil, err
		}
		for _, b := range msgs {
			r, err := decodeRoute(b)
			if err != nil {
				return nil, err
			}
			if r.Table != tableLocal && binary.NativeEndian.Uint32(b[8:])&flagCloned == 0 {
				out = append(out, r)
			}
		}
	}
	return out, nil
}

func (n *kernel) rules(ctx context.Context) (out []Rule, err error) {
	for _, family := range []netlinkx.Family{netlinkx.FamilyIPv4, netlinkx.FamilyIPv6} {
		head := make([]byte, sizeRtMsg)
		head[0] = uint8(family)
		msgs, err := n.list(ctx, "rules", rtmGetRule, rtmNewRule, head)
		if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EAFNOSUPPORT) {
			continue // a kernel without policy routing
		}
		if err != nil {
			return nil, err
		}
		for _, b := range msgs {
			r, err := decodeRule(b)
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// names returns the names of all devices, and those of their alternative names
// that would be in the way.
func (n *kernel) names(ctx context.Context) (out []string, err error) {
	const iflaIfname = 3
	msgs, err := n.list(ctx, "devices", rtmGetLink, rtmNewLink, make([]byte, sizeIfInfo))
	if err != nil {
		return nil, err
	}
	for _, b := range msgs {
		if len(b) < sizeIfInfo {
			return nil, fmt.Errorf("link message of %d bytes", len(b))
		}
		err := eachAttr(b[sizeIfInfo:], func(typ uint16, v []byte) error {
			if typ == iflaIfname {
				out = append(out, strings.TrimRight(string(v), "\x00"))
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("link message: %w", err)
		}
	}
	return out, nil
}

const sizeIfInfo = 16

// do sends a request and waits for its acknowledgement. Errors are
// *netlinkx.Error.
func (n *kernel) do(ctx context.Context, op, object string, typ uint16, flags netlink.HeaderFlags, data []byte) error {
	_, err := n.c.Exchange(ctx, &rtnl.Message{Type: typ, Flags: netlink.Request | netlink.Acknowledge | flags, Body: data})
	if err == nil {
		return nil
	}
	e := &netlinkx.Error{Op: op, Object: object}
	if !errors.As(err, &e.Errno) {
		return fmt.Errorf("%s %s: %w", op, object, err)
	}
	var o *netlink.OpError
	if errors.As(err, &o) {
		e.Text = o.Message
	}
	return e
}

// addGuard makes a guard that may be there already.
func (n *kernel) addGuard(ctx context.Context, g Guard) error {
	err := n.do(ctx, "add guard", g.String(), rtmNewRoute, netlink.Create|netlink.Excl, g.message())
	if errors.Is(err, syscall.EEXIST) {
		return nil
	}
	return err
}

// deleteGuard removes a guard that may be gone already.
func (n *kernel) deleteGuard(ctx context.Context, g Guard) error {
	err := n.do(ctx, "delete guard", g.String(), rtmDelRoute, 0, g.message())
	if errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return err
}

// addRoute makes a route again, through other devices.
func (n *kernel) addRoute(ctx context.Context, r *Route, devices map[int32]int32) error {
	err := n.do(ctx, "add route", r.String(), rtmNewRoute, r.flags(), r.message(devices))
	if errors.Is(err, syscall.EEXIST) {
		return nil
	}
	return err
}

// setQueue sets what package ifaces does not: length of the queue, and group.
func (n *kernel) setQueue(ctx context.Context, name string, index int32, length, group uint32) error {
	const (
		iflaTxQLen = 13
		iflaGroup  = 27
	)
	b := linkHeader(index)
	for _, a := range []struct {
		typ uint16
		v   uint32
	}{{iflaTxQLen, length}, {iflaGroup, group}} {
		b = binary.NativeEndian.AppendUint16(b, 8)
		b = binary.NativeEndian.AppendUint16(b, a.typ)
		b = binary.NativeEndian.AppendUint32(b, a.v)
	}
	return n.do(ctx, "change interface", name, rtmNewLink, 0, b)
}

// alias adds or removes alternative names.
func (n *kernel) alias(ctx context.Context, name string, index int32, names []string, add bool) error {
	const (
		iflaPropList  = 52
		iflaAltIfname = 53
		nested        = 0x8000
	)
	if len(names) == 0 {
		return nil
	}
	var props []netlink.Attribute
	for _, s := range names {
		props = append(props, netlink.Attribute{Type: iflaAltIfname, Data: append([]byte(s), 0)})
	}
	inner, err := netlink.MarshalAttributes(props)
	if err != nil {
		return err
	}
	outer, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: iflaPropList | nested, Data: inner}})
	if err != nil {
		return err
	}
	b := append(linkHeader(index), outer...)
	if add {
		return n.do(ctx, "add alternative name of", name, rtmNewLinkProp, netlink.Create|netlink.Append|netlink.Excl, b)
	}
	return n.do(ctx, "delete alternative name of", name, rtmDelLinkProp, 0, b)
}

func linkHeader(index int32) []byte {
	b := make([]byte, sizeIfInfo)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return b
}
