package netlinkx

import (
	"fmt"
	"os"
	"path/filepath"
)

// netnsDir is where `ip netns` mounts named network namespaces.
const netnsDir = "/run/netns"

// NetNS names a network namespace. The zero NetNS is the caller's own: that of
// the thread that opens the socket. A NetNS is plain data that may be compared
// and copied; nothing is opened before Open.
type NetNS struct {
	kind netnsKind
	at   string // name or path
	fd   int
}

type netnsKind uint8

const (
	netnsOwn netnsKind = iota
	netnsNamed
	netnsPath
	netnsFD
)

// NamedNetNS names a namespace as `ip netns` does: the file NAME in /run/netns.
func NamedNetNS(name string) NetNS { return NetNS{kind: netnsNamed, at: name} }

// NetNSAt names the namespace that the file at path refers to, for example
// /proc/1234/ns/net.
func NetNSAt(path string) NetNS { return NetNS{kind: netnsPath, at: path} }

// NetNSFD names the namespace of an open file, which is borrowed: it must stay
// open until the last Open and is never closed here.
func NetNSFD(fd int) NetNS { return NetNS{kind: netnsFD, fd: fd} }

// IsZero reports whether n is the caller's own namespace.
func (n NetNS) IsZero() bool { return n == NetNS{} }

// String returns the name, the path, "fd 3", or "" for the caller's own
// namespace.
func (n NetNS) String() string {
	if n.kind == netnsFD {
		return fmt.Sprintf("fd %d", n.fd)
	}
	return n.at
}

// Open opens the namespace; the caller owns the file. For the caller's own
// namespace it returns nil and no error. Errors answer fs.ErrNotExist and
// fs.ErrPermission; a file that is no network namespace is an error too.
func (n NetNS) Open() (*os.File, error) {
	if n.IsZero() {
		return nil, nil
	}
	f, err := n.open()
	if err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", n, err)
	}
	if err := checkNetNS(f); err != nil {
		_ = f.Close() // opened for reading: nothing is lost
		return nil, fmt.Errorf("network namespace %s: %w", n, err)
	}
	return f, nil
}

func (n NetNS) open() (*os.File, error) {
	switch n.kind {
	case netnsFD:
		return dupFile(n.fd, n.String())
	case netnsNamed:
		if n.at == "" || n.at == "." || n.at == ".." || filepath.Base(n.at) != n.at {
			return nil, fmt.Errorf("%q is not the name of a file in %s: %w", n.at, netnsDir, os.ErrInvalid)
		}
		return os.Open(filepath.Join(netnsDir, n.at))
	}
	return os.Open(n.at)
}
