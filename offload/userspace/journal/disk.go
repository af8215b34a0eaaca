package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is the files of one journal. It is used by one goroutine, which holds
// the lock while it does; other processes may have written in between.
type disk struct {
	dir     string
	witness string // path of the claim outside of dir, "" none
	lock    *os.File

	secret       secret
	installation [16]byte

	file   *os.File // the journal
	frames frames
	state  claim  // what has been read or written
	id     fileID // of the file up to there
}

func (d *disk) path(name string) string { return filepath.Join(d.dir, name) }

// openDisk opens the directory and its lock. Nothing is read yet.
func openDisk(dir, witness string) (*disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal of used keys: %w", err)
	}
	d := &disk{dir: dir, witness: witness}
	var err error
	if d.lock, err = os.OpenFile(d.path("lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("journal of used keys: %w", err)
	}
	return d, nil
}

func (d *disk) close() {
	if d.file != nil {
		_ = d.file.Close() // everything was synced when it was written
	}
	_ = d.lock.Close()
}

// locked runs fn while no other process reads or writes.
func (d *disk) locked(fn func() error) error {
	if err := takeLock(d.lock); err != nil {
		return fmt.Errorf("lock %s: %w", d.lock.Name(), err)
	}
	defer dropLock(d.lock)
	return fn()
}

func (d *disk) lost(format string, args ...any) error {
	return &LostError{Path: d.dir, Reason: fmt.Sprintf(format, args...)}
}

// fileID tells files and their states apart.
type fileID struct {
	dev, ino uint64
	size     int64
}

// look returns what is at the journal's path now.
func (d *disk) look() (fileID, error) {
	return identify(d.path("journal"))
}

// more reports whether id may have entries that are not in seen.
func (id fileID) more(seen fileID) bool {
	return id.ino != seen.ino || id.dev != seen.dev || id.size > seen.size
}

// refresh reads what other processes have written, and checks that nothing was
// taken away. apply gets each record, and reset is called before all of them
// come anew.
func (d *disk) refresh(reset func(), apply func(record)) error {
	id, err := d.look()
	if err != nil {
		return d.lost("its file is gone")
	}
	if d.file == nil || id.ino != d.id.ino || id.dev != d.id.dev {
		if err := d.reopen(); err != nil {
			return err
		}
		reset()
	} else if id.size < d.id.size {
		return d.lost("it was %d bytes long and is %d", d.id.size, id.size)
	}
	if err := d.readFrames(apply); err != nil {
		return err
	}
	return d.checkClaims()
}

// reopen opens the journal and reads its header.
func (d *disk) reopen() error {
	f, err := os.OpenFile(d.path("journal"), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("journal of used keys: %w", err)
	}
	b := make([]byte, headerLen)
	_, err = io.ReadFull(f, b)
	var h header
	var id fileID
	if err == nil {
		id, err = identifyOpen(f)
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		h, err = decodeHeader(b, &d.secret)
	}
	switch {
	case errors.Is(err, errDamaged) || err == nil && h.installation != d.installation:
		err = d.lost("its header is damaged, or of another installation")
	case err == nil && h.generation < d.state.generation:
		err = d.lost("it was put back from generation %d to %d", d.state.generation, h.generation)
	}
	if err != nil {
		f.Close()
		return err
	}
	if d.file != nil {
		d.file.Close()
	}
	d.file, d.id = f, fileID{id.dev, id.ino, headerLen}
	d.frames = frames{&d.secret, b}
	d.state = claim{d.installation, h.generation, 0}
	return nil
}

