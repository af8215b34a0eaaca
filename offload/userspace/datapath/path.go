package datapath

import (
	"sync/atomic"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/offload/userspace/encap"
	"github.com/xfrmctl/xfrmctl/offload/userspace/esp"
	"github.com/xfrmctl/xfrmctl/offload/userspace/pmtu"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// mtuFresh is for how long the MTU of a route is believed.
const mtuFresh = 10 * time.Second

// path is what the data path computes once of an SA: how packets are wrapped,
// and by which socket they leave. It hangs on the SA (sadb.SA.Plane) and is
// replaced when the SA's configuration or the devices change.
type path struct {
	sa    *sadb.SA
	conf  *netlinkx.SA
	epoch uint64 // of the devices

	cipher    *esp.Cipher
	transform *encap.Transform
	tunnel    bool
	v6        bool
	// header is what the kernel counts on top of the inner packet's length.
	header int

	key      outer.Key
	set      *socketSet // nil until an open socket is found
	src, dst xaddr.Addr
	port     uint16 // the peer's, with UDP
	encap    netlinkx.EncapType
	arrived  encap.Arrived // addresses only

	linkMTU  atomic.Int64 // of the outer packet
	innerMTU atomic.Int64 // of the packet that goes into this SA
	mtuUntil atomic.Int64 // nanoseconds of Plane.now
	mtuAsked atomic.Bool
	lastSent atomic.Int64 // likewise; for NAT keepalives

	hop hop // plain ESP only
}

// pathOf returns the path of an SA, nil if the SA cannot carry packets.
func (p *Plane) pathOf(sa *sadb.SA) *path {
	if t, _ := sa.Plane.Load().(*path); t != nil && t.conf == sa.Conf() && t.epoch == p.epoch.Load() {
		return t
	}
	return p.makePath(sa)
}

// makePath is the slow half of pathOf: once per SA, and once per worker that
// meets it at the same time.
func (p *Plane) makePath(sa *sadb.SA) *path {
	epoch, conf, cipher := p.epoch.Load(), sa.Conf(), sa.Cipher()
	if cipher == nil {
		return nil
	}
	t := &path{sa: sa, conf: conf, epoch: epoch, cipher: cipher, v6: conf.Dst.Is6(), tunnel: conf.Mode == netlinkx.ModeTunnel}
	if !t.wrap() {
		return nil
	}
	t.key = p.keyOf(conf)
	t.set = p.sockets.find(t.key)
	if old, _ := sa.Plane.Load().(*path); old != nil && old.conf == conf && old.key == t.key { // only devices or sockets changed
		t.linkMTU.Store(old.linkMTU.Load())
		t.innerMTU.Store(old.innerMTU.Load())
		t.mtuUntil.Store(old.mtuUntil.Load())
		t.lastSent.Store(old.lastSent.Load())
	} else {
		p.refreshMTU(t)
	}
	sa.Plane.Store(t)
	return t
}

// wrap prepares the headers.
func (t *path) wrap() bool {
	c := t.conf
	params := encap.Params{
		Mode: c.Mode, Src: c.Src, Dst: c.Dst, Encap: c.Encap, Flags: c.Flags, ExtraFlags: c.ExtraFlags,
		InnerSrc: c.Selector.Src.Addr(), InnerDst: c.Selector.Dst.Addr(),
	}
	transform, err := encap.New(params)
	if err != nil {
		return false
	}
	t.transform = transform
	t.src, t.dst = xaddr.Of(c.Src), xaddr.Of(c.Dst)
	t.arrived = encap.Arrived{Src: c.Src, Dst: c.Dst}
	if c.Encap != nil {
		t.port, t.encap = c.Encap.DstPort, c.Encap.Type
	}
	if c.Mode != netlinkx.ModeTransport {
		t.header = 20
		if t.v6 {
			t.header = 40
		}
	}
	return true
}

// keyOf says which socket an SA sends by.
func (p *Plane) keyOf(c *netlinkx.SA) outer.Key {
	k := outer.Key{V6: c.Dst.Is6(), Mark: c.OutputMark.Value & c.OutputMark.Mask}
	if c.OutputMark.Mask == 0 {
		k.Mark = c.OutputMark.Value
	}
	if c.Encap != nil {
		k.Port = c.Encap.SrcPort
	}
	k.Device, _ = p.underlay(c)
	return k
}

// underlay is the interface by which an SA's packets leave, and its index: that
// of the SA's device; "" and 0 for what routing says.
func (p *Plane) underlay(c *netlinkx.SA) (name string, index uint32) {
	if d := p.devices.Load().byIfID[c.IfID]; d != nil && c.IfID != 0 {
		return d.config.Underlay, d.config.UnderlayIndex
	}
	return "", 0
}

// refreshMTU finds out what fits on the way to the peer: the route's MTU, or
// less if routers said so.
func (p *Plane) refreshMTU(t *path) {
	now := p.now()
	_, device := p.underlay(t.conf)
	mtu := p.routeMTU(t.conf.Dst, t.key.Mark, device)
	learned, until := p.mtus.MTU(t.mtuKey(), now)
	if learned != 0 && int(learned) < mtu {
		mtu = int(learned)
	}
	fresh := now + mtuFresh
	if until != 0 {
		fresh = min(fresh, until)
	}
	t.linkMTU.Store(int64(mtu))
	t.innerMTU.Store(int64(t.transform.InnerMTU(mtu, t.cipher.MaxPayload)))
	t.mtuUntil.Store(int64(fresh))
}

func (t *path) mtuKey() pmtu.Path { return pmtu.Path{Dst: t.conf.Dst, Device: t.key.Mark} }

// padTo is the TFC padding that the SA asks for, as far as the path allows.
func (t *path) padTo() int {
	if t.conf.TFCPad == 0 {
		return 0
	}
	return min(int(t.conf.TFCPad), t.cipher.MaxPayload(int(t.linkMTU.Load())-t.header))
}

// innerMTUOf is the longest packet that passes the first of several nested SAs
// without an outer packet longer than its path allows.
func innerMTUOf(paths []*path) int {
	last := paths[len(paths)-1]
	mtu := int(last.innerMTU.Load())
	for i := len(paths) - 2; i >= 0; i-- {
		mtu = paths[i].transform.InnerMTU(mtu, paths[i].cipher.MaxPayload)
	}
	return mtu
}
