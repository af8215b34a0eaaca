package datapath

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// checked is what the inbound policies said.
type checked struct {
	key        flowKey
	generation uint64
	epoch      uint64
	device     *Device
	sas        [netlinkx.MaxTemplates]*sadb.SA
	why        xfrmstat.Counter
	valid      bool
}

// admit asks the inbound policies, and counts a packet that may not be
// delivered. It came by the first depth SAs of in.secpath.
func (w *worker) admit(t *path, d *Device, pkt []byte, depth int) bool {
	in := &w.in
	if flow.Dissect(pkt, &in.flows) != nil {
		w.dropIn(1, xfrmstat.InHdrError)
		return false
	}
	if depth < netlinkx.MaxTemplates {
		if sa := w.nested(&in.flows, pkt); sa != nil {
			w.openNested(sa, pkt, depth)
			return false
		}
	}
	if d == nil { // the kernel looks for policies of no interface, and finds none
		w.dropIn(1, xfrmstat.InNoPols)
		return false
	}
	if why := w.policy(t, d, depth); why != xfrmstat.None {
		w.dropIn(1, why)
		return false
	}
	return true
}

// policy asks the inbound policies, or remembers.
func (w *worker) policy(t *path, d *Device, depth int) xfrmstat.Counter {
	in := &w.in
	c := &in.checked
	key := keyOfFlow(&in.flows)
	generation, epoch := w.plane.db.Generation(), w.plane.epoch.Load() // before the device's if_id is looked at
	same := depth == 1 && c.valid && c.generation == generation && c.epoch == epoch && c.device == d && c.sas[0] == in.secpath[0] && c.key == key
	if same {
		return c.why
	}
	in.flows.IfID, in.flows.Mark, in.flows.IfIndex = d.ifID.Load(), 0, 0
	if d.config.External {
		in.flows.IfID = t.conf.IfID
	}
	why := w.plane.db.CheckInbound(&in.flows, in.secpath[:depth])
	*c = checked{key: key, generation: generation, epoch: epoch, device: d, why: why, valid: depth == 1}
	c.sas[0] = in.secpath[0]
	return why
}
