package journal

import (
	"encoding/binary"
	"runtime"
	"testing"
)

// What a key costs in memory, in use and remembered.
func TestMemoryOfAKey(t *testing.T) {
	const n = 20000
	j := open(t, dirs(t))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	all := make([]*Counter, 0, n)
	key := make([]byte, 20)
	for i := range n {
		binary.BigEndian.PutUint32(key, uint32(i))
		c, err := j.Key(gcm, key)
		if err != nil {
			t.Fatal(err)
		}
		c.Prepare()
		all = append(all, c)
	}
	for _, c := range all {
		reserve(t, c, 1)
	}
	used := (heap() - before) / n
	t.Logf("%d bytes for each key", used)
	if used > 700 {
		t.Errorf("%d bytes for each key", used)
	}
	runtime.KeepAlive(all)
}
