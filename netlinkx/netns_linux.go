package netlinkx

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

var errNotNetNS = errors.New("not a network namespace")

func dupFile(fd int, name string) (*os.File, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(dup), name), nil
}

// checkNetNS finds out before setns does, whose EINVAL says nothing. What is
// left in /run/netns of a namespace whose mount has gone is a plain empty
// file. The ioctl (Linux 4.11) answers ENOTTY for what is no namespace; any
// other failure leaves the decision to setns.
func checkNetNS(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var kind int
	var ioctlErr error
	if err := c.Control(func(fd uintptr) { kind, ioctlErr = unix.IoctlRetInt(int(fd), unix.NS_GET_NSTYPE) }); err != nil {
		return err
	}
	if errors.Is(ioctlErr, unix.ENOTTY) || ioctlErr == nil && kind != unix.CLONE_NEWNET {
		return errNotNetNS
	}
	return nil
}
