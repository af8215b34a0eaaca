package provision

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// LockDir makes a state directory with mode 0700 and takes its lock, which the
// caller gives back by closing it. onWait is called once when another process
// has it, which is then waited for; nil: the error is *LockedError.
func LockDir(ctx context.Context, dir string, onWait func(holder string)) (io.Closer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := lock(ctx, dir, onWait)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// ReplaceFile writes a file of mode 0600 as a whole: after a crash the old or
// the new one is there. When it returns, the new one is on disk.
func ReplaceFile(path string, b []byte) error { return writeWhole(path, b) }

// Keyed returns an HMAC-SHA-256 with the secret of a state directory. Without a
// secret, which the first session makes, the error is fs.ErrNotExist.
func Keyed(dir string) (hash.Hash, error) {
	secret, err := os.ReadFile(filepath.Join(dir, "secret"))
	if err != nil {
		return nil, err
	}
	if len(secret) != sha256.Size {
		return nil, fmt.Errorf("%s has %d bytes, not %d: it was damaged", filepath.Join(dir, "secret"), len(secret), sha256.Size)
	}
	return hmac.New(sha256.New, secret), nil
}

// Whereabouts tell boots of this machine and network namespaces of one boot
// apart: the kernel's boot identifier, and the inode of the namespace.
func Whereabouts(ns netlinkx.NetNS) (boot string, inode uint64, err error) {
	if boot, err = bootID(); err != nil {
		return "", 0, err
	}
	inode, err = netnsInode(ns)
	return boot, inode, err
}
