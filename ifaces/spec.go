package ifaces

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Spec describes an XFRM interface that shall exist.
type Spec struct {
	// Name; "" lets the kernel choose one.
	Name string
	// IfID ties the interface to SAs and policies with the same if_id; one
	// interface each in a namespace. Not 0 unless External.
	IfID uint32
	// External: the if_id comes with each packet. One in a namespace, without
	// IfID and underlay.
	External bool

	// Underlay names the device below, UnderlayIndex gives its ifindex; at most
	// one of them. None is allowed: the kernel uses the device for nothing but
	// its VRF.
	Underlay      string
	UnderlayIndex int32

	// MTU in bytes; 0: from MTUFor, and without that the kernel's 1500.
	MTU uint32
	// MTUFor is an SA whose packets shall fit: the MTU is computed from it and
	// the underlay's. Borrowed; keys are not looked at.
	MTUFor *netlinkx.SA

	Alias     string
	Addresses []netip.Prefix
	Up        bool

	// NetNS is where the interface shall be; zero: where it is made. SAs and
	// policies stay those of the namespace in which it is made.
	NetNS netlinkx.NetNS
}

func (s *Spec) check() error {
	switch {
	case s.Underlay != "" && s.UnderlayIndex != 0:
		return errors.New("underlay given by name and by ifindex")
	case s.UnderlayIndex < 0:
		return fmt.Errorf("underlay ifindex %d", s.UnderlayIndex)
	case s.MTU != 0 && s.MTUFor != nil:
		return errors.New("mtu given and to be computed")
	case s.External && (s.IfID != 0 || s.hasUnderlay()):
		return errors.New("an external interface takes neither an if_id nor an underlying device")
	case s.MTUFor != nil && !s.hasUnderlay():
		return errors.New("the mtu can be computed from an underlying device only, and none is given")
	}
	return nil
}

func (s *Spec) hasUnderlay() bool { return s.Underlay != "" || s.UnderlayIndex != 0 }

// resolved is a Spec whose names have been looked up.
type resolved struct {
	*Spec
	underlay int32
	mtu      uint32
}

// resolve looks up the underlay and computes the MTU. A name must exist; an
// ifindex need not, because the kernel does not check it either.
func (c *Conn) resolve(ctx context.Context, op string, s *Spec) (*resolved, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%s %s: %w", op, s.Name, err)
	}
	r := &resolved{Spec: s, underlay: s.UnderlayIndex, mtu: s.MTU}
	if !s.hasUnderlay() {
		return r, nil
	}
	d, err := c.device(ctx, "find device", s.Underlay, s.UnderlayIndex)
	if isNotExist(err) && s.MTUFor == nil && s.UnderlayIndex != 0 {
		c.warn(WarnNoUnderlay, s.Name, fmt.Sprintf("no device has ifindex %d; the kernel took it all the same", s.UnderlayIndex))
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	r.underlay = d.Index
	if s.MTUFor != nil {
		mtu, err := MTU(int(d.MTU), s.MTUFor)
		if err != nil {
			return nil, fmt.Errorf("%s %s: underlay %s: %w", op, s.Name, d.Name, err)
		}
		r.mtu = uint32(mtu)
	}
	return r, nil
}

// Resolve returns a copy of s with the ifindex of its underlay and the MTU
// filled in, as Create would use them. It changes nothing.
func (c *Conn) Resolve(ctx context.Context, s *Spec) (*Spec, error) {
	r, err := c.resolve(ctx, "resolve interface", s)
	if err != nil {
		return nil, err
	}
	out := *s
	out.Underlay, out.UnderlayIndex, out.MTU, out.MTUFor = "", r.underlay, r.mtu, nil
	return &out, nil
}

// differences compares an interface with what it should be. The MTU is not
// compared when the Spec leaves it open.
func (r *resolved) differences(d *device) []Difference {
	var diffs []Difference
	add := func(field, want, have string) {
		if want != have {
			diffs = append(diffs, Difference{Field: field, Want: want, Have: have})
		}
	}
	if d.kind != Kind {
		add("kind", Kind, quoteEmpty(d.kind))
		return diffs
	}
	add("external", onOff(r.External), onOff(d.External))
	if !r.External && !d.External {
		add("if_id", fmt.Sprintf("%#x", r.IfID), fmt.Sprintf("%#x", d.IfID))
	}
	add("dev", indexText(r.underlay, r.Underlay), indexText(d.Underlay, nameIf(d.Underlay == r.underlay, r.Underlay)))
	if r.mtu != 0 {
		add("mtu", fmt.Sprint(r.mtu), fmt.Sprint(d.MTU))
	}
	return diffs
}

func nameIf(ok bool, name string) string {
	if !ok {
		return ""
	}
	return name
}

func indexText(index int32, name string) string {
	switch {
	case index == 0:
		return "none"
	case name == "":
		return fmt.Sprintf("if%d", index)
	}
	return fmt.Sprintf("%s (if%d)", name, index)
}

func onOff(v bool) string {
	if v {
		return "on"
	}
	return "off"
}

func quoteEmpty(s string) string {
	if s == "" {
		return `""`
	}
	return s
}
