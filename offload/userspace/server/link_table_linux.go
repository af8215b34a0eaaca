package server

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Links are the engine's XFRM interfaces, and answers to link messages about
// them. It is safe for concurrent use.
type Links struct {
	plane Plane
	home  netns // the engine's namespace

	mu    sync.Mutex // held for a whole request: they take turns, as under RTNL
	links []*link
}

// link is one interface.
type link struct {
	dev  Device
	spec LinkSpec
}

// netns identifies a network namespace; inode 0: unknown.
type netns struct {
	file  *os.File
	inode uint64
}

// NewLinks returns an empty table. home is the network namespace in which plane
// makes devices, borrowed for the life of the table.
func NewLinks(plane Plane, home *os.File) *Links {
	return &Links{plane: plane, home: namespaceOf(home)}
}

func namespaceOf(f *os.File) netns {
	if f == nil {
		return netns{}
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return netns{file: f}
	}
	return netns{file: f, inode: st.Ino}
}

// Close deletes all interfaces.
func (l *Links) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.links {
		_ = k.dev.Delete() // the engine ends: the devices go with it
	}
	l.links = nil
}

// where is a name in a namespace.
type where struct {
	inode uint64
	name  string
}

// places returns the interfaces by where they are now, and forgets those that
// somebody has deleted. The caller holds l.mu.
func (l *Links) places() map[where]*link {
	out := make(map[where]*link, len(l.links))
	alive := l.links[:0]
	for _, k := range l.links {
		name, err := k.dev.Name()
		if err != nil {
			_ = k.dev.Delete() // to let go of what is left of it
			continue
		}
		alive = append(alive, k)
		inode := l.home.inode
		if fd, err := k.dev.NetNS(); err == nil {
			var st unix.Stat_t
			if unix.Fstat(fd, &st) == nil {
				inode = st.Ino
			}
			_ = unix.Close(fd)
		}
		out[where{inode, name}] = k
	}
	clear(l.links[len(alive):])
	l.links = alive
	return out
}

// taken finds the interface that has an if_id, or is the external one.
func (l *Links) taken(ifID uint32, external bool) *link {
	for _, k := range l.links {
		if k.spec.External == external && k.spec.IfID == ifID {
			return k
		}
	}
	return nil
}

func (l *Links) forget(k *link) {
	for i, o := range l.links {
		if o == k {
			l.links = append(l.links[:i], l.links[i+1:]...)
			return
		}
	}
}

// vanished waits until a deleted device is gone, which the kernel does after
// the last descriptor has been closed; a second at most.
func vanished(gone func() bool) {
	for pause := time.Millisecond; pause < time.Second && !gone(); pause *= 2 {
		time.Sleep(pause)
	}
}

// errnoOf is the errno of an error, or EIO.
func errnoOf(err error) syscall.Errno {
	var e syscall.Errno
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, fs.ErrExist):
		return syscall.EEXIST
	case errors.Is(err, fs.ErrPermission):
		return syscall.EPERM
	}
	return syscall.EIO
}
