//go:build !linux

package vti

import (
	"errors"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// inside: there are no network namespaces.
func inside(netlinkx.NetNS, func() error) error { return errors.ErrUnsupported }
