package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
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
	kindLookup    // interfaces before which policies look, or no more
	kindElsewhere // interfaces that are made for another namespace
	kindIfID      // interfaces whose if_id changes
	kindPlacedSA  // an SA for a device
	kindSettings
)

// batched reports whether steps of this kind go out together.
func (k kind) batched() bool { return k < kindElsewhere }

func kindOf(s *Step) kind {
	switch {
	case s.Settings != nil:
		return kindSettings
	case s.SA != nil && s.SA.Offload != nil && s.Placement != nil:
		return kindPlacedSA
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
	case s.policies:
		return kindLookup
	case s.Verb != Change && s.Interface.NetNS != "":
		return kindElsewhere
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
	case kindIfID, kindElsewhere, kindPlacedSA, kindSettings:
		if err := r.sendAlone(ctx, steps[0], kind); err != nil {
			return outcome{}, stepError(steps[0], err)
		}
		return outcome{unsent: 1}, nil
	default:
		out, err := r.sendLinks(ctx, steps, kind)
		if kind == kindLookup && err == nil {
			err = r.s.relookup(ctx)
		}
		return out, err
	}
}

// sendAlone is for steps that take several requests, or an answer.
func (r *run) sendAlone(ctx context.Context, s *Step, kind kind) error {
	switch kind {
	case kindElsewhere:
		return r.s.makeElsewhere(ctx, s.Interface)
	case kindPlacedSA:
		if err := r.s.store.mark(keySent, r.uses([]*Step{s})); err != nil {
			return err
		}
		return r.s.putSA(ctx, s)
	case kindSettings:
		return r.s.set(ctx, s.Settings)
	}
	return r.changeLink(ctx, s)
}

// stepError names the step, unless the error does so itself.
func stepError(s *Step, err error) error {
	name := fmt.Sprintf("%s %s: ", s.Verb, s.ID)
	if strings.HasPrefix(err.Error(), name) {
		return err
	}
	return fmt.Errorf("%s%w", name, err)
}

// sendLinks sends what is about interfaces and their addresses.
func (r *run) sendLinks(ctx context.Context, steps []*Step, kind kind) (outcome, error) {
	p, err := r.s.place(steps[0].ID.netnsOf())
	if err != nil {
		return outcome{}, stepError(steps[0], err)
	}
	b := p.links.NewBatch()
	for i, s := range steps {
		if err := addLink(ctx, p, b, s, kind); err != nil && i == 0 {
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
			delete(p.index, s.Interface.Name)
		}
	}
	return out, err
}

// addLink adds the message for one step. The error tells that its device is not
// there.
func addLink(ctx context.Context, p *place, b *ifaces.Batch, s *Step, kind kind) error {
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
	device, err := p.device(ctx, name)
	if err != nil {
		return err
	}
	switch index := int32(device); kind {
	case kindLinkUp:
		if i.NoXFRM {
			b.SetUpNoXFRM(index, name)
		} else {
			b.SetUp(index, name)
		}
	case kindLookup:
		b.SetNoXFRM(index, name, i.NoXFRM)
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
	p, err := r.s.place(to.NetNS)
	if err == nil {
		_, err = p.links.Change(ctx, to.Name, ch)
	}
	return err
}

func (r *run) sendRoutes(ctx context.Context, steps []*Step) (outcome, error) {
	p, err := r.s.place(steps[0].Route.NetNS)
	if err != nil {
		return outcome{}, stepError(steps[0], err)
	}
	msgs := make([]rtnl.Message, 0, len(steps))
	for _, s := range steps {
		m, err := routeMessage(ctx, p, s)
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
	res, err := p.routes.conn.Batch(ctx, msgs)
	out := outcome{failed: map[int]error{}, unknown: res.Unknown, unsent: res.Unsent}
	if err != nil {
		err = stepError(steps[min(res.Unsent, len(msgs)-1)], err)
	}
	for i, cause := range res.Failed {
		out.failed[i] = stepError(steps[i], cause)
	}
	return out, err
}

func routeMessage(ctx context.Context, p *place, s *Step) (rtnl.Message, error) {
	var hops []uint32
	for _, dev := range s.Route.devices() {
		if s.Route.Guard() || s.Verb == Delete {
			break
		}
		index, err := p.device(ctx, dev)
		if err != nil {
			return rtnl.Message{}, err
		}
		hops = append(hops, index)
	}
	return s.Route.request(s.Verb, hops)
}
