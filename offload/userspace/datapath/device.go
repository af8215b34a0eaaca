package datapath

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/tun"
)

// DeviceConfig says what device AddDevice makes.
type DeviceConfig struct {
	Name string
	// IfID is the if_id of the XFRM interface that the device stands for.
	IfID uint32
	// External makes it the device of SAs and policies without if_id, and of
	// all SAs whose if_id has no device (IFLA_XFRM_COLLECT_METADATA).
	External bool
	// Underlay is the interface by which ESP leaves, "" for what routing says.
	Underlay string
	// UnderlayIndex is its index; selectors may name it.
	UnderlayIndex uint32
	// MTU is the inner MTU, 0 for 1500.
	MTU int
	// Persist keeps the device when the engine ends; see tun.Config.
	Persist bool
}

// device is a tun.Device, or a test's.
type device interface {
	queues() []queue
	set(tun.Change) error
	close() error
}

// queue is a tun.Queue, or a test's.
type queue interface {
	Read([]byte) (int, error)
	Write([]byte) (int, error)
	FD() int
}

// Device is a device of a Plane.
type Device struct {
	config DeviceConfig
	plane  *Plane
	io     device
	slot   uint32
	number uint32          // of all devices that there were; fragments are told apart by it
	each   []*deviceSource // by queue
	ifID   atomic.Uint32
	tun    *tun.Device // nil in tests
}

// deviceSource is a queue of a device.
type deviceSource struct {
	sourceState
	queue
	device *Device
}

func (s *deviceSource) fd() int             { return s.FD() }
func (s *deviceSource) state() *sourceState { return &s.sourceState }

// deviceTable is the devices at one moment. It is never changed.
type deviceTable struct {
	byIfID   map[uint32]*Device // without external ones
	external *Device
	bySlot   []*Device // nil where a device was removed
}

// forSA returns the device that packets of an SA arrive on, nil for none.
func (t *deviceTable) forSA(ifID uint32) *Device {
	if d := t.byIfID[ifID]; d != nil {
		return d
	}
	return t.external
}

// Config returns what the device was made from, with its present if_id.
func (d *Device) Config() DeviceConfig {
	c := d.config
	c.IfID = d.ifID.Load()
	return c
}

// Tun returns the TUN device, to move, rename, or set it up. It belongs to d.
func (d *Device) Tun() *tun.Device { return d.tun }

// source returns the queue of a worker: with fewer queues than workers they
// share.
func (d *Device) source(worker int) *deviceSource { return d.each[worker%len(d.each)] }

// AddDevice makes a TUN device in the network namespace of the calling thread
// and begins to carry its packets. It is down. An error of a name, if_id or
// external device that exists already answers errors.Is(err, fs.ErrExist).
func (p *Plane) AddDevice(c DeviceConfig) (*Device, error) {
	p.control.Lock()
	defer p.control.Unlock()
	if p.closed {
		return nil, fmt.Errorf("add device %s: %w", c.Name, errClosed)
	}
	if err := p.devices.Load().admits(c); err != nil {
		return nil, fmt.Errorf("add device %s: %w", c.Name, err)
	}
	p.made++
	d := &Device{config: c, plane: p, number: p.made}
	d.ifID.Store(c.IfID)
	if err := p.config.create(d, len(p.workers)); err != nil {
		return nil, err
	}
	for _, q := range d.io.queues() {
		d.each = append(d.each, &deviceSource{queue: q, device: d})
	}
	mtu := c.MTU
	if mtu == 0 {
		mtu = 1500
	}
	if err := d.io.set(tun.Change{MTU: mtu, GSOMaxSize: gsoMaxSize, GSOMaxSegs: gsoMaxSegs}); err != nil {
		d.io.close()
		return nil, err
	}
	p.publishDevices(func(t *deviceTable) { t.insert(d) })
	return d, p.serveDevice(d)
}

