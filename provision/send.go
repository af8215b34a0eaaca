package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// kind is how a step goes out.
type kind int

const (
	kindXFRM        kind = iota // SAs and policies
	kindNewLink                 // interfaces that are made
	kindLinkUp                  // set up
	kindLinkMTU                 // whose MTU changes and nothing else
	kindLinkGone                // deleted
	kindAddress                 // addresses that come
	kindLostAddress             // and go
	kindRoute
	kindIfID // interfaces whose if_id changes
)

// batched reports whether steps of this kind go out together.
func (k kind) batched() bool { return k != kindIfID }

func kindOf(s *Step) kind {
	switch {
	case s.SA != nil || s.Policy != nil:
		return kindXFRM
	case s.Address != nil && s.Verb == Delete:
		return kindLostAddress
	case s.Address != nil:
		return kindAddress
	case s.Interface == nil:
		return kindRoute
	case s.Verb == Delete:
		return kindLinkGone
	case s.Up:
		return kindLinkUp
	case s.Verb != Change:
		return kindNewLink
	case s.Interface.IfID != s.WasInterface.IfID:
		return kindIfID
	}
	return kindLinkMTU
}

// settled reports whether a refusal means that what a step is for holds.
func settled(s *Step, err error) bool {
	switch {
	case s.Address != nil && s.Verb == Delete && errors.Is(err, syscall.EADDRNOTAVAIL):
		return true // it went with the primary address of its subnet
	case s.Address != nil && s.Verb != Delete && errors.Is(err, fs.ErrExist):
		return true // the kernel promoted it to a primary one
	case s.Route != nil && s.Verb == Delete && errors.Is(err, syscall.ESRCH):
		return true // it went with its device or address
	}
	return s.Verb == Delete && errors.Is(err, fs.ErrNotExist) // it expired, or another deleted it
}

// send sends steps of one kind. What is read of the engine for it is as much for
// one step as for all.
func (r *run) send(ctx context.Context, steps []*Step) (outcome, error) {
	switch kind := kindOf(steps[0]); kind {
	case kindXFRM:
		return r.sendXFRM(ctx, steps)
	case kindRoute:
		return r.sendRoutes(ctx, steps)
	case kindIfID:
		if err := r.changeLink(ctx, steps[0]); err != nil {
			return outcome{}, stepError(steps[0], err)
		}
		return outcome{unsent: 1}, nil
	default:
		return r.sendLinks(ctx, steps, kind)
	}
}

func stepError(s *Step, err error) error { return fmt.Errorf("%s %s: %w", s.Verb, s.ID, err) }

func (r *run) sendXFRM(ctx context.Context, steps []*Step) (outcome, error) {
	b := r.s.cfg.XFRM.NewBatch()
	b.StopOnError = true
	for _, s := range steps {
		b.Add(r.s.request(s))
	}
	res, err := b.Commit(ctx)
	out := outcome{failed: map[int]error{}, unknown: res.Unknown, unsent: res.Unsent}
	for _, f := range res.Failed {
		out.failed[f.Index] = f.Err
	}
	return out, err
}

// sendLinks sends what is about interfaces and their addresses.
func (r *run) sendLinks(ctx context.Context, steps []*Step, kind kind) (outcome, error) {
	b := r.s.cfg.Links.NewBatch()
	for i, s := range steps {
		if err := r.addLink(ctx, b, s, kind); err != nil && i == 0 {
			if settled(s, err) {
				return outcome{failed: map[int]error{0: err}, unsent: 1}, nil
			}
			return outcome{}, stepError(s, err)
		} else if err != nil {
			steps = steps[:i] // its error comes when it is its turn
			break
		}
	}
	res, err := b.Commit(ctx)
	out := outcome{failed: map[int]error{}, unknown: res.Unknown, unsent: res.Unsent}
	if err != nil {
		err = stepError(steps[min(res.Unsent, len(steps)-1)], err)
	}
	for i, cause := range res.Failed {
		out.failed[i] = stepError(steps[i], cause)
	}
	for i, s := range steps[:out.unsent] {
		if kind == kindLinkGone && out.failed[i] == nil {
			delete(r.s.index, s.Interface.Name)
		}
	}
	return out, err
}

