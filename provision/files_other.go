//go:build !linux

package provision

import (
	"errors"
	"os"
)

// Only Linux has what is to be provisioned; planning works everywhere.

func tryLock(*os.File) error { return errors.ErrUnsupported }

func inode(string) (uint64, error) { return 0, errors.ErrUnsupported }
