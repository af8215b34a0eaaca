//go:build !linux

package gsogro

import (
	"errors"
	"os"
)

// files is Linux's /sys/class/net; elsewhere there is none.
type files struct{}

func newFiles(*os.File) sysfs { return files{} }

func (files) read(string, string) (string, error) { return "", errors.ErrUnsupported }
func (files) write(string, string, string) error  { return errors.ErrUnsupported }
func (files) driver(string) (string, error)       { return "", errors.ErrUnsupported }
