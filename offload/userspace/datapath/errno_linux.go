package datapath

import (
	"errors"

	"golang.org/x/sys/unix"
)

// fatal reports whether a source is gone: reading again would only say so
// again.
func fatal(err error) bool {
	return errors.Is(err, unix.EBADFD) || errors.Is(err, unix.EBADF) || errors.Is(err, unix.ENODEV)
}

// pending reports whether an error of a socket was that of an earlier packet,
// an ICMP error for instance, and something may be there to receive.
func pending(err error) bool {
	return !fatal(err) && !errors.Is(err, unix.EAGAIN)
}

// badHeader reports that the kernel refuses a virtio header.
func badHeader(err error) bool { return errors.Is(err, unix.EINVAL) }

// isDown reports that a device is not up.
func isDown(err error) bool { return errors.Is(err, unix.EIO) }
