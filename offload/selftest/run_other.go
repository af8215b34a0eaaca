//go:build !linux

package selftest

import (
	"context"
	"errors"
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Run is for Linux alone.
func Run(context.Context, *Config) ([]Leg, error) { return nil, errors.ErrUnsupported }

// Source is for Linux alone.
func Source(netlinkx.NetNS, netip.Addr) (netip.Addr, error) {
	return netip.Addr{}, errors.ErrUnsupported
}
