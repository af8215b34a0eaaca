package stamp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
)

// version is that of the form of stamps.
const version = 1

// Stamp says that a run found nothing to do, or did all that was to be done,
// and what it went by.
type Stamp struct {
	Version int `json:"version"`
	// Boot is that of the machine: stamps of others are removed.
	Boot string `json:"boot"`
	// Since and Until bound when it holds: a clock may ask for other keys then.
	// Until may be zero: for ever.
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"`
	// Engine is what was asked for, and what it came to with the document.
	Engine [2]string `json:"engine"`
	// Keys are the references to keys that were followed, Underlays the devices
	// whose MTU was looked at.
	Keys      []string `json:"keys"`
	Underlays []string `json:"underlays"`
	// Questions are what the kernel was asked.
	Questions []Question `json:"questions"`
	// Left and Notes are those of the result.
	Left  []provision.ID `json:"left,omitempty"`
	Notes []string       `json:"notes,omitempty"`
	// Answers is a keyed digest of what the kernel answered, Around one of all that
	// is above and of the circumstances.
	Answers string `json:"answers"`
	Around  string `json:"around"`
}

// Circumstances are what decides beside the kernel. A Stamp holds where all are
// the same, byte by byte.
type Circumstances struct {
	StateDir string
	NetNS    netlinkx.NetNS
	// Words are those of the command that change what it does, always in the same
	// order.
	Words    []string
	Document [sha256.Size]byte // SHA-256
	// Keys writes what references lead to, MTUs the MTUs of devices.
	Keys func(refs []string, to io.Writer) error
	MTUs func(devices []string, to io.Writer) error
}

// prefix begins the names of stamps' files.
const prefix = "unchanged-"

// path is where the stamp is for these words: one for each way to run.
func (c *Circumstances) path() (string, error) {
	_, inode, err := provision.Whereabouts(c.NetNS)
	if err != nil {
		return "", err
	}
	h, err := provision.Keyed(c.StateDir)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "name %d %q", inode, c.Words)
	return filepath.Join(c.StateDir, prefix+hex.EncodeToString(h.Sum(nil)[:8])+".json"), nil
}

// Read returns the stamp that Write has left for these circumstances, if there
// is one. Whether it holds is another question.
func Read(c *Circumstances) (*Stamp, error) {
	path, err := c.path()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &Stamp{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.Version != version {
		return nil, fmt.Errorf("%s has version %d, known is %d", path, s.Version, version)
	}
	return s, nil
}

// Fits reports whether all but the kernel is as it was. The caller has the lock of
// the state directory. What cannot be found out is a no.
func (s *Stamp) Fits(c *Circumstances, now time.Time) bool {
	if now.Before(s.Since) || !s.Until.IsZero() && !now.Before(s.Until) {
		return false
	}
	around, err := s.around(c)
	return err == nil && hmac.Equal([]byte(around), []byte(s.Around))
}

// Holds asks the kernel, and reports whether it answers as it did. Of a Stamp that
// fits, this says that there is nothing to do but what was done.
func (s *Stamp) Holds(ctx context.Context, c *Circumstances) bool {
	r := NewRecorder()
	if r.Ask(ctx, c.NetNS, s.Questions) != nil {
		return false
	}
	answers, err := r.seal(c.StateDir)
	return err == nil && hmac.Equal([]byte(answers), []byte(s.Answers))
}

// Write leaves a stamp of what r has followed since it began. It reports whether
// that can be stamped. The caller has the lock of the state directory, and has
// written all that it writes there.
func Write(s *Stamp, c *Circumstances, r *Recorder) (bool, error) {
	if r.spoilt || len(r.asked) == 0 {
		return false, nil
	}
	boot, _, err := provision.Whereabouts(c.NetNS)
	if err != nil {
		return false, err
	}
	s.Version, s.Boot, s.Questions = version, boot, r.asked
	if s.Answers, err = r.seal(c.StateDir); err != nil {
		return false, err
	}
	if s.Around, err = s.around(c); err != nil {
		return false, err
	}
	path, err := c.path()
	if err != nil {
		return false, err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return false, err
	}
	return true, errors.Join(provision.ReplaceFile(path, b), clearOld(c.StateDir, boot))
}

// seal is the keyed digest of what was asked and answered.
func (r *Recorder) seal(dir string) (string, error) {
	h, err := provision.Keyed(dir)
	if err != nil {
		return "", err
	}
	_, _ = h.Write(r.sum.Sum([]byte("answers"))) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil)), nil
}

// around is the keyed digest of the stamp and of everything but the kernel.
func (s *Stamp) around(c *Circumstances) (string, error) {
	h, err := provision.Keyed(c.StateDir)
	if err != nil {
		return "", err
	}
	bare := *s
	bare.Around = ""
	plain, err := json.Marshal(&bare)
	if err != nil {
		return "", err
	}
	boot, inode, err := provision.Whereabouts(c.NetNS)
	if err != nil {
		return "", err
	}
	program, err := programIdentity()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "around %d %s %d %q %q %q %q %x ", len(plain), plain, inode, boot, program, c.Words, c.StateDir, c.Document)
	if err := c.Keys(s.Keys, h); err != nil {
		return "", err
	}
	if err := c.MTUs(s.Underlays, h); err != nil {
		return "", err
	}
	if err := stateFiles(c.StateDir, h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
