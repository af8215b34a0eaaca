package journal

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// The secret file.
//
//	magic[8] installation[16] secret[32] sum[16]
const secretLen = 72

var secretMagic = [8]byte{'x', 'f', 'r', 'm', 's', 'e', 'c', '1'}

// install finds the installation in the directory, or makes one where there has
// been none.
func (d *disk) install() error {
	b, err := os.ReadFile(d.path("secret"))
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.checkVirgin(); err != nil {
			return err
		}
		return d.create()
	}
	if err != nil {
		return fmt.Errorf("journal of used keys: %w", err)
	}
	fi, err := os.Stat(d.path("secret"))
	if err != nil {
		return fmt.Errorf("journal of used keys: %w", err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s may be read by others: chmod 600 it", d.path("secret"))
	}
	if len(b) != secretLen || !bytes.Equal(b[:8], secretMagic[:]) {
		return d.lost("its secret is damaged")
	}
	if sum := sha256.Sum256(b[:secretLen-macLen]); !bytes.Equal(sum[:macLen], b[secretLen-macLen:]) {
		return d.lost("its secret is damaged")
	}
	copy(d.installation[:], b[8:])
	copy(d.secret[:], b[24:])
	return nil
}

// checkVirgin makes sure that no key was ever used with this directory. The
// secret is written last, so a journal without entries is what a first start
// that was stopped has left.
func (d *disk) checkVirgin() error {
	if d.witness != "" {
		if _, err := os.Stat(d.witness); err == nil {
			return d.lost("its files are gone, and %s knows of them", d.witness)
		}
	}
	fi, err := os.Stat(d.path("journal"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("journal of used keys: %w", err)
	case fi.Size() > headerLen:
		return d.lost("its secret is gone")
	}
	return nil
}

// create writes the files of a new installation.
func (d *disk) create() error {
	rand.Read(d.secret[:]) // never fails
	rand.Read(d.installation[:])
	h := header{d.installation, 1}
	if err := d.replace("journal", h.encode(&d.secret)); err != nil {
		return err
	}
	d.state = claim{d.installation, 1, 0}
	_ = os.Remove(d.path("generation")) // of a first start that was stopped
	if err := d.writeClaim(d.path("generation"), true); err != nil {
		return fmt.Errorf("journal of used keys: %w", err)
	}
	b := append([]byte(nil), secretMagic[:]...)
	b = append(b, d.installation[:]...)
	b = append(b, d.secret[:]...)
	sum := sha256.Sum256(b)
	if err := d.replace("secret", append(b, sum[:macLen]...)); err != nil {
		return err
	}
	return d.claim(true)
}

// discard puts the files of an installation aside, so that the next one that
// looks makes a new one.
func (d *disk) discard(suffix string) error {
	for _, name := range []string{"secret", "journal", "generation"} {
		err := os.Rename(d.path(name), d.path(name+suffix))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("journal of used keys: %w", err)
		}
	}
	if d.witness == "" {
		return nil
	}
	if err := os.Remove(d.witness); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("journal of used keys: %w", err)
	}
	return syncDir(d.dir)
}
