package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/xfrmctl/xfrmctl/ifaces"
)

// describeSpec says what --dry-run would make; s has the numbers resolved.
func (r *ifaceRequest) describeSpec(s *ifaces.Spec) string {
	key := fmt.Sprintf("if_id %#x", s.IfID)
	if s.External {
		key = "external"
	}
	parts := []string{key}
	if r.spec.Underlay != "" {
		parts = append(parts, fmt.Sprintf("dev %s (if%d)", r.spec.Underlay, s.UnderlayIndex))
	}
	switch {
	case s.MTU == 0:
		parts = append(parts, "mtu 1500 (the kernel's)")
	case r.spec.MTUFor != nil:
		parts = append(parts, fmt.Sprintf("mtu %d (computed)", s.MTU))
	default:
		parts = append(parts, fmt.Sprintf("mtu %d", s.MTU))
	}
	if s.Alias != "" {
		parts = append(parts, fmt.Sprintf("alias %q", s.Alias))
	}
	parts = append(parts, addrWords("addr", s.Addresses)...)
	if s.Up {
		parts = append(parts, "up")
	}
	if r.netns != "" {
		parts = append(parts, "moved to network namespace "+r.netns)
	}
	return strings.Join(parts, ", ")
}

// describeChange says what --dry-run would change.
func (r *ifaceRequest) describeChange() string {
	c := &r.change
	var parts []string
	if c.IfID.Valid {
		parts = append(parts, fmt.Sprintf("if_id %#x", c.IfID.V))
	}
	if c.MTU.Valid {
		parts = append(parts, fmt.Sprintf("mtu %d", c.MTU.V))
	}
	if c.MTUFor != nil {
		parts = append(parts, "mtu computed from the underlying device")
	}
	if c.Alias.Valid {
		parts = append(parts, fmt.Sprintf("alias %q", c.Alias.V))
	}
	parts = append(parts, addrWords("addr del", c.DeleteAddresses)...)
	parts = append(parts, addrWords("addr add", c.AddAddresses)...)
	if c.Up.Valid {
		parts = append(parts, state(c.Up.V))
	}
	if r.netns != "" {
		parts = append(parts, "moved to network namespace "+r.netns)
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func addrWords(word string, list []netip.Prefix) []string {
	var out []string
	for _, p := range list {
		out = append(out, word+" "+p.String())
	}
	return out
}
