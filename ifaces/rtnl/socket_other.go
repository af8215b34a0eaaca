//go:build !linux

package rtnl

import (
	"errors"
	"fmt"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Dial: only Linux has NETLINK_ROUTE. Messages can be made everywhere.
func Dial(netlinkx.NetNS, ...uint32) (netlinkx.Transport, error) {
	return nil, fmt.Errorf("open routing socket: %w", errors.ErrUnsupported)
}
