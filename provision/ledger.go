package provision

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// store is the state directory. Its files have mode 0600:
//
//	lock    held by the one that writes (flock); holds its process id
//	secret  the key of fingerprints, written once
//	keys    counter-mode keys that SAs have had, by direction, appended and synced
//	NAME-…  what one owner has in one namespace of one engine, replaced as a whole
type store struct {
	dir, name, boot string
	secret          []byte
	objects         map[ID]string
	dirs            map[ID]netlinkx.Dir // of SAs whose kernel has none
	spent           map[string]keyState
	markers         map[string]string           // of keys that are intended or sent: the name of the marker
	there           map[string]*netlinkx.Policy // markers that were seen when last read, by name
	prints          map[*netlinkx.SA]string     // of SAs of this session, which do not change
	readOnly        bool
}

// keyState is how far a counter-mode key has come.
type keyState string

const (
	// keyIntended: an SA with it is about to be installed, and nothing was sent.
	keyIntended keyState = "intended"
	// keySent: it was sent, unless its marker is there. When the process was
	// killed before it saw the answer, the SA may have been there and be gone by
	// now: it expired, or another deleted it. Then the key may have been used.
	keySent  keyState = "sent"
	keySpent keyState = "spent"
	keyFree  keyState = "free" // not installed, or never used and taken back
)

// savedObjects is a ledger file. Objects of another boot are gone.
type savedObjects struct {
	Version int           `json:"version"`
	Boot    string        `json:"boot"`
	Objects map[ID]string `json:"objects"`
	// Directions are those of SAs on a kernel that has none: 1 in, 2 out.
	Directions map[ID]netlinkx.Dir `json:"directions,omitempty"`
}

// openStore reads the directory. When it shall only be read and is not there,
// nothing is ours.
func openStore(dir, name, boot string, readOnly bool) (*store, error) {
	s := &store{dir: dir, name: name, boot: boot, objects: map[ID]string{}, dirs: map[ID]netlinkx.Dir{}, prints: map[*netlinkx.SA]string{}, spent: map[string]keyState{}, markers: map[string]string{}, readOnly: readOnly}
	if err := s.readSecret(); err != nil {
		return nil, err
	}
	if err := s.readObjects(); err != nil {
		return nil, err
	}
	return s, s.readKeys()
}

func (s *store) path(name string) string { return filepath.Join(s.dir, name) }

// objectsFile is the ledger of this owner, namespace and engine.
func (s *store) objectsFile() string { return s.path(s.name + ".json") }

