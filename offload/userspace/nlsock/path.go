package nlsock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Dir is where engines have their sockets by default.
const Dir = "/run/xfrmctl"

const (
	ownNamespace     = "/proc/thread-self/ns/net"
	initialNamespace = "/proc/1/ns/net"
)

// initialInode is the inode number of the initial namespace since Linux 6.18
// (NET_NS_INIT_INO of linux/nsfs.h); older kernels draw one.
const initialInode = 0xeffffff9

// DefaultPath returns where the engine of a network namespace listens unless it
// is told otherwise: esp.sock in Dir for the initial namespace (that of process
// 1), and esp-INODE.sock for another, with the inode number of the namespace.
// The zero NetNS is that of the calling thread. Errors are those of NetNS.Open.
func DefaultPath(ns netlinkx.NetNS) (string, error) {
	inode, err := inodeOf(ns)
	if err != nil {
		return "", err
	}
	name := "esp.sock"
	if inode != 0 && inode != initial() {
		name = fmt.Sprintf("esp-%d.sock", inode)
	}
	return filepath.Join(Dir, name), nil
}

// initial returns the inode number of process 1's namespace. Only CAP_SYS_PTRACE,
// which a unit of systemd rarely has, may look at it; but all see the
// namespace's files below /proc, which each namespace has of its own. Who lives in
// another one goes by the number that is the same everywhere since Linux 6.18.
func initial() uint64 {
	var st, own syscall.Stat_t
	if err := syscall.Stat(initialNamespace, &st); err == nil {
		return st.Ino
	}
	if syscall.Stat("/proc/1/net/dev", &st) == nil && syscall.Stat("/proc/thread-self/net/dev", &own) == nil && st.Ino == own.Ino {
		if inode, err := inodeOf(netlinkx.NetNS{}); err == nil {
			return inode
		}
	}
	return initialInode
}

// inodeOf returns the inode number of a namespace; 0 of the caller's own where
// there is no /proc.
func inodeOf(ns netlinkx.NetNS) (uint64, error) {
	f, err := openNetNS(ns)
	if err != nil {
		if ns.IsZero() && errors.Is(err, os.ErrNotExist) {
			return 0, nil
		}
		return 0, err
	}
	defer func() { _ = f.Close() }() // opened for a look
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return 0, fmt.Errorf("network namespace %s: %w", ns, err)
	}
	return st.Ino, nil
}

// openNetNS opens a namespace, also the caller's own.
func openNetNS(ns netlinkx.NetNS) (*os.File, error) {
	if ns.IsZero() {
		return os.Open(ownNamespace)
	}
	return ns.Open()
}
