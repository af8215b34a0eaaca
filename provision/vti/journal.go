package vti

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/xfrmctl/xfrmctl/provision"
)

// journal is the file of the state directory that holds the moves of one
// namespace; another boot's are gone with what they were about. It has no keys.
type journal struct {
	path  string
	saved saved
}

type saved struct {
	Version int     `json:"version"`
	Boot    string  `json:"boot"`
	Moves   []*Move `json:"moves"`
}

const journalVersion = 1

// openJournal reads the file; one that is not there is empty.
func openJournal(dir, boot string, inode uint64) (*journal, error) {
	j := &journal{path: filepath.Join(dir, fmt.Sprintf("vti-%d.json", inode)), saved: saved{Version: journalVersion, Boot: boot}}
	b, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return nil, err
	}
	var s saved
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", j.path, err)
	}
	if s.Version != journalVersion {
		return nil, fmt.Errorf("%s has version %d, known is %d", j.path, s.Version, journalVersion)
	}
	if s.Boot == boot {
		j.saved = s
	}
	return j, nil
}

// save writes the file; when it returns, it is on disk.
func (j *journal) save() error {
	b, err := json.Marshal(&j.saved)
	if err != nil {
		return err
	}
	return provision.ReplaceFile(j.path, b)
}

// begin notes that a move goes on in a direction, before it does.
func (j *journal) begin(m *Move, p Phase) error {
	m.Phase = p
	if !slices.Contains(j.saved.Moves, m) {
		j.saved.Moves = append(j.saved.Moves, m)
	}
	return j.save()
}

// drop forgets a move that is over.
func (j *journal) drop(m *Move) error {
	j.saved.Moves = slices.DeleteFunc(j.saved.Moves, func(o *Move) bool { return o == m })
	if len(j.saved.Moves) == 0 {
		return os.Remove(j.path)
	}
	return j.save()
}
