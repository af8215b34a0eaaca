//go:build !linux

package netlinkx

import (
	"errors"
	"fmt"
)

// openSocket: only Linux has NETLINK_XFRM. The codec works everywhere.
func openSocket(NetNS, int, []Group, bool) (*noSocket, error) {
	return nil, fmt.Errorf("open xfrm netlink socket: %w", errors.ErrUnsupported)
}

// noSocket stands in for a socket that cannot exist.
type noSocket struct{ foreign }

func (*noSocket) readBuffer() int { return 0 }
