package keys

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// New makes a file with n random bytes as hex digits behind 0x, for its owner
// alone (mode 0600). When it returns, file and name are on disk. A file that is
// there is never touched: fs.ErrExist. So is nothing in a directory in which
// others could put another file in its place. Errors never hold the key.
func New(path string, n int) error {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return err
	}
	if err := checkDirectory(dir); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w, and is never overwritten", path, fs.ErrExist)
	}
	if err != nil {
		return err
	}
	if err := fill(f, n); err != nil {
		return fmt.Errorf("%s: %w", path, errors.Join(bare(err), os.Remove(path)))
	}
	return syncDirectory(dir)
}

// fill writes the key and closes the file. The mode is set again: the umask may
// have taken the owner's own rights.
func fill(f *os.File, n int) error {
	b := make([]byte, n)
	_, err := rand.Read(b)
	if err == nil {
		_, err = f.WriteString("0x" + hex.EncodeToString(b) + "\n")
	}
	return errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close())
}

// checkDirectory refuses a directory when somebody else but root could rename
// or replace what is in it, or one of those that it is in. In one with the
// sticky bit, like /tmp, others cannot.
func checkDirectory(path string) error {
	dir, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("directory %s: %w; mkdir -m 700 %s makes it", path, bare(err), path)
	}
	if err != nil {
		return fmt.Errorf("directory %s: %w", path, bare(err))
	}
	for {
		st, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("directory %s: %w", dir, bare(err))
		}
		if err := checkOwner(dir, st); err != nil {
			return err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil
		}
		dir = parent
	}
}

func checkOwner(dir string, st fs.FileInfo) error {
	owner := ownerOf(st)
	switch {
	case !st.IsDir():
		return fmt.Errorf("%s is no directory", dir)
	case owner != 0 && owner != uint32(os.Geteuid()):
		return fmt.Errorf("directory %s belongs to user %d, who could replace the key", dir, owner)
	case st.Mode().Perm()&0o022 != 0 && st.Mode()&fs.ModeSticky == 0:
		return fmt.Errorf("others may write to directory %s (mode %04o) and could replace the key: chmod go-w", dir, st.Mode().Perm())
	}
	return nil
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
