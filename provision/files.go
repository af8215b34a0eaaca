package provision

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// LockedError tells that another process works with the state directory.
type LockedError struct{ Dir, Holder string }

// Error returns one line.
func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is locked by %s", e.Dir, e.Holder)
}

// lockPoll is how often a held lock is tried again.
const lockPoll = 100 * time.Millisecond

// trusted refuses a directory in which anybody could say what is ours and which
// keys were used.
func trusted(dir string) error {
	st, err := os.Stat(dir)
	if err == nil && st.IsDir() && st.Mode().Perm()&0o002 != 0 {
		err = fmt.Errorf("everybody may write to the state directory %s (mode %04o), and say what is ours and which keys were used: chmod 700, or name another", dir, st.Mode().Perm())
	}
	return err
}

// lock takes the lock of the directory. onWait is called once when another has
// it; nil means not to wait.
func lock(ctx context.Context, dir string, onWait func(holder string)) (*os.File, error) {
	if err := trusted(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for waited := false; ; waited = true {
		err := tryLock(f)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close() // nothing was written
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
		holder := lockHolder(f)
		if onWait == nil {
			_ = f.Close() // as above
			return nil, &LockedError{dir, holder}
		}
		if !waited {
			onWait(holder)
		}
		select {
		case <-ctx.Done():
			_ = f.Close() // as above
			return nil, fmt.Errorf("%w: %w", &LockedError{dir, holder}, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
	// who has it is told for people only: errors do no harm
	_ = f.Truncate(0)
	_, _ = f.WriteAt(fmt.Appendf(nil, "process %d (%s)", os.Getpid(), filepath.Base(os.Args[0])), 0)
	return f, nil
}

func lockHolder(f *os.File) string {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 200))
	if holder := strings.TrimSpace(string(b)); err == nil && holder != "" {
		return holder
	}
	return "another process"
}

// writeWhole replaces a file by one of mode 0600 and syncs it: after a crash
// the old or the new one is there.
func writeWhole(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// appendLines appends to a file. What an earlier write that was cut short has
// left behind its last line is cut off first.
func appendLines(path string, b []byte, synced bool) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	end, err := lastLine(f)
	if err == nil {
		_, err = f.WriteAt(b, end)
		err = errors.Join(err, f.Truncate(end+int64(len(b))))
	}
	if !synced {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// lastLine returns where the last line of a file ends that is whole. It reads from
// behind: files of keys are long, and are appended to with each batch of SAs.
func lastLine(f *os.File) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 512)
	for end > 0 {
		part := buf[:min(end, int64(len(buf)))]
		if _, err := f.ReadAt(part, end-int64(len(part))); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return end - int64(len(part)-i-1), nil
		}
		end -= int64(len(part))
	}
	return 0, nil
}

func randomBytes(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := rand.Read(b)
	return b, err
}

// bootID tells boots of this machine apart.
func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// netnsInode tells network namespaces of one boot apart.
func netnsInode(ns netlinkx.NetNS) (uint64, error) {
	path := "/proc/thread-self/ns/net"
	if !ns.IsZero() {
		f, err := ns.Open()
		if err != nil {
			return 0, err
		}
		defer f.Close() // read only
		path = fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	}
	n, err := inode(path)
	if err != nil {
		return 0, fmt.Errorf("network namespace %s: %w", path, err)
	}
	return n, nil
}
