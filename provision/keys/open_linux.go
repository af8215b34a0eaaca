package keys

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// open does not wait for somebody who writes into a pipe.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// ownerOf returns who may change a file and its mode.
func ownerOf(st fs.FileInfo) uint32 { return st.Sys().(*syscall.Stat_t).Uid } // what Stat returns on Linux

// anothers refuses a file of a user who is neither root nor the one we are: he
// may read it, whatever its mode.
func anothers(owner, self uint32) error {
	if owner != 0 && owner != self {
		return fmt.Errorf("it belongs to user %d, who may read and change it: chown it, and take a new key", owner)
	}
	return nil
}

func checkFileOwner(st fs.FileInfo) error { return anothers(ownerOf(st), uint32(os.Geteuid())) }
