package userspace

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/jsimonetti/rtnetlink/v2"

	"github.com/xfrmctl/xfrmctl/offload/userspace/confine"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/server"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// dataPlane is datapath.Plane as the rest of the engine sees it.
type dataPlane struct{ *datapath.Plane }

func newPlane(cfg *Config) (plane, error) {
	c := datapath.Config{
		Workers: cfg.Path.Queues,
		Off: datapath.Off{
			Segment: cfg.Path.NoGSO,
			GRO:     cfg.Path.NoGRO, TCP: cfg.Path.NoGRO, UDP: cfg.Path.NoGRO,
			TSO: cfg.Path.NoTSO, USO: cfg.Path.NoUSO, Direct: cfg.Path.NoDirect,
		},
		Failed: func(err error) { cfg.Logf("%v", err) },
	}
	if cfg.Confine {
		c.Enter = func() {
			if err := confine.Thread(); err != nil {
				cfg.Logf("packet thread keeps its capabilities: %v", err)
			}
		}
	}
	return &dataPlane{datapath.New(c)}, nil
}

func (p *dataPlane) start(db *sadb.DB) error           { return p.Start(db) }
func (p *dataPlane) saChanged(sa *sadb.SA, added bool) { p.SAChanged(sa, added) }
func (p *dataPlane) close() error                      { return p.Close() }

func (p *dataPlane) sourceAddr(dst netip.Addr, mark uint32) (netip.Addr, bool) {
	src, err := outer.Source(dst, mark)
	return src, err == nil
}

// Create implements server.Plane.
func (p *dataPlane) Create(s server.LinkSpec) (server.Device, error) {
	c := datapath.DeviceConfig{Name: s.Name, IfID: s.IfID, External: s.External, UnderlayIndex: s.Link}
	if s.Link != 0 {
		below, err := net.InterfaceByIndex(int(s.Link))
		if err != nil {
			return nil, fmt.Errorf("find device %d: %w", s.Link, err)
		}
		c.Underlay = below.Name
	}
	d, err := p.AddDevice(c)
	if err != nil {
		return nil, err
	}
	return &device{p.Plane, d}, nil
}

// device is a datapath.Device as the server sees it.
type device struct {
	plane *datapath.Plane
	d     *datapath.Device
}

// Name implements server.Device.
func (d *device) Name() (string, error) { return d.d.Tun().Name() }

// NetNS implements server.Device.
func (d *device) NetNS() (fd int, err error) { return d.d.Tun().NetNS() }

// SetIfID implements server.Device.
func (d *device) SetIfID(ifID uint32) error { return d.plane.SetIfID(d.d, ifID) }

// Delete implements server.Device.
func (d *device) Delete() error { return d.plane.RemoveDevice(d.d) }

// stats implements plane.
func (p *dataPlane) stats(s *Status) {
	st := p.Stats()
	for c := xfrmstat.None + 1; c < xfrmstat.NumCounters; c++ {
		s.Counters[c.String()] = st.Kernel[c]
	}
	for c, n := range st.Own {
		s.Own[datapath.Counter(c).String()] = n
	}
	s.Law = Law{
		OuterReceived: st.Own[datapath.InPackets], InnerDelivered: st.Own[datapath.InDelivered], InDropped: st.InDropped(),
		InnerReceived: st.Own[datapath.OutPackets], OuterSent: st.Own[datapath.OutSent], OutDropped: st.OutDropped(),
	}
	s.Calls = Calls{st.Batches, st.SendCalls, st.ReceiveCalls, st.DeviceReads, st.DeviceWrites}
	links, err := rtnetlink.Dial(nil)
	if err == nil {
		defer links.Close()
	}
	for _, d := range p.Devices() {
		ds := deviceStatus(d)
		if err == nil {
			ds.Stats = deviceStats(links, &ds)
		}
		s.Devices = append(s.Devices, ds)
	}
}

// deviceStats asks for a device by its index. That may be another device's after
// a move, which then has another name.
func deviceStats(links *rtnetlink.Conn, d *DeviceStatus) *DeviceStats {
	m, err := links.Link.Get(d.index)
	if err != nil || m.Attributes == nil || m.Attributes.Name != d.Name || m.Attributes.Stats64 == nil {
		return nil
	}
	c := m.Attributes.Stats64
	return &DeviceStats{c.RXPackets, c.RXBytes, c.RXErrors, c.RXDropped, c.TXPackets, c.TXBytes, c.TXErrors, c.TXDropped}
}

func deviceStatus(d *datapath.Device) DeviceStatus {
	c := d.Config()
	name, err := d.Tun().Name()
	if err != nil {
		name = c.Name // it is about to be noticed as gone
	}
	return DeviceStatus{Name: name, IfID: c.IfID, External: c.External, Underlay: c.Underlay, Queues: len(d.Tun().Queues()), index: uint32(d.Tun().Index())}
}
