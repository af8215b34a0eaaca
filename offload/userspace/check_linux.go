package userspace

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const tunPath = "/dev/net/tun"

// checkMachine finds out what would fail with the first interface or SA, so
// that the engine says so before anyone counts on it.
func checkMachine() error {
	if err := checkTUN(); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ESP)
	if errors.Is(err, unix.EPERM) {
		return errors.New("no right to open raw sockets: the engine needs CAP_NET_RAW (run it as root, or in a user namespace: unshare -rn)")
	}
	if err != nil {
		return fmt.Errorf("open a raw socket for ESP: %w", err)
	}
	return unix.Close(fd)
}

// checkTUN makes a TUN device and lets it go.
func checkTUN() error {
	fd, err := unix.Open(tunPath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%s: %w: this kernel has no TUN devices (CONFIG_TUN; modprobe tun), or the container was not given the device", tunPath, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("open %s: %w: run the engine as root, or let others open the device as usual (chmod 666 %s)", tunPath, err, tunPath)
	case err != nil:
		return &os.PathError{Op: "open", Path: tunPath, Err: err}
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	if errors.Is(err, unix.EPERM) {
		return errors.New("no right to make network devices: the engine needs CAP_NET_ADMIN (run it as root, or in a user namespace: unshare -rn)")
	}
	if err != nil {
		return fmt.Errorf("make a TUN device: %w", err)
	}
	return nil
}

// ownNamespace opens the network namespace of the process, and returns its inode
// number.
func ownNamespace() (*os.File, uint64, error) {
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, 0, fmt.Errorf("open the network namespace: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("open the network namespace: %w", err)
	}
	return f, st.Ino, nil
}
