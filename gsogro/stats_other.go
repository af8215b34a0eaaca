//go:build !linux

package gsogro

import "errors"

// Stats is Linux's.
func (c *Conn) Stats(string) (map[string]uint64, error) { return nil, errors.ErrUnsupported }
