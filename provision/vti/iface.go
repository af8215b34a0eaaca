package vti

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// iface takes a step about the XFRM interface, which is found by its if_id.
func (r *run) iface(ctx context.Context, o op) error {
	links := r.s.cfg.Links
	l, err := links.GetByIfID(ctx, r.m.IfID)
	if gone(err) != nil {
		return err
	}
	foreign := l != nil && l.Name != r.m.Name && l.Name != r.m.Temp
	switch {
	case foreign && (o == opInterface || o == opName || o == opUp):
		return fmt.Errorf("if_id %#x is that of interface %s, which another process made", r.m.IfID, l.Name)
	case foreign:
		return nil // on the way back there is nothing of ours to undo
	case o == opInterface && l == nil:
		return r.create(ctx)
	case o == opInterface:
		return r.furnish(ctx, l)
	case l == nil && (o == opName || o == opUp):
		return fmt.Errorf("interface with if_id %#x is gone: another process deleted it", r.m.IfID)
	case l == nil:
		return nil
	}
	switch o {
	case opName:
		return r.name(ctx, l)
	case opUp:
		return r.up(ctx, l)
	case opStopBack:
		_, err = links.Change(ctx, l.Name, &ifaces.Change{Up: netlinkx.Some(false)})
		return err
	case opNameBack:
		return r.nameBack(ctx, l)
	}
	return gone(links.Delete(ctx, l.Name))
}

func (r *run) create(ctx context.Context) error {
	l, err := r.s.cfg.Links.Create(ctx, &ifaces.Spec{Name: r.m.Temp, IfID: r.m.IfID, Underlay: r.m.Dev, MTU: r.m.MTU, Alias: r.m.Alias})
	if err != nil {
		return err
	}
	return r.furnish(ctx, l)
}

// furnish gives the interface what it takes over while it is down.
func (r *run) furnish(ctx context.Context, l *ifaces.Link) error {
	if err := r.s.kernel.setQueue(ctx, l.Name, l.Index, r.m.TxQueue, r.m.Group); err != nil {
		return err
	}
	refused, err := writeSettings(r.s.cfg.NetNS, l.Name, r.m.Sources[0].Settings)
	if err != nil {
		return err
	}
	if refused != nil {
		r.s.note("%s: the kernel does not take these settings over: %s", r.m.Name, strings.Join(refused, " "))
	}
	return nil
}

// altNames are those of the VTIs, and the names of all but the first.
func (m *Move) altNames() (names []string) {
	for i, src := range m.Sources {
		if i > 0 {
			names = append(names, src.Name)
		}
		names = append(names, src.AltNames...)
	}
	return names
}

func (r *run) name(ctx context.Context, l *ifaces.Link) error {
	if l.Name != r.m.Name {
		if err := r.s.cfg.Links.Rename(ctx, l.Name, r.m.Name); err != nil {
			return err
		}
	}
	return r.s.kernel.alias(ctx, r.m.Name, l.Index, missing(r.m.altNames(), l.AltNames), true)
}

func (r *run) nameBack(ctx context.Context, l *ifaces.Link) error {
	if err := r.s.kernel.alias(ctx, l.Name, l.Index, l.AltNames, false); err != nil {
		return err
	}
	if l.Name == r.m.Temp {
		return nil
	}
	return r.s.cfg.Links.Rename(ctx, l.Name, r.m.Temp)
}

func (r *run) up(ctx context.Context, l *ifaces.Link) error {
	up := slices.ContainsFunc(r.m.Sources, func(src *Source) bool { return src.Up })
	if l.Up != up {
		if _, err := r.s.cfg.Links.Change(ctx, l.Name, &ifaces.Change{Up: netlinkx.Some(up)}); err != nil {
			return err
		}
	}
	return r.s.cfg.Links.SetAddresses(ctx, l.Name, r.m.addresses())
}

func (m *Move) addresses() (all []ifaces.Address) {
	for _, src := range m.Sources {
		all = append(all, src.Addresses...)
	}
	return all
}
