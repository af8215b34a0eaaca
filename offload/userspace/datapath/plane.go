package datapath

import (
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/tun"
	"github.com/xfrmctl/xfrmctl/offload/userspace/pmtu"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
)

// Off switches off what the kernel should do and does wrong.
type Off struct {
	Segment bool // UDP_SEGMENT
	GRO     bool // UDP_GRO
	TSO     bool // TCP super-packets from devices
	USO     bool // UDP super-packets from devices
	TCP     bool // TCP super-packets to devices
	Direct  bool // packet sockets for plain ESP
	UDP     bool // UDP super-packets to devices
}

// Config is what a Plane is made from. The zero value works.
type Config struct {
	// Workers is the number of packet threads, 0 for one for two CPUs.
	// With several, packets of one SA may leave in another order than their
	// sequence numbers, by up to a few hundred: a peer's replay window should
	// have 1024 packets or more.
	Workers int
	Off     Off
	// Failed is told what went wrong in the background: a socket for a new SA
	// that could not be opened. It must not call the Plane. Nil: nobody.
	Failed func(error)
	// Enter is called by each packet thread before anything else, for instance
	// to give up privileges. The thread ends with the Plane. Nil: nothing.
	Enter func()

	// What tests replace.
	open   func(outer.Config) (socket, error)
	create func(d *Device, queues int) error
	manual bool // no threads: the test drives the workers
}

// Plane carries the packets of an engine. Its methods are safe for concurrent
// use.
type Plane struct {
	config  Config
	db      *sadb.DB
	started time.Time

	workers  []*worker
	devices  atomic.Pointer[deviceTable]
	sockets  registry
	epoch    atomic.Uint64 // changes when paths have to be made anew
	mtus     *pmtu.Table
	routes   *outer.Routes // nil in tests
	routeMTU func(dst netip.Addr, mark, device uint32) int
	stale    chan *path // paths that want something of tend

	// Of tend's goroutine.
	filtered      bool
	filteredUntil time.Duration

	control sync.Mutex // devices come and go one after the other
	made    uint32     // devices so far; guarded by control
	closed  bool       // guarded by control

	// Guarded by sockets.mu.
	uses       map[*sadb.SA][]outer.Key
	keepalives map[*sadb.SA]struct{}

	icmp  []closer
	ended chan struct{}
	wait  sync.WaitGroup
}

type closer interface{ Close() error }

// errClosed is the answer to who comes too late.
var errClosed = errors.New("the engine is closed")

// New prepares a Plane. SAChanged may be called from now on, packets pass after
// Start. The packet sockets for plain ESP are opened here, in the network namespace
// of the calling thread: a process that confines itself does so after New.
func New(c Config) *Plane {
	if c.Workers <= 0 {
		c.Workers = max(1, runtime.NumCPU()/2)
	}
	if c.Failed == nil {
		c.Failed = func(error) {}
	}
	if c.open == nil {
		c.open = func(o outer.Config) (socket, error) { return openOuter(o) }
	}
	if c.create == nil {
		c.create = createTun(c.Off)
	}
	p := &Plane{
		config: c, started: time.Now(), mtus: pmtu.New(pmtu.Config{}),
		uses: make(map[*sadb.SA][]outer.Key), keepalives: make(map[*sadb.SA]struct{}),
		stale: make(chan *path, 64), ended: make(chan struct{}),
	}
	p.devices.Store(&deviceTable{byIfID: make(map[uint32]*Device)})
	p.sockets.sets.Store(&map[outer.Key]*socketSet{})
	p.routeMTU = func(netip.Addr, uint32, uint32) int { return 1500 }
	for i := range c.Workers {
		p.workers = append(p.workers, newWorker(p, i))
	}
	if !c.Off.Direct && !c.manual {
		p.openDirect()
	}
	return p
}

// Start begins to carry packets by what db says. Sockets and devices belong to
// the network namespace of the calling thread.
func (p *Plane) Start(db *sadb.DB) error {
	p.db = db
	if p.config.manual {
		return nil
	}
	for _, w := range p.workers {
		poll, err := newPoller()
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.poll = poll
		w.mu.Unlock()
		for _, s := range w.sources { // SAs may have come before
			if err := poll.add(s.fd()); err != nil {
				return err
			}
		}
	}
	if err := p.startRoutes(); err != nil {
		return err
	}
	p.startICMP()
	for _, w := range p.workers {
		w.start()
	}
	p.wait.Add(1)
	go p.tend()
	return nil
}

// Close ends the threads, then closes sockets and devices, also after a Start
// that failed. SAs may come and go meanwhile and afterwards; nothing is opened
// for them any more.
func (p *Plane) Close() error {
	p.control.Lock()
	defer p.control.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	close(p.ended)
	var errs []error
	for _, c := range p.icmp {
		errs = append(errs, c.Close())
	}
	p.wait.Wait()
	for _, w := range p.workers {
		w.stop()
	}
	p.closeSets()
	for _, d := range p.Devices() {
		errs = append(errs, d.io.close())
	}
	p.devices.Store(&deviceTable{byIfID: make(map[uint32]*Device)})
	for _, w := range p.workers {
		if w.direct != nil {
			errs = append(errs, w.direct.Close())
		}
	}
	if p.routes != nil {
		errs = append(errs, p.routes.Close())
	}
	return errors.Join(errs...)
}

// Stats returns the counters.
func (p *Plane) Stats() *Stats {
	sum := &Stats{}
	for _, w := range p.workers {
		w.shown.addTo(sum)
	}
	return sum
}

// Devices returns the devices there are.
func (p *Plane) Devices() []*Device {
	var ds []*Device
	for _, d := range p.devices.Load().bySlot {
		if d != nil {
			ds = append(ds, d)
		}
	}
	return ds
}

// now is the time since the Plane was made.
func (p *Plane) now() time.Duration { return time.Since(p.started) }

// createTun makes the real devices.
func createTun(off Off) func(*Device, int) error {
	return func(d *Device, queues int) error {
		t, err := tun.Create(tun.Config{Name: d.config.Name, Queues: queues, Persist: d.config.Persist, NoTSO: off.TSO, NoUSO: off.USO})
		if err != nil {
			return err
		}
		d.tun, d.io = t, tunDevice{t}
		return nil
	}
}

// tunDevice is a tun.Device as a device.
type tunDevice struct{ t *tun.Device }

func (d tunDevice) set(c tun.Change) error { return d.t.Set(c) }
func (d tunDevice) close() error           { return d.t.Close() }
func (d tunDevice) queues() (qs []queue) {
	for _, q := range d.t.Queues() {
		qs = append(qs, q)
	}
	return qs
}

// openOuter opens a real socket.
func openOuter(c outer.Config) (socket, error) {
	s, err := outer.Open(c)
	if err != nil {
		return nil, err // not a socket that holds nil
	}
	return s, nil
}
