package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// files watches the folders in which the files are, and those of all symbolic
// links on the way: an editor renames a new file over the old one, others swap
// a link. A file that is watched itself would be lost with the first of these.
type files struct {
	always []string
	note   func(Change)
	notify *fsnotify.Watcher

	mu      sync.Mutex
	more    []string
	names   map[string]bool // whose change counts
	folders map[string]bool
}

func newFiles(paths []string, note func(Change)) (*files, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	f := &files{note: note, notify: n, folders: map[string]bool{}}
	for _, p := range paths {
		if p, err = filepath.Abs(p); err != nil {
			return nil, errors.Join(err, n.Close())
		}
		f.always = append(f.always, p)
	}
	f.rescan()
	for folder, ok := range f.folders {
		if !ok {
			err = fmt.Errorf("watch folder %s: not possible (too many inotify watches, or not to be read)", folder)
			return nil, errors.Join(err, n.Close())
		}
	}
	return f, nil
}

func (f *files) close() error { return f.notify.Close() }

// follow takes the place of what was followed besides before.
func (f *files) follow(paths []string) {
	var more []string
	for _, p := range paths {
		if p, err := filepath.Abs(p); err == nil {
			more = append(more, p)
		}
	}
	f.mu.Lock()
	f.more = more
	f.mu.Unlock()
	f.rescan()
}

// rescan follows the paths anew. A folder that cannot be watched now is tried
// again the next time.
func (f *files) rescan() {
	f.mu.Lock()
	defer f.mu.Unlock()
	names, folders := map[string]bool{}, map[string]bool{}
	for _, p := range slices.Concat(f.always, f.more) {
		for _, name := range trail(p) {
			names[name] = true
			folders[filepath.Dir(name)] = false
		}
	}
	for folder := range f.folders {
		if _, still := folders[folder]; !still {
			_ = f.notify.Remove(folder) // it may be gone
		}
	}
	for folder := range folders {
		folders[folder] = f.notify.Add(folder) == nil
	}
	f.names, f.folders = names, folders
}

// maxLinks is how many symbolic links a path may have, as in the kernel.
const maxLinks = 40

// trail returns the symbolic links that a path leads over, and the file at its
// end. It ends at what is not there.
func trail(path string) (names []string) {
	at, rest := "/", strings.Split(strings.Trim(path, "/"), "/")
	for links := 0; len(rest) > 0 && links < maxLinks; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		target, err := os.Readlink(next)
		switch {
		case err == nil:
			links++
			names = append(names, next)
			if !filepath.IsAbs(target) {
				target = filepath.Join(at, target)
			}
			at, rest = "/", append(strings.Split(strings.Trim(filepath.Clean(target), "/"), "/"), rest...)
		case len(rest) == 0 || errors.Is(err, os.ErrNotExist):
			return append(names, next)
		default:
			at = next
		}
	}
	return names
}

// listen takes events in until ctx ends.
func (f *files) listen(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-f.notify.Events:
			if !ok {
				return nil
			}
			if e.Op != fsnotify.Chmod && f.counts(e.Name) {
				f.rescan()
				f.note(Change{Files: true})
			}
		case err, ok := <-f.notify.Errors:
			if !ok {
				return nil
			}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("watch files: %w", err)
			}
			f.note(Change{Files: true})
		}
	}
}

func (f *files) counts(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.names[name]
}
