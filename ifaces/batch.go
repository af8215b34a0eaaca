package ifaces

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
)

// Batch makes many changes of one kind with few system calls, and reads nothing
// back: that is up to the caller, once for all. It is no transaction: see
// BatchResult. A Batch is for one goroutine, and for one Commit.
type Batch struct {
	c     *Conn
	items []batchItem
	// underlays are those that were looked up, by name.
	underlays map[string]int32
}

type batchItem struct {
	req  request
	spec *resolved // of what is created
	err  error     // it cannot be sent
}

// BatchResult says what was carried out, by the count of calls from 0. A change
// is either failed, unknown, unsent, or carried out.
type BatchResult struct {
	Failed map[int]error
	// Unknown are those whose refusals may have been lost.
	Unknown []int
	// Unsent is the first that was not sent, or the number of all.
	Unsent int
}

// NewBatch returns an empty batch on c. Create, Set and Delete are not mixed
// with addresses in one batch.
func (c *Conn) NewBatch() *Batch { return &Batch{c: c, underlays: map[string]int32{}} }

// Create makes an interface as Conn.Create does, but for what comes after its
// creation: namespace, alias, addresses, up.
func (b *Batch) Create(ctx context.Context, s *Spec) {
	r, err := b.resolve(ctx, s)
	if err != nil {
		b.items = append(b.items, batchItem{err: err})
		return
	}
	b.items = append(b.items, batchItem{req: createRequest(r), spec: r})
}

// resolve looks up each underlay once.
func (b *Batch) resolve(ctx context.Context, s *Spec) (*resolved, error) {
	index, known := b.underlays[s.Underlay]
	if known && s.MTUFor == nil && s.check() == nil {
		return &resolved{Spec: s, underlay: index, mtu: s.MTU}, nil
	}
	r, err := b.c.resolve(ctx, "create interface", s)
	if err == nil {
		b.underlays[s.Underlay] = r.underlay
	}
	return r, err
}

// SetUp sets the interface with that ifindex up. The name is for messages.
func (b *Batch) SetUp(index int32, name string) {
	m := &linkRequest{LinkMessage: rtnetlink.LinkMessage{Index: uint32(index), Flags: iffUp, Change: iffUp}}
	b.add(request{op: "set up interface", object: name, typ: rtmNewLink, msg: m})
}

// SetMTU sets the MTU, in bytes.
func (b *Batch) SetMTU(index int32, name string, mtu uint32) {
	m := &linkRequest{LinkMessage: rtnetlink.LinkMessage{Index: uint32(index), Attributes: &rtnetlink.LinkAttributes{MTU: mtu}}}
	b.add(request{op: "change interface", object: name, typ: rtmNewLink, msg: m})
}

// Delete deletes the device with that ifindex, of whatever kind.
func (b *Batch) Delete(index int32, name string) {
	m := &linkRequest{LinkMessage: rtnetlink.LinkMessage{Index: uint32(index)}}
	b.add(request{op: "delete interface", object: name, typ: rtmDelLink, msg: m})
}

// AddAddress gives the device with that ifindex an address.
func (b *Batch) AddAddress(index int32, name string, p netip.Prefix) {
	b.address(request{op: "add address", object: fmt.Sprintf("%s to %s", p, name), typ: rtmNewAddr, flags: netlink.Create | netlink.Excl}, index, p)
}

// DeleteAddress takes an address from the device with that ifindex.
func (b *Batch) DeleteAddress(index int32, name string, p netip.Prefix) {
	b.address(request{op: "delete address", object: fmt.Sprintf("%s of %s", p, name), typ: rtmDelAddr}, index, p)
}

func (b *Batch) address(r request, index int32, p netip.Prefix) {
	m, err := newAddressRequest(index, &Address{Prefix: p, Valid: Forever, Preferred: Forever})
	if err != nil {
		b.items = append(b.items, batchItem{err: fmt.Errorf("%s %s: %w", r.op, r.object, err)})
		return
	}
	r.msg = m
	b.add(r)
}

func (b *Batch) add(r request) { b.items = append(b.items, batchItem{req: r}) }

// Commit sends what was added, in order, up to what cannot be sent. Nothing is
// sent behind the datagram in which one was refused. The error tells what else
// ended it early. The result is never nil.
func (b *Batch) Commit(ctx context.Context) (*BatchResult, error) {
	msgs, stop, err := b.encode()
	if err != nil {
		return &BatchResult{}, err
	}
	sent := &rtnl.Result{}
	if len(msgs) > 0 {
		if sent, err = b.c.batch(ctx, msgs); err != nil && ctx.Err() == nil {
			err = kernelError(b.items[min(sent.Unsent, len(msgs)-1)].req, err)
		}
	}
	res := &BatchResult{Failed: map[int]error{}, Unknown: sent.Unknown, Unsent: sent.Unsent}
	for i, cause := range sent.Failed {
		item := &b.items[i]
		res.Failed[i] = kernelError(item.req, cause)
		if item.spec != nil {
			res.Failed[i] = b.c.explainCreate(ctx, item.spec, res.Failed[i])
		}
	}
	if stop != nil && err == nil && res.Unsent == len(msgs) && len(res.Failed)+len(res.Unknown) == 0 {
		err = stop
	}
	return res, err
}

// encode returns the messages up to the first that cannot be sent, and why that
// is.
func (b *Batch) encode() (msgs []rtnl.Message, stop, err error) {
	for i := range b.items {
		item := &b.items[i]
		if item.err != nil {
			return msgs, item.err, nil
		}
		body, err := item.req.msg.MarshalBinary()
		if err != nil {
			return nil, nil, err
		}
		msgs = append(msgs, rtnl.Message{Type: item.req.typ, Flags: item.req.flags, Body: body})
	}
	return msgs, nil, nil
}
