package journal

import (
	"errors"
	"fmt"
)

// ErrExhausted tells that a key has no IVs left: it was used 2^64 times.
var ErrExhausted = errors.New("all IVs of this key are used: install a new key")

// ErrClosed is what a closed Journal answers.
var ErrClosed = errors.New("journal of used keys is closed")

// LostError tells that the journal does not know any more what keys were used
// for, because it is gone, damaged, or an older copy of itself. Counter-mode
// keys must not be used until someone has decided what to do.
type LostError struct {
	Path   string // of the directory
	Reason string // what was noticed
}

// Error says what is wrong and what to do, in one line.
func (e *LostError) Error() string {
	return fmt.Sprintf("journal of used keys %s: %s; a key in use could repeat an IV, so keys of counter-mode ciphers are refused: "+
		"give every SA a new key, then start once with --new-journal", e.Path, e.Reason)
}