// What a super-packet is bounded to, so that what comes of it goes out with one
// call: outer.MaxRun less what ESP adds to each packet.
const (
	gsoMaxSize = 60500
	gsoMaxSegs = 64
)

// serve makes a worker receive from a source.
func (p *Plane) serve(w *worker, s source) error {
	var err error
	w.call(func() { err = w.add(s) })
	return err
}

// serveDevice gives the queues to workers.
func (p *Plane) serveDevice(d *Device) error {
	for i, s := range d.each {
		if err := p.serve(p.workers[i%len(p.workers)], s); err != nil {
			p.removeDevice(d)
			return fmt.Errorf("add device %s: %w", d.config.Name, err)
		}
	}
	return nil
}

// admits refuses a device that would be mistaken for another.
func (t *deviceTable) admits(c DeviceConfig) error {
	if c.External && t.external != nil {
		return fmt.Errorf("external device %s is there: %w", t.external.config.Name, fs.ErrExist)
	}
	if d := t.byIfID[c.IfID]; d != nil && !c.External {
		return fmt.Errorf("if_id %#x has device %s: %w", c.IfID, d.config.Name, fs.ErrExist)
	}
	return nil
}

func (t *deviceTable) insert(d *Device) {
	if d.config.External {
		t.external = d
	} else {
		t.byIfID[d.ifID.Load()] = d
	}
	if i := slices.Index(t.bySlot, nil); i >= 0 {
		d.slot, t.bySlot[i] = uint32(i), d
		return
	}
	d.slot = uint32(len(t.bySlot))
	t.bySlot = append(t.bySlot, d)
}

func (t *deviceTable) drop(d *Device) {
	if t.external == d {
		t.external = nil
	} else if t.byIfID[d.ifID.Load()] == d {
		delete(t.byIfID, d.ifID.Load())
	}
	t.bySlot[d.slot] = nil
}

// publishDevices replaces the table by a changed copy. p.control is held.
func (p *Plane) publishDevices(change func(*deviceTable)) {
	old := p.devices.Load()
	t := &deviceTable{byIfID: maps.Clone(old.byIfID), external: old.external, bySlot: slices.Clone(old.bySlot)}
	change(t)
	p.devices.Store(t)
	p.epoch.Add(1)
	p.moveSockets()
}

// RemoveDevice ends the device. Packets that wait in it are lost.
func (p *Plane) RemoveDevice(d *Device) error {
	p.control.Lock()
	defer p.control.Unlock()
	if t := p.devices.Load(); int(d.slot) >= len(t.bySlot) || t.bySlot[d.slot] != d {
		return fmt.Errorf("remove device %s: %w", d.config.Name, fs.ErrNotExist)
	}
	return p.removeDevice(d)
}

func (p *Plane) removeDevice(d *Device) error {
	p.publishDevices(func(t *deviceTable) { t.drop(d) })
	for i, s := range d.each {
		w := p.workers[i%len(p.workers)]
		w.call(func() { w.remove(s) })
	}
	for _, w := range p.workers { // none is in a batch that began with the old table
		w.call(func() {})
	}
	return d.io.close()
}

// SetIfID gives the device another if_id, at once and in both directions. An
// error of one that another device has answers errors.Is(err, fs.ErrExist).
func (p *Plane) SetIfID(d *Device, ifID uint32) error {
	p.control.Lock()
	defer p.control.Unlock()
	if p.closed {
		return fmt.Errorf("change if_id of %s: %w", d.config.Name, errClosed)
	}
	other := p.devices.Load().byIfID[ifID]
	if other == d {
		return nil
	}
	if d.config.External || other != nil {
		return fmt.Errorf("change if_id of %s to %#x: %w", d.config.Name, ifID, fs.ErrExist)
	}
	p.publishDevices(func(t *deviceTable) {
		delete(t.byIfID, d.ifID.Load())
		d.ifID.Store(ifID)
		t.byIfID[ifID] = d
	})
	return nil
}
