package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

// takeLock waits for the lock of other processes.
func takeLock(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			return err
		}
	}
}

func dropLock(f *os.File) {
	_ = unix.Flock(int(f.Fd()), unix.LOCK_UN) // closing it would do the same
}

// identify tells the file at a path from others.
func identify(path string) (fileID, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return fileID{uint64(st.Dev), st.Ino, st.Size}, err
}

func identifyOpen(f *os.File) (fileID, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return fileID{uint64(st.Dev), st.Ino, st.Size}, err
}

// syncData returns when what was written is on disk.
func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
