package journal

import "slices"

// compactSize returns the size in bytes at which a file of n live records is
// written anew.
func compactSize(n int) int64 { return 1<<20 + 2*int64(n)*recordLen }

// write brings the records to the disk; when that fails, the index gets back
// what it had.
func (j *Journal) write(wishes []wish) error {
	if len(wishes) == 0 {
		return nil
	}
	if err := j.writeDisk(wishes); err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		for _, w := range wishes {
			if j.index[w.c.key] = w.old; !w.known {
				delete(j.index, w.c.key)
			}
		}
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, w := range wishes {
		if w.lease != (span{}) {
			j.stats.Leases++
		}
	}
	return nil
}

func (j *Journal) writeDisk(wishes []wish) error {
	if j.disk == nil {
		return nil
	}
	recs := make([]record, len(wishes))
	for i := range wishes {
		recs[i] = wishes[i].rec
	}
	j.mu.Lock()
	j.seen = j.disk.id
	j.seen.size += int64(frameHeadLen + len(recs)*recordLen + macLen)
	j.mu.Unlock()
	if err := j.disk.append(recs); err != nil {
		return err
	}
	j.mu.Lock()
	j.stats.Syncs++
	compact := j.disk.id.size > j.compactAt
	j.mu.Unlock()
	if compact {
		j.compact()
	}
	return nil
}

// compact writes the file anew with the newest record of each key. When that
// fails the old file serves on, until it has grown by as much again.
func (j *Journal) compact() {
	j.mu.Lock()
	recs := make([]record, 0, len(j.index))
	for _, r := range j.index {
		recs = append(recs, r)
	}
	recs, dropped := newest(recs, maxKeys)
	for _, r := range dropped {
		if j.live[r.key] == nil {
			delete(j.index, r.key)
		} else {
			recs = append(recs, r)
		}
	}
	j.mu.Unlock()
	err := j.disk.rewrite(recs)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seen = j.disk.id
	j.compactAt = max(compactSize(len(recs)), j.disk.id.size+1<<20)
	if err != nil {
		j.stats.Error = err.Error()
	}
}

// newest splits off the records that are oldest, when there are more than n.
func newest(recs []record, n int) (kept, dropped []record) {
	if len(recs) <= n {
		return recs, nil
	}
	slices.SortFunc(recs, func(a, b record) int { return int(b.day) - int(a.day) })
	return recs[:n], recs[n:]
}
