//go:build !linux

package netlinkx

import (
	"errors"
	"os"
)

func dupFile(int, string) (*os.File, error) { return nil, errors.ErrUnsupported }

func checkNetNS(*os.File) error { return errors.ErrUnsupported }
