package journal

import (
	"errors"
	"math"
	"slices"
)

// maxKeys bounds the journal. Beyond it, the keys that were used longest ago
// are forgotten; as their IVs begin at a random place, one that comes back all
// the same is still unlikely to repeat any.
const maxKeys = 1 << 18

// request queues c for a lease, or, when nobody uses it, for its last word. Its
// caller may hold c.mu, so c.mu is never taken under j.mu.
func (j *Journal) request(c *Counter) {
	j.mu.Lock()
	if !c.queued {
		c.queued = true
		j.queue = append(j.queue, c)
	}
	j.mu.Unlock()
	j.signal()
}

func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// commitAll is the goroutine that writes. All that is asked for while it waits
// for the disk goes into the next frame together. Close ends it.
func (j *Journal) commitAll() {
	defer close(j.done)
	for range j.wake {
		j.mu.Lock()
		batch, closed := j.queue, j.closed
		j.queue = nil
		for _, c := range batch {
			c.queued = false
		}
		j.mu.Unlock()
		for part := range slices.Chunk(batch, maxFrame/2) {
			j.commit(part)
		}
		if closed {
			return
		}
	}
}

// wish is what one counter gets out of a commit.
type wish struct {
	c     *Counter
	rec   record
	lease span
	old   record // of the index, to put back
	known bool
}

// commit writes one frame for the counters and grants their leases.
func (j *Journal) commit(batch []*Counter) {
	j.writing.Lock()
	defer j.writing.Unlock()
	var wishes []wish
	write := func() error {
		if err := j.refreshDisk(); err != nil {
			return err
		}
		for _, c := range batch {
			if w, ok := j.wish(c); ok {
				wishes = append(wishes, w)
			}
		}
		return j.write(wishes)
	}
	var err error
	if j.disk == nil {
		err = write()
	} else {
		err = j.disk.locked(write)
	}
	j.notice(err)
	if err != nil {
		for _, c := range batch {
			c.grant(record{}, span{}, err)
		}
		return
	}
	for _, w := range wishes {
		if w.lease != (span{}) {
			w.c.grant(w.rec, w.lease, nil)
			j.requestLast(w.c)
		}
	}
}

// requestLast queues a counter that was given up while it waited.
func (j *Journal) requestLast(c *Counter) {
	j.mu.Lock()
	last := c.users == 0
	j.mu.Unlock()
	if last {
		j.request(c)
	}
}

func (j *Journal) refreshDisk() error {
	if j.disk == nil {
		return nil
	}
	return j.refresh()
}

// wish works out the record of one counter, and puts it into the index.
func (j *Journal) wish(c *Counter) (w wish, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	w = wish{c: c}
	w.old, w.known = j.index[c.key]
	if w.rec = w.old; !w.known {
		w.rec = record{key: c.key, base: c.base}
	}
	w.rec.day = uint32(j.now().Unix() / 86400)
	switch {
	case c.users == 0 && c.waiting == nil:
		delete(j.live, c.key)
		ok = c.settle(&w)
	case c.waiting != nil:
		ok = c.extend(&w)
	}
	if ok {
		j.index[c.key] = w.rec
	}
	return w, ok
}

// settle gives back what of the lease was not used, if nobody has leased behind
// it. The caller holds c.mu.
func (c *Counter) settle(w *wish) bool {
	c.settled = true
	defer func() { c.next, c.end, c.spare = 0, 0, span{} }()
	if !w.known || c.spare != (span{}) || c.end != w.rec.until || c.next == c.end {
		return false
	}
	w.rec.until = c.next
	w.rec.seq = max(w.rec.seq, lacking(c.raise, c.next))
	return true
}

// extend takes the next lease. The caller holds c.mu.
func (c *Counter) extend(w *wish) bool {
	from := w.rec.until
	if w.rec.base == c.base {
		// another process may have dropped the key from the file
		from = max(from, c.until)
	}
	if from > math.MaxUint64-c.size {
		c.fail(ErrExhausted)
		return false
	}
	at := from
	if c.end > c.next {
		at = c.next
	}
	w.rec.seq = max(w.rec.seq, c.seq, lacking(c.raise, at))
	w.rec.until = from + c.size
	w.lease = span{w.rec.base, from, w.rec.until}
	return true
}

// fail ends the wait for a lease. The caller holds c.mu.
func (c *Counter) fail(err error) {
	c.err, c.retry = err, c.j.now().Add(retryAfter)
	close(c.waiting)
	c.waiting = nil
}

// lacking returns what has to be added to at to make seq.
func lacking(seq, at uint64) uint64 {
	if seq <= at {
		return 0
	}
	return seq - at
}

// settleAll writes the last word on all counters, when the writer has ended.
func (j *Journal) settleAll() error {
	j.mu.Lock()
	var all []*Counter
	for _, c := range j.live {
		c.users = 0
		all = append(all, c)
	}
	silent := j.lost != nil || j.disk == nil
	j.mu.Unlock()
	for _, c := range all {
		c.mu.Lock()
		if c.waiting != nil {
			c.fail(ErrClosed)
		}
		if c.settled = true; silent {
			c.next, c.end, c.spare = 0, 0, span{}
		}
		c.mu.Unlock()
	}
	if silent || len(all) == 0 {
		return nil
	}
	for part := range slices.Chunk(all, maxFrame/2) {
		j.commit(part)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.stats.Error != "" {
		return errors.New(j.stats.Error)
	}
	return nil
}