// readFrames reads from where it was left. What a writer that was stopped has
// left at the end is no frame, was not used by anybody, and is cut off.
func (d *disk) readFrames(apply func(record)) error {
	b, err := io.ReadAll(io.NewSectionReader(d.file, d.id.size, 1<<62))
	if err != nil {
		return fmt.Errorf("read %s: %w", d.file.Name(), err)
	}
	for len(b) > 0 {
		body, rest, ok := d.frames.next(b, d.state.frames+1)
		if !ok {
			break
		}
		eachRecord(body, apply)
		d.id.size += int64(len(b) - len(rest))
		d.state.frames++
		b = rest
	}
	if len(b) == 0 {
		return nil
	}
	if d.frames.anyAfter(b, d.state.frames+1) {
		return d.lost("it is damaged at byte %d", d.id.size)
	}
	if err := d.checkClaims(); err != nil {
		return err
	}
	if err := d.file.Truncate(d.id.size); err != nil {
		return fmt.Errorf("cut off what is unfinished: %w", err)
	}
	return nil
}

// checkClaims compares what was read with what it is said to have at least.
func (d *disk) checkClaims() error {
	for _, path := range []string{d.path("generation"), d.witness} {
		if path == "" {
			continue
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && path == d.witness {
			continue // nothing outlasts a boot there
		}
		if errors.Is(err, fs.ErrNotExist) {
			return d.lost("%s is gone", path)
		}
		if err != nil {
			return fmt.Errorf("journal of used keys: %w", err)
		}
		c, err := decodeClaim(b)
		switch {
		case err != nil:
			return d.lost("%s is damaged", path)
		case c.installation != d.installation:
			return d.lost("%s is of another installation", path)
		case c.after(&d.state):
			return d.lost("it was put back: it ends at entry %d of generation %d, and %s knows of %d of generation %d",
				d.state.frames, d.state.generation, path, c.frames, c.generation)
		}
	}
	return nil
}

// append adds a frame and returns when it is on disk.
func (d *disk) append(recs []record) error {
	b := d.frames.append(nil, d.state.frames+1, recs)
	if _, err := d.file.WriteAt(b, d.id.size); err != nil {
		_ = d.file.Truncate(d.id.size) // else the next reader does
		return fmt.Errorf("write journal of used keys: %w", err)
	}
	if err := syncData(d.file); err != nil {
		// what the disk has now is unknown: nothing may follow that counts on it
		return fmt.Errorf("sync %s: %w", d.file.Name(), err)
	}
	d.id.size += int64(len(b))
	d.state.frames++
	return d.claim(false)
}

// claim writes down what there is now. Only with sync it waits for the disk: a
// claim that is late claims less, which is safe.
func (d *disk) claim(sync bool) error {
	if err := d.writeClaim(d.path("generation"), sync); err != nil {
		return fmt.Errorf("journal of used keys: %w", err)
	}
	if d.witness == "" {
		return nil
	}
	err := d.writeClaim(d.witness, false)
	if errors.Is(err, fs.ErrNotExist) { // someone has cleaned up
		_ = os.MkdirAll(filepath.Dir(d.witness), 0o755)
		err = d.writeClaim(d.witness, false)
	}
	if err != nil {
		return fmt.Errorf("journal of used keys: %w", err)
	}
	return nil
}

func (d *disk) writeClaim(path string, sync bool) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	slot, at := d.state.encode()
	_, err = f.WriteAt(slot, at)
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// rewrite replaces the journal by one with these records alone.
func (d *disk) rewrite(recs []record) error {
	h := header{d.installation, d.state.generation + 1}
	fr := frames{&d.secret, h.encode(&d.secret)}
	b, n := append([]byte(nil), fr.header...), uint64(0)
	for len(recs) > 0 {
		part := recs[:min(len(recs), 4096)]
		recs = recs[len(part):]
		n++
		b = fr.append(b, n, part)
	}
	if err := d.replace("journal", b); err != nil {
		return err
	}
	if err := d.reopen(); err != nil {
		return err
	}
	d.id.size, d.state.frames = int64(len(b)), n
	return d.claim(true)
}

// replace writes a whole file so that there is the old one or the new one.
func (d *disk) replace(name string, b []byte) error {
	tmp := d.path(name + ".new")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("journal of used keys: %w", err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, d.path(name))
	}
	if err == nil {
		err = syncDir(d.dir)
	}
	if err != nil {
		return fmt.Errorf("journal of used keys: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
