//go:build !linux

package nlsock

import (
	"errors"
	"net"
	"os"
)

// The engine runs on Linux alone; elsewhere its packages build and no more.

func ancillaryRoom() int { return 0 }

func truncated(int) bool { return false }

func peerCredentials(*net.UnixConn) (credentials, error) {
	return credentials{}, errors.ErrUnsupported
}

func dupFile(int, string) (*os.File, error) { return nil, errors.ErrUnsupported }

func filesOf([]byte) ([]*os.File, error) { return nil, errors.ErrUnsupported }
