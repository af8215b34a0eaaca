package provision

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// rotationFile holds how far the changes of an owner's keys have come. The keys
// belong to the owner and not to a namespace or boot: their epochs go on.
func rotationFile(dir, owner string) string { return filepath.Join(dir, owner+".rotation.json") }

// ReadRotation returns what WriteRotation has written for the owner of that
// name, nil when there is nothing. It takes no lock: the file is replaced as a
// whole.
func ReadRotation(dir, owner string) ([]byte, error) {
	b, err := os.ReadFile(rotationFile(dir, owner))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// ReadRotation returns what WriteRotation has written for the session's owner.
// While the session holds the lock nobody else changes it.
func (s *Session) ReadRotation() ([]byte, error) {
	return ReadRotation(s.cfg.StateDir, s.cfg.Owner.Name)
}

// WriteRotation keeps what package rotate knows of the owner's keys; it is on
// disk when WriteRotation returns.
func (s *Session) WriteRotation(b []byte) error {
	if s.cfg.ReadOnly {
		return errReadOnly
	}
	return writeWhole(rotationFile(s.cfg.StateDir, s.cfg.Owner.Name), b)
}

// Packets returns how many packets an SA has carried, and whether it is there.
func (s *Session) Packets(ctx context.Context, id netlinkx.SAID) (n uint64, there bool, err error) {
	sa, err := s.cfg.XFRM.GetSA(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	dropKeys(sa)
	return sa.Usage.Packets, true, nil
}

// SAObject returns the name that an SA has in Options and messages.
func SAObject(id netlinkx.SAID) ID { return ID(id.String()) }

// PolicyObject returns the name that a policy has there: two policies with one
// cannot be in one namespace.
func PolicyObject(p *netlinkx.Policy) ID { return policyID(p) }
