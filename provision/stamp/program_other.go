//go:build !linux

package stamp

import "errors"

func programIdentity() (string, error) { return "", errors.ErrUnsupported }
