package datapath

import (
	"runtime"
	"sync"
	"time"

	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
)

// source is something that a worker waits for: a queue of a device, a socket.
type source interface {
	// service carries one batch and reports whether there may be more.
	service(w *worker) bool
	fd() int
	state() *sourceState
}

// sourceState is a worker's bookkeeping of a source.
type sourceState struct{ hot bool }

// rounds is how many batches are carried before others are asked for.
const rounds = 16

const (
	// busyPackets is what makes a time busy: more than a ping or a handshake.
	busyPackets = 16
	lingerTimes = 2
)

// worker is one packet thread. Except for what its mutex guards and its published
// counters it is used by that thread only.
type worker struct {
	plane *Plane
	id    int
	poll  *poller // nil in tests that drive the worker themselves
	// direct is for plain ESP, nil if it is off or not to be had.
	direct *outer.Direct

	sources map[int]source
	hot     []source // may have something to do
	gone    []source // say that they are no more
	now     time.Duration
	table   *deviceTable

	seen   uint64 // packets when it last waited
	single bool   // plain ESP came since, packet by packet

	out   outbound
	in    inboundState
	stats Stats
	shown published

	mu       sync.Mutex
	commands []func()
	running  bool // there is, or was, a thread
	ended    bool // it takes no more commands
	done     chan struct{}
}

func newWorker(p *Plane, id int) *worker {
	w := &worker{plane: p, id: id, sources: make(map[int]source), done: make(chan struct{})}
	w.table = p.devices.Load()
	w.out.init()
	w.in.init(p.config)
	return w
}

// start makes the thread. Its poller must be there.
func (w *worker) start() {
	w.mu.Lock()
	w.running = true
	w.mu.Unlock()
	go w.run()
}

// run is the thread. It ends by stop.
func (w *worker) run() {
	runtime.LockOSThread()
	sharpenTimers()
	defer close(w.done)
	if w.plane.config.Enter != nil {
		w.plane.config.Enter()
	}
	for {
		w.next()
		if w.obey() {
			w.obey() // what came between the two
			return
		}
		for i := 0; i < rounds && len(w.hot) > 0; i++ {
			w.round()
		}
		w.shown.set(&w.stats)
	}
}

// next waits for something to do. After a busy time it lingers first: what
// comes in the meantime needs no wake-up, which is what costs both sides most
// when packets come one by one.
func (w *worker) next() {
	woken := w.poll.wait(w, false)
	busy, single := w.stats.carried()-w.seen >= busyPackets, w.single
	w.seen, w.single = w.stats.carried(), false
	for i := 0; busy && i < lingerTimes && len(w.hot) == 0 && !woken; i++ {
		linger(single)
		woken = w.poll.wait(w, false)
	}
	if len(w.hot) == 0 && !woken {
		w.poll.wait(w, true)
	}
}

// round carries one batch of each hot source.
func (w *worker) round() {
	w.now = w.plane.now()
	w.table = w.plane.devices.Load()
	w.stats.Batches++
	n := len(w.hot) // what gets hot meanwhile is for the next round
	kept := 0
	for i := 0; i < n; i++ {
		s := w.hot[i]
		if s.service(w) {
			w.hot[kept] = s
			kept++
		} else {
			s.state().hot = false
		}
	}
	kept += copy(w.hot[kept:], w.hot[n:])
	clear(w.hot[kept:])
	w.hot = w.hot[:kept]
	for _, s := range w.gone {
		w.remove(s)
	}
	w.gone = w.gone[:0]
}

// heat makes a source's turn come without waiting to be told by the kernel.
func (w *worker) heat(s source) {
	if st := s.state(); !st.hot {
		st.hot = true
		w.hot = append(w.hot, s)
	}
}

// add begins to serve a source. On the worker's thread.
func (w *worker) add(s source) error {
	if w.poll != nil {
		if err := w.poll.add(s.fd()); err != nil {
			return err
		}
	}
	w.sources[s.fd()] = s
	w.heat(s)
	return nil
}

// remove forgets a source, which may then be closed. On the worker's thread.
func (w *worker) remove(s source) {
	if w.poll != nil {
		w.poll.remove(s.fd())
	}
	delete(w.sources, s.fd())
	for i, h := range w.hot {
		if h == s {
			w.hot = append(w.hot[:i], w.hot[i+1:]...)
			break
		}
	}
	s.state().hot = false
}

// call runs f on the worker's thread, between batches, and waits for it. The
// caller must hold no lock that a packet thread may want.
func (w *worker) call(f func()) {
	ran := make(chan struct{})
	w.post(func() { f(); close(ran) })
	<-ran
}

// post runs f on the worker's thread, between batches, and does not wait for
// more than the thread's last commands. Without a thread, not yet or not any
// more, it runs f at once.
func (w *worker) post(f func()) {
	w.mu.Lock()
	if w.running && !w.ended {
		w.commands = append(w.commands, f)
		w.poll.wake()
		w.mu.Unlock()
		return
	}
	ended := w.ended
	w.mu.Unlock()
	if ended {
		<-w.done
	}
	w.mu.Lock() // in place of the thread: one after the other
	defer w.mu.Unlock()
	f()
}

// obey runs what call was asked for and reports whether stop was one of them.
func (w *worker) obey() bool {
	w.mu.Lock()
	commands := w.commands
	w.commands = nil
	w.mu.Unlock()
	for _, f := range commands {
		f()
	}
	return w.ended
}

// stop ends the thread, if there is one, and waits for it.
func (w *worker) stop() {
	w.mu.Lock()
	running := w.running
	w.mu.Unlock()
	if running {
		w.call(func() {
			w.mu.Lock()
			w.ended = true
			w.mu.Unlock()
		})
		<-w.done
		w.shown.set(&w.stats)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.poll != nil {
		w.poll.close()
		w.poll = nil
	}
}