func (s *store) readSecret() error {
	b, err := os.ReadFile(s.path("secret"))
	switch {
	case err == nil && len(b) == sha256.Size:
		s.secret = b
		return nil
	case err == nil:
		return fmt.Errorf("%s has %d bytes, not %d: it was damaged; %s", s.path("secret"), len(b), sha256.Size, noSecret)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if st, err := os.Stat(s.path("keys")); err == nil && st.Size() > 0 {
		return fmt.Errorf("%s is gone; %s", s.path("secret"), noSecret)
	}
	if s.secret, err = randomBytes(sha256.Size); err != nil || s.readOnly {
		return err
	}
	return writeWhole(s.path("secret"), s.secret)
}

const noSecret = "without it no key that was used before is recognised: put it back from a copy, or move it and the file keys away and take new keys, the next epoch, for all tunnels"

func (s *store) readObjects() error {
	b, err := os.ReadFile(s.objectsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var saved savedObjects
	if err := json.Unmarshal(b, &saved); err != nil {
		return fmt.Errorf("%s is damaged, so it is not known what here is ours (%w): put it back from a copy, or move it away, remove what it named by hand, and apply", s.objectsFile(), err)
	}
	if saved.Version != 1 {
		return fmt.Errorf("%s has version %d, known is 1", s.objectsFile(), saved.Version)
	}
	if saved.Boot == s.boot && saved.Objects != nil {
		s.objects = saved.Objects
		maps.Copy(s.dirs, saved.Directions)
	}
	return nil
}

// save replaces the ledger file; when it returns, the new one is on disk.
func (s *store) save() error {
	b, err := json.Marshal(savedObjects{Version: 1, Boot: s.boot, Objects: s.objects, Directions: s.dirs})
	if err != nil {
		return err
	}
	return writeWhole(s.objectsFile(), b)
}

// readKeys reads lines of a state, a fingerprint, and the name of a marker if
// there is one. The last line of a write that was cut short is dropped: what it
// was about had not begun.
func (s *store) readKeys() error {
	b, err := os.ReadFile(s.path("keys"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	text := string(b[:bytes.LastIndexByte(b, '\n')+1])
	for n := 1; text != ""; n++ {
		line, rest, _ := strings.Cut(text, "\n")
		state, fp, ok := strings.Cut(line, " ")
		fp, marker, _ := strings.Cut(fp, " ")
		known := slices.Contains([]keyState{keyIntended, keySent, keySpent, keyFree}, keyState(state))
		if !ok || !known || len(strings.TrimPrefix(fp, inboundUse)) != 2*sha256.Size {
			return fmt.Errorf("%s, line %d is damaged: which keys were used is not known; put it back from a copy, or move it away and take new keys, the next epoch, for all tunnels", s.path("keys"), n)
		}
		s.set(fp, keyState(state), marker)
		text = rest
	}
	return nil
}

func (s *store) set(fp string, state keyState, marker string) {
	s.spent[fp] = state
	if marker != "" {
		s.markers[fp] = marker
	} else {
		delete(s.markers, fp)
	}
}

// mark records the state of keys, on disk when it returns.
func (s *store) mark(state keyState, fps []string) error {
	return s.note(state, "", fps, state != keySent)
}

// note is mark for keys that may have a marker. What is about to be sent is not
// synced: the machine that crashes comes back with another boot, and has no SA
// that could have been used.
func (s *store) note(state keyState, marker string, fps []string, synced bool) error {
	var b []byte
	for _, fp := range fps {
		if s.spent[fp] == state && s.markers[fp] == marker || s.spent[fp] == keySpent && (state == keyIntended || state == keySent) {
			continue
		}
		s.set(fp, state, marker)
		b = append(append(append(b, state...), ' '), fp...)
		if marker != "" {
			b = append(append(b, ' '), marker...)
		}
		b = append(b, '\n')
	}
	if b == nil {
		return nil
	}
	return appendLines(s.path("keys"), b, synced)
}

// unsent takes back that keys were sent.
func (s *store) unsent(fps []string) error {
	return s.mark(keyFree, slices.DeleteFunc(fps, func(fp string) bool { return s.spent[fp] != keySent }))
}

// fingerprint recognises the algorithms and keys of an SA without holding
// them: HMAC-SHA-256 with the secret of this directory.
func (s *store) fingerprint(sa *netlinkx.SA) string {
	// a plan asks for each several times
	if fp := s.prints[sa]; fp != "" {
		return fp
	}
	fp := s.newFingerprint(sa)
	s.prints[sa] = fp
	return fp
}

func (s *store) newFingerprint(sa *netlinkx.SA) string {
	h := hmac.New(sha256.New, s.secret)
	part := func(name string, key netlinkx.Key) {
		fmt.Fprintf(h, "%d:%s%d:", len(name), name, key.Len()) // a hash takes everything
		_, _ = h.Write(key.Reveal())
	}
	if sa.AEAD != nil {
		part(sa.AEAD.Name, sa.AEAD.Key)
	}
	if sa.Crypt != nil {
		part(sa.Crypt.Name, sa.Crypt.Key)
	}
	if sa.AuthTrunc != nil {
		part(sa.AuthTrunc.Name, sa.AuthTrunc.Key)
	} else if sa.Auth != nil {
		part(sa.Auth.Name, sa.Auth.Key)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// use is how an SA's key stands in the file of used ones.
func (s *store) use(sa *netlinkx.SA) string { return use(s.fingerprint(sa), sa.Dir) }

// ledger is what Plan works with. counters says that keys may come again,
// because the engine itself sees to it that no IV does.
func (s *store) ledger(counters bool) *Ledger {
	l := &Ledger{Objects: s.objects, Spent: map[string]bool{}, Sent: map[string]bool{}, Fingerprint: s.fingerprint}
	if counters {
		return l
	}
	for fp, state := range s.spent {
		switch {
		case state == keySpent:
			l.Spent[fp] = true
		case state == keySent && s.there[s.markers[fp]] == nil:
			l.Sent[fp] = true
		}
	}
	return l
}
