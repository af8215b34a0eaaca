package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Numbers of linux/rtnetlink.h, linux/if_link.h and netlink's own.
const (
	grpLink, grpIPv4Addr, grpIPv4Route, grpIPv6Addr, grpIPv6Route = 1, 5, 7, 9, 11

	rtmNewLink, rtmDelLink, rtmGetLink = 16, 17, 18
	rtmNewAddr, rtmDelAddr             = 20, 21
	rtmNewRoute, rtmDelRoute           = 24, 25

	sizeofIfInfo, sizeofIfAddr, sizeofRtMsg = 16, 8, 12

	iflaIfname, rtaDst, rtaOIF = 3, 1, 4
	rtCloned                   = 0x200
	headerLen                  = 16
)

// routing listens to links, addresses and routes. Addresses and routes name
// devices by ifindex, so it keeps the names of all.
type routing struct {
	w     *Watcher
	t     netlinkx.Transport
	names map[uint32]string // of the goroutine that listens
}

// newRouting listens first and then asks for the names, so that none is missed.
func newRouting(w *Watcher) (*routing, error) {
	dial := w.cfg.Routing
	if dial == nil {
		dial = func(groups ...uint32) (netlinkx.Transport, error) { return rtnl.Dial(w.cfg.NetNS, groups...) }
	}
	t, err := dial(grpLink, grpIPv4Addr, grpIPv4Route, grpIPv6Addr, grpIPv6Route)
	if err != nil {
		return nil, err
	}
	r := &routing{w: w, t: t, names: map[uint32]string{}}
	if err := r.learn(dial); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return r, nil
}

// learn lists the names there are.
func (r *routing) learn(dial func(groups ...uint32) (netlinkx.Transport, error)) error {
	t, err := dial()
	if err != nil {
		return err
	}
	c := rtnl.New(t)
	msgs, err := c.Exchange(context.Background(), &rtnl.Message{Type: rtmGetLink, Flags: netlink.Dump, Body: make([]byte, sizeofIfInfo)})
	for i := range msgs {
		r.link(rtmNewLink, msgs[i].Data)
	}
	return errors.Join(err, c.Close())
}

func (r *routing) close() error { return r.t.Close() }

// listen takes events in until ctx ends and the transport is closed.
func (r *routing) listen(ctx context.Context) error {
	b := make([]byte, 64<<10)
	for {
		n, err := r.t.Recv(b)
		switch {
		case ctx.Err() != nil || errors.Is(err, os.ErrClosed):
			return nil
		case errors.Is(err, syscall.ENOBUFS):
			r.w.note(Change{Lost: true})
			continue
		case err != nil:
			return fmt.Errorf("listen to links and routes: %w", err)
		}
		for rest := b[:n]; len(rest) >= headerLen; {
			size := int(binary.NativeEndian.Uint32(rest))
			if size < headerLen || size > len(rest) {
				break
			}
			r.event(binary.NativeEndian.Uint16(rest[4:]), rest[headerLen:size])
			rest = rest[min((size+3)&^3, len(rest)):]
		}
	}
}

// event takes one message in.
func (r *routing) event(typ uint16, b []byte) {
	counts, what := false, ""
	r.w.mu.Lock()
	i := r.w.interest
	switch typ {
	case rtmNewLink, rtmDelLink:
		if name := r.link(typ, b); name != "" {
			counts, what = i.device(name), "interface "+name
		}
	case rtmNewAddr, rtmDelAddr:
		if len(b) >= sizeofIfAddr {
			name := r.names[binary.NativeEndian.Uint32(b[4:])]
			counts, what = i.device(name), "an address of "+name
		}
	case rtmNewRoute, rtmDelRoute:
		if dst, dev, ok := r.route(b); ok {
			counts, what = i.route(dst, dev), "route "+dst.String()
		}
	}
	r.w.mu.Unlock()
	if counts {
		r.w.note(Change{Drift: true, What: what})
	}
}

// link returns the name that a link message tells of, and keeps it.
func (r *routing) link(typ uint16, b []byte) (name string) {
	if len(b) < sizeofIfInfo {
		return ""
	}
	attributes(b[sizeofIfInfo:], func(ad *netlink.AttributeDecoder) {
		if ad.Type() == iflaIfname {
			name = ad.String()
		}
	})
	index := binary.NativeEndian.Uint32(b[4:])
	if typ == rtmDelLink {
		delete(r.names, index)
	} else if name != "" {
		r.names[index] = name
	}
	return name
}

// route returns where a route of any table leads; those of the kernel's cache
// are none.
func (r *routing) route(b []byte) (dst netip.Prefix, dev string, ok bool) {
	if len(b) < sizeofRtMsg || binary.NativeEndian.Uint32(b[8:])&rtCloned != 0 {
		return dst, "", false
	}
	family := netlinkx.Family(b[0])
	if family != netlinkx.FamilyIPv4 && family != netlinkx.FamilyIPv6 {
		return dst, "", false
	}
	addr := family.Unspecified()
	attributes(b[sizeofRtMsg:], func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case rtaDst:
			if a, valid := netip.AddrFromSlice(ad.Bytes()); valid {
				addr = a
			}
		case rtaOIF:
			dev = r.names[ad.Uint32()]
		}
	})
	return netip.PrefixFrom(addr, int(b[1])), dev, true
}

// attributes calls each for what can be read: a malformed message ends early.
func attributes(b []byte, each func(*netlink.AttributeDecoder)) {
	ad, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return
	}
	for ad.Next() {
		each(ad)
	}
}