// addLink adds the message for one step. The error tells that its device is not
// there.
func (r *run) addLink(ctx context.Context, b *ifaces.Batch, s *Step, kind kind) error {
	i := s.Interface
	if kind == kindNewLink {
		b.Create(ctx, &ifaces.Spec{Name: i.Name, IfID: i.IfID, Underlay: i.Underlay, MTU: i.MTU})
		return nil
	}
	name := ""
	if i != nil {
		name = i.Name
	} else {
		name = s.Address.Dev
	}
	device, err := r.device(ctx, name)
	if err != nil {
		return err
	}
	switch index := int32(device); kind {
	case kindLinkUp:
		b.SetUp(index, name)
	case kindLinkMTU:
		b.SetMTU(index, name, i.MTU)
	case kindLinkGone:
		b.Delete(index, name)
	case kindAddress:
		b.AddAddress(index, name, s.Address.Prefix)
	case kindLostAddress:
		b.DeleteAddress(index, name, s.Address.Prefix)
	}
	return nil
}

// changeLink changes the if_id, and the MTU with it.
func (r *run) changeLink(ctx context.Context, s *Step) error {
	to, from := s.Interface, s.WasInterface
	ch := &ifaces.Change{IfID: netlinkx.Some(to.IfID)}
	if to.MTU != 0 && to.MTU != from.MTU {
		ch.MTU = netlinkx.Some(to.MTU)
	}
	_, err := r.s.cfg.Links.Change(ctx, to.Name, ch)
	return err
}

func (r *run) sendRoutes(ctx context.Context, steps []*Step) (outcome, error) {
	msgs := make([]rtnl.Message, 0, len(steps))
	for _, s := range steps {
		m, err := r.routeMessage(ctx, s)
		if err != nil && len(msgs) == 0 {
			if settled(s, err) {
				return outcome{failed: map[int]error{0: err}, unsent: 1}, nil
			}
			return outcome{}, stepError(s, err)
		} else if err != nil {
			break // as with interfaces
		}
		msgs = append(msgs, m)
	}
	res, err := r.s.routes.conn.Batch(ctx, msgs)
	out := outcome{failed: map[int]error{}, unknown: res.Unknown, unsent: res.Unsent}
	if err != nil {
		err = stepError(steps[min(res.Unsent, len(msgs)-1)], err)
	}
	for i, cause := range res.Failed {
		out.failed[i] = stepError(steps[i], cause)
	}
	return out, err
}

func (r *run) routeMessage(ctx context.Context, s *Step) (rtnl.Message, error) {
	var hops []uint32
	for _, dev := range s.Route.devices() {
		if s.Route.Guard() || s.Verb == Delete {
			break
		}
		index, err := r.device(ctx, dev)
		if err != nil {
			return rtnl.Message{}, err
		}
		hops = append(hops, index)
	}
	return s.Route.request(s.Verb, hops)
}

// device returns the ifindex of an XFRM interface. One that was just made is
// looked for together with all others: there are more to come.
func (r *run) device(ctx context.Context, name string) (uint32, error) {
	if n := r.s.index[name]; n != 0 {
		return n, nil
	}
	links, err := r.s.cfg.Links.List(ctx)
	if err != nil {
		return 0, err
	}
	for _, l := range links {
		if !l.ContextID.Valid {
			r.s.index[l.Name] = uint32(l.Index)
		}
	}
	if n := r.s.index[name]; n != 0 {
		return n, nil
	}
	return 0, fmt.Errorf("%s: no such device: %w", name, fs.ErrNotExist)
}
