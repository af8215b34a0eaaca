//go:build !linux

package journal

import (
	"errors"
	"os"
)

// The engine runs on Linux alone; elsewhere its packages build and no more.

func takeLock(*os.File) error { return errors.ErrUnsupported }

func dropLock(*os.File) {}

func identify(string) (fileID, error) { return fileID{}, errors.ErrUnsupported }

func identifyOpen(*os.File) (fileID, error) { return fileID{}, errors.ErrUnsupported }

func syncData(*os.File) error { return errors.ErrUnsupported }
