package datapath

import (
	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// deliver writes what the coalescer holds to the devices.
func (w *worker) deliver() {
	before := w.in.merging
	for _, out := range w.in.merge.Outputs() {
		d := w.table.bySlot[out.Device]
		s := d.source(w.id)
		w.stats.DeviceWrites++
		if _, err := s.Write(out.Buf); err != nil {
			w.refused(s, out, err)
		} else {
			w.stats.Own[InDelivered] += uint64(out.Packets)
		}
		if w.id < len(d.each) {
			w.heat(s) // the answer may be there already
		}
	}
	w.in.merge.Reset()
	if w.in.merging != before {
		w.in.merge = segment.NewCoalescer(w.in.merging)
	}
}

// refused deals with what a device would not take. A kernel that does not
// like super-packets (EINVAL; see Off) gets their packets one by one, and no
// more super-packets of that kind.
func (w *worker) refused(s *deviceSource, out segment.Output, err error) {
	if out.Packets > 1 && badHeader(err) {
		w.writeSingly(s, out)
		return
	}
	if isDown(err) { // the kernel looks for policies of no interface, and finds none
		w.dropIn(out.Packets, xfrmstat.InNoPols)
		return
	}
	w.stats.Own[InDeviceError] += uint64(out.Packets)
}

// writeSingly cuts a super-packet again. The header of each packet takes the
// place of bytes that have been written already.
func (w *worker) writeSingly(s *deviceSource, out segment.Output) {
	var h segment.Header
	var split segment.Splitter
	if h.Decode(out.Buf) != nil || split.Init(&h, out.Buf[segment.HeaderLen:]) != nil {
		w.stats.Own[InDeviceError] += uint64(out.Packets)
		return
	}
	if h.GSOType == segment.GSOUDPL4 {
		w.in.merging.NoUDP = true
	} else {
		w.in.merging.NoTCP = true
	}
	single := w.in.single
	for seg := split.Next(); seg != nil; seg = split.Next() {
		clear(single[:segment.HeaderLen])
		n := segment.HeaderLen + copy(single[segment.HeaderLen:], seg)
		w.stats.DeviceWrites++
		if _, err := s.Write(single[:n]); err != nil {
			w.stats.Own[InDeviceError]++
		} else {
			w.stats.Own[InDelivered]++
		}
	}
}
