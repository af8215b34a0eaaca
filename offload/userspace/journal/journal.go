package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Config says where a journal is.
type Config struct {
	// Dir holds the files. It is made, with mode 0700, if it is missing. All
	// engines of a machine share one.
	Dir string
	// RunDir, if not "", is a directory that is empty after a boot, for the
	// second witness. It is made if it is missing.
	RunDir string
}

// witness returns the path of the second claim. It tells directories apart, so
// that it is found when all of Dir is gone.
func (c *Config) witness() (string, error) {
	if c.RunDir == "" {
		return "", nil
	}
	abs, err := filepath.Abs(c.Dir)
	if err != nil {
		return "", fmt.Errorf("journal of used keys: %w", err)
	}
	if err := os.MkdirAll(c.RunDir, 0o755); err != nil {
		return "", fmt.Errorf("journal of used keys: %w", err)
	}
	sum := sha256.Sum256([]byte(abs))
	return filepath.Join(c.RunDir, "journal-"+hex.EncodeToString(sum[:8])), nil
}

// Journal hands out Counters. It is safe for concurrent use.
type Journal struct {
	now func() time.Time

	// writing is held by who reads or writes the files, while that lasts.
	writing sync.Mutex
	disk    *disk // nil: nothing outlasts the process

	mu        sync.Mutex // guards what is below; never held across a system call
	secret    secret
	index     map[fingerprint]record
	live      map[fingerprint]*Counter
	queue     []*Counter // waiting for a lease, or for their last word
	closed    bool
	lost      *LostError // no key may be used
	seen      fileID     // the file as we know it, or are about to make it
	compactAt int64      // size at which the file is written anew
	stats     Stats

	wake chan struct{} // the queue is not empty, or the journal is closed
	done chan struct{}
}

// Stats is what a Journal has to tell.
type Stats struct {
	Keys   int    `json:"keys"`           // known
	Leases uint64 `json:"leases"`         // written by this process
	Syncs  uint64 `json:"syncs"`          // waits for the disk
	Lost   string `json:"lost,omitempty"` // why keys are refused
	// Error is why the last attempt to write failed, "" when it did not.
	Error string `json:"error,omitempty"`
}

// Open opens the journal of cfg.Dir, or begins one. When the journal that was
// there is lost, it returns a *LostError and a Journal that refuses all
// keys with it. Any other error comes without a Journal.
func Open(cfg *Config) (*Journal, error) {
	witness, err := cfg.witness()
	if err != nil {
		return nil, err
	}
	d, err := openDisk(cfg.Dir, witness)
	if err != nil {
		return nil, err
	}
	j := newJournal()
	err = d.locked(func() error {
		if err := d.install(); err != nil {
			return err
		}
		j.secret = d.secret
		return d.refresh(j.forget, j.remember)
	})
	if err == nil {
		err = d.claimSynced()
	}
	var lost *LostError
	if err != nil && !errors.As(err, &lost) {
		d.close()
		return nil, err
	}
	j.disk, j.lost = d, lost
	j.seen = d.id
	j.compactAt = compactSize(len(j.index))
	go j.commitAll()
	return j, err
}

// claimSynced brings the claim that outlasts a boot to the disk.
func (d *disk) claimSynced() error {
	return d.locked(func() error { return d.claim(true) })
}

// Volatile returns a journal without files, for keys that die with the process:
// those of tests, and random ones that nobody else gets.
func Volatile() *Journal {
	j := newJournal()
	randomSecret(&j.secret)
	go j.commitAll()
	return j
}

func newJournal() *Journal {
	return &Journal{
		now:   time.Now,
		index: make(map[fingerprint]record), live: make(map[fingerprint]*Counter),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// Discard puts the files of cfg.Dir aside, with a suffix, so that Open begins
// anew. It is for an operator who has replaced all keys; no engine may run.
func Discard(cfg *Config) error {
	witness, err := cfg.witness()
	if err != nil {
		return err
	}
	d, err := openDisk(cfg.Dir, witness)
	if err != nil {
		return err
	}
	defer d.close()
	return d.locked(func() error {
		return d.discard("." + time.Now().UTC().Format("20060102T150405"))
	})
}

func (j *Journal) forget()           { clear(j.index) }
func (j *Journal) remember(r record) { j.index[r.key] = r }

// Key returns the counter of a key: the same one for the same cipher key, also
// under another algorithm or with another salt. key is borrowed until it returns. A key that
// was used before goes on where it was. Each call wants one Release. It fails
// with *LostError, ErrClosed, or what reading the files says.
func (j *Journal) Key(algorithm string, key []byte) (*Counter, error) {
	if n := saltLen(algorithm); n < len(key) {
		key = key[:len(key)-n]
	}
	if err := j.refusal(); err != nil {
		return nil, err
	}
	if err := j.catchUp(); err != nil {
		return nil, err
	}
	c, r := j.counter(key)
	c.learn(r)
	return c, nil
}

// refusal says why no key may be used.
func (j *Journal) refusal() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.lost != nil:
		return j.lost
	case j.closed:
		return ErrClosed
	}
	return nil
}

// counter finds or makes the counter of a key, and what is known of it.
func (j *Journal) counter(key []byte) (*Counter, record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	fp := j.secret.fingerprint(key)
	r, known := j.index[fp]
	c := j.live[fp]
	if c == nil {
		c = &Counter{j: j, key: fp, size: firstLease, base: r.base}
		if !known {
			c.base = randomBase()
		}
		j.live[fp] = c
	}
	c.users++
	return c, r
}

// saltLen returns how many bytes at the end of an algorithm's key are its salt
// or nonce (RFC 4106, 4543, 7634, 3686, 4309).
func saltLen(algorithm string) int {
	switch {
	case strings.HasPrefix(algorithm, "rfc4309("):
		return 3
	case strings.HasPrefix(algorithm, "rfc"):
		return 4
	}
	return 0
}

// catchUp reads what another process may have written.
func (j *Journal) catchUp() error {
	if j.disk == nil {
		return nil
	}
	id, err := j.disk.look()
	j.mu.Lock()
	fresh := err == nil && !id.more(j.seen)
	j.mu.Unlock()
	if fresh {
		return nil
	}
	j.writing.Lock()
	defer j.writing.Unlock()
	err = j.disk.locked(j.refresh)
	j.notice(err)
	return err
}

// refresh brings the index up to date. The caller holds the file's lock and
// j.writing.
func (j *Journal) refresh() error {
	if err := j.refusal(); err != nil && err != ErrClosed {
		return err
	}
	var recs []record
	var anew bool
	err := j.disk.refresh(func() { recs, anew = nil, true }, func(r record) { recs = append(recs, r) })
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		return err
	}
	if anew {
		j.forget()
	}
	for _, r := range recs {
		j.remember(r)
	}
	j.seen = j.disk.id
	return nil
}

// notice keeps what an attempt to use the files came to.
func (j *Journal) notice(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stats.Error = ""
	var lost *LostError
	if errors.As(err, &lost) && j.lost == nil {
		j.lost = lost
	} else if err != nil {
		j.stats.Error = err.Error()
	}
}

// Stats returns what there is to tell now.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	s.Keys = len(j.index)
	if j.lost != nil {
		s.Lost = j.lost.Error()
	}
	return s
}

// Close writes down how far each key was really used, so that nothing of the
// leases is wasted, and closes the files. Counters fail from then on.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	j.closed = true
	j.mu.Unlock()
	j.signal()
	<-j.done
	err := j.settleAll()
	if j.disk != nil {
		j.disk.close()
	}
	return err
}
