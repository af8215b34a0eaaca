package document

import (
	"fmt"
	"strings"

	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// KeyFile is a file that a document refers to for a key.
type KeyFile struct {
	Path  string
	Bytes int // of the key in it
}

// KeyFiles returns the files with keys that a tunnel needs in an epoch: that of
// its root secret, or one for each direction. Keys that are found elsewhere are
// not among them.
func (t *Tunnel) KeyFiles(epoch uint64) (all []KeyFile, err error) {
	add := func(ref string, bytes int) {
		if path, ok := strings.CutPrefix(ref, "file:"); ok {
			all = append(all, KeyFile{path, bytes})
		}
	}
	if t.Keys.Derive.Set {
		add(t.Keys.Derive.V, keys.MinRoot)
		return all, nil
	}
	for _, from := range t.Between {
		for _, to := range t.Between {
			if from.V == to.V {
				continue
			}
			ref, err := keys.OfEpoch(t.Keys.Static[from.V+"-to-"+to.V].V, epoch)
			if err != nil {
				return nil, fmt.Errorf("tunnel %s: %w", t.Name.V, err)
			}
			add(ref, t.suite().KeyLen())
		}
	}
	return all, nil
}
