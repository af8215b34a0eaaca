package datapath

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/tun"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
)

// memoryQueue is a queue of a device in memory.
type memoryQueue struct {
	reads  [][]byte
	writes [][]byte
	refuse func([]byte) error // of writes
	number int
}

func (q *memoryQueue) FD() int { return q.number }

func (q *memoryQueue) Read(b []byte) (int, error) {
	if len(q.reads) == 0 {
		return 0, unix.EAGAIN
	}
	n := copy(b, q.reads[0])
	q.reads = q.reads[1:]
	return n, nil
}

func (q *memoryQueue) Write(b []byte) (int, error) {
	if q.refuse != nil {
		if err := q.refuse(b); err != nil {
			return 0, err
		}
	}
	q.writes = append(q.writes, append([]byte(nil), b...))
	return len(b), nil
}

// memoryDevice is a device with one queue.
type memoryDevice struct{ q *memoryQueue }

func (d *memoryDevice) queues() []queue      { return []queue{d.q} }
func (d *memoryDevice) set(tun.Change) error { return nil }
func (d *memoryDevice) close() error         { return nil }

// memorySocket sends to the sockets of another end.
type memorySocket struct {
	end    *end
	key    outer.Key
	waits  []outer.Message
	number int
}

func (s *memorySocket) FD() int      { return s.number }
func (s *memorySocket) Close() error { delete(s.end.sockets, s.key); return nil }

func (s *memorySocket) Keepalive(r *outer.Run) error {
	var sent outer.Sent
	k := *r
	k.Buf, k.Segment, k.Packets = []byte{0xff}, 1, 1
	s.Send(&k, &sent)
	return nil
}

// Send hands a run over at once, as a device that merges would.
func (s *memorySocket) Send(r *outer.Run, sent *outer.Sent) {
	sent.Calls++
	if s.end.tooLong > 0 && r.Segment > s.end.tooLong {
		sent.Dropped += r.Packets
		sent.TooLong += r.Packets
		return
	}
	sent.Packets += r.Packets
	s.end.runs = append(s.end.runs, *r)
	if s.key.Port != 0 {
		s.end.peer.receive(outer.Key{V6: s.key.V6, Port: r.Port}, outer.Message{
			Data: append([]byte(nil), r.Buf...), Segment: r.Segment, Src: r.Src, Dst: r.Dst, Port: s.key.Port, TOS: r.TOS, TTL: 64,
		})
		return
	}
	for b := r.Buf; len(b) > 0; {
		n := min(r.Segment, len(b))
		m := outer.Message{Data: append([]byte(nil), b[:n]...), Src: r.Src, Dst: r.Dst, TOS: r.TOS, TTL: 64}
		if s.key.V6 {
			m.TOS, m.TTL = m.Data[0]<<4|m.Data[1]>>4, m.Data[7]
			m.Data = m.Data[40:]
		}
		s.end.peer.receive(outer.Key{V6: s.key.V6}, m)
		b = b[n:]
	}
}

func (s *memorySocket) Flush(*outer.Sent) {}

func (s *memorySocket) Recv(b *outer.Batch, most int) (int, error) {
	n := min(len(s.waits), most, b.Len())
	if n == 0 {
		return 0, unix.EAGAIN
	}
	for i := range n {
		b.Put(i, &s.waits[i], s.key.V6)
	}
	s.waits = s.waits[n:]
	return n, nil
}

// end is one of two engines that are connected in memory.
type end struct {
	plane   *Plane
	db      *sadb.DB
	peer    *end
	device  *Device
	queue   *memoryQueue
	sockets map[outer.Key]*memorySocket
	runs    []outer.Run
	tooLong int // longer ESP packets meet EMSGSIZE
	lost    int // arrived where nobody listens
}

func (e *end) receive(k outer.Key, m outer.Message) {
	if s := e.sockets[k]; s != nil {
		s.waits = append(s.waits, m)
		return
	}
	e.lost++
}

func newEnd(t *testing.T, off Off) *end {
	e := &end{sockets: make(map[outer.Key]*memorySocket)}
	number := 1000
	e.plane = New(Config{
		Workers: 1, Off: off, manual: true,
		Failed: func(err error) { t.Error(err) },
		open: func(c outer.Config) (socket, error) {
			number++
			s := &memorySocket{end: e, key: c.Key, number: number}
			e.sockets[c.Key] = s
			return s, nil
		},
		create: func(d *Device, _ int) error {
			number++
			d.io = &memoryDevice{q: &memoryQueue{number: number}}
			return nil
		},
	})
	e.db = sadb.New(sadb.Config{SAChanged: e.plane.SAChanged})
	t.Cleanup(e.db.Close)
	if err := e.plane.Start(e.db); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *end) addDevice(t *testing.T, c DeviceConfig) (*Device, *memoryQueue) {
	d, err := e.plane.AddDevice(c)
	if err != nil {
		t.Fatal(err)
	}
	return d, d.io.(*memoryDevice).q
}

// work carries all that there is.
func (e *end) work() {
	w := e.plane.workers[0]
	for _, s := range w.sources {
		w.heat(s)
	}
	for len(w.hot) > 0 {
		w.round()
	}
	w.shown.set(&w.stats)
}

// packets returns what a device was given, super-packets cut again.
func (q *memoryQueue) packets(t *testing.T) (ps [][]byte) {
	t.Helper()
	for _, b := range q.writes {
		var h segment.Header
		var split segment.Splitter
		b = append([]byte(nil), b...)
		if err := h.Decode(b); err != nil {
			t.Fatal(err)
		}
		if err := split.Init(&h, b[segment.HeaderLen:]); err != nil {
			t.Fatal(err)
		}
		for p := split.Next(); p != nil; p = split.Next() {
			ps = append(ps, append([]byte(nil), p...))
		}
	}
	return ps
}
