package datapath

import (
	"encoding/json"
	"sync"

	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// Counter is a counter of the engine's own, next to the kernel's, which are
// Counter.
type Counter uint8

// Counters of packets. In counts what sockets give, out what devices give, with
// a super-packet as the packets it stands for.
const (
	InPackets      Counter = iota // datagrams received from outside
	InDelivered                   // packets that a device took
	InKeepalive                   // NAT keepalives (RFC 3948 section 2.3)
	InIKE                         // packets with the non-ESP marker, which are a key manager's
	InDummy                       // dummy packets (RFC 4303 section 2.6); the kernel counts XfrmInStateProtoError
	InDeviceError                 // refused by the device
	OutPackets                    // packets read from devices
	OutSent                       // packets that the network stack took
	OutReassembled                // fragments that went out as part of a whole packet, itself counted in OutSent or as dropped
	OutFragment                   // fragments that could not be put together
	OutHeld                       // fragments that wait for others: goes up and down
	OutNoPolicy                   // no policy for the device; the kernel counts errors of the device
	OutTooBig                     // longer than the path's MTU; the sender was told
	OutSendError                  // refused by the network stack: queue full, no route, firewall
	numCounters
)

// String returns the counter's name.
func (c Counter) String() string {
	return [...]string{
		"InPackets", "InDelivered", "InKeepalive", "InIKE", "InDummy", "InDeviceError",
		"OutPackets", "OutSent", "OutReassembled", "OutFragment", "OutHeld", "OutNoPolicy", "OutTooBig", "OutSendError",
	}[c]
}

// Stats are counters at one moment: in the sum over all workers no packet is
// half counted.
type Stats struct {
	Own    [numCounters]uint64
	Kernel [xfrmstat.NumCounters]uint64 // by reason of the drop
	// What happened, not to packets: calls and merges, for the curious.
	Batches, SendCalls, ReceiveCalls, DeviceReads, DeviceWrites uint64
}

// inbound reports whether a kernel counter counts received packets.
func inbound(c xfrmstat.Counter) bool {
	return c != xfrmstat.None && (c < xfrmstat.OutError || c == xfrmstat.AcquireError || c == xfrmstat.FwdHdrError || c == xfrmstat.InStateDirError || c == xfrmstat.InIptfsError)
}

// InDropped is the sum of all that was received and not delivered.
func (s *Stats) InDropped() uint64 {
	n := s.Own[InKeepalive] + s.Own[InIKE] + s.Own[InDummy] + s.Own[InDeviceError]
	for c, v := range s.Kernel {
		if inbound(xfrmstat.Counter(c)) {
			n += v
		}
	}
	return n
}

// OutDropped is the sum of all that was read from devices and not sent.
func (s *Stats) OutDropped() uint64 {
	n := s.Own[OutReassembled] + s.Own[OutFragment] + s.Own[OutHeld] + s.Own[OutNoPolicy] + s.Own[OutTooBig] + s.Own[OutSendError]
	for c, v := range s.Kernel {
		if !inbound(xfrmstat.Counter(c)) && c != int(xfrmstat.None) {
			n += v
		}
	}
	return n
}

// Balanced reports whether packets in are packets delivered and dropped, in
// both directions. It always is.
func (s *Stats) Balanced() bool {
	return s.Own[InPackets] == s.Own[InDelivered]+s.InDropped() && s.Own[OutPackets] == s.Own[OutSent]+s.OutDropped()
}

// MarshalJSON writes an object of all counters by name, the kernel's with
// their prefix Xfrm.
func (s *Stats) MarshalJSON() ([]byte, error) {
	m := make(map[string]uint64, len(s.Own)+len(s.Kernel)+5)
	for c, v := range s.Own {
		m[Counter(c).String()] = v
	}
	for c, v := range s.Kernel {
		if name := xfrmstat.Counter(c).String(); name != "" {
			m[name] = v
		}
	}
	m["Batches"], m["SendCalls"], m["ReceiveCalls"] = s.Batches, s.SendCalls, s.ReceiveCalls
	m["DeviceReads"], m["DeviceWrites"] = s.DeviceReads, s.DeviceWrites
	return json.Marshal(m)
}

// carried is how many packets came, from both sides.
func (s *Stats) carried() uint64 { return s.Own[InPackets] + s.Own[OutPackets] }

// add adds the counters of t to s.
func (s *Stats) add(t *Stats) {
	for i, v := range t.Own {
		s.Own[i] += v
	}
	for i, v := range t.Kernel {
		s.Kernel[i] += v
	}
	s.Batches += t.Batches
	s.SendCalls += t.SendCalls
	s.ReceiveCalls += t.ReceiveCalls
	s.DeviceReads += t.DeviceReads
	s.DeviceWrites += t.DeviceWrites
}

// published is what a worker lets others see of its counters: between batches,
// so that what came in and what became of it are there together.
type published struct {
	mu    sync.Mutex
	stats Stats
}

func (p *published) set(s *Stats) {
	p.mu.Lock()
	p.stats = *s
	p.mu.Unlock()
}

func (p *published) addTo(sum *Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sum.add(&p.stats)
}
