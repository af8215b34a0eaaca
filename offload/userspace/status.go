package userspace

import (
	"time"

	"github.com/xfrmctl/xfrmctl/offload/userspace/confine"
	"github.com/xfrmctl/xfrmctl/offload/userspace/journal"
)

// Status is what an engine tells about itself. As JSON it is the answer to a
// status request, and the output of `xfrmctl esp status -j`. It holds no keys.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Socket  string    `json:"socket"`
	NetNS   uint64    `json:"netns"` // inode number of its network namespace, 0 unknown
	Started time.Time `json:"started"`
	// UptimeSeconds is since Started, by a clock that nobody sets.
	UptimeSeconds float64         `json:"uptime_seconds"`
	SAs           uint32          `json:"sas"`
	Policies      PolicyCount     `json:"policies"`
	Journal       *journal.Stats  `json:"journal,omitempty"` // absent when keys are forgotten
	Confined      *confine.Result `json:"confined,omitempty"`
	// Headroom tells how many SAs have used three quarters of their sequence
	// numbers since the start.
	Headroom uint64 `json:"headroom_events"`

	// Law says whether every packet is accounted for.
	Law Law `json:"law"`
	// Counters are those of the kernel (/proc/net/xfrm_stat), by name, all of
	// them.
	Counters map[string]uint64 `json:"counters"`
	// Own are what the kernel has no counters for, by name.
	Own     map[string]uint64 `json:"own_counters"`
	Calls   Calls             `json:"calls"`
	Devices []DeviceStatus    `json:"devices"`
}

// PolicyCount counts policies by direction.
type PolicyCount struct {
	In      uint32 `json:"in"`
	Out     uint32 `json:"out"`
	Forward uint32 `json:"fwd"`
}

// Law is the conservation of packets: what comes in is delivered or counted as
// dropped, exactly.
type Law struct {
	OuterReceived  uint64 `json:"outer_received"`
	InnerDelivered uint64 `json:"inner_delivered"`
	InDropped      uint64 `json:"in_dropped"`
	InnerReceived  uint64 `json:"inner_received"`
	OuterSent      uint64 `json:"outer_sent"`
	OutDropped     uint64 `json:"out_dropped"`
	// Holds: OuterReceived is InnerDelivered + InDropped, and InnerReceived is
	// OuterSent + OutDropped.
	Holds bool `json:"holds"`
}

// Calls count what the data path asked of the kernel: packets by calls is how
// well it batches.
type Calls struct {
	Batches      uint64 `json:"batches"`
	Sends        uint64 `json:"sends"`
	Receives     uint64 `json:"receives"`
	DeviceReads  uint64 `json:"device_reads"`
	DeviceWrites uint64 `json:"device_writes"`
}

// DeviceStatus is an XFRM interface of the engine.
type DeviceStatus struct {
	Name     string `json:"name"` // "" when it cannot be told any more
	IfID     uint32 `json:"if_id,omitempty"`
	External bool   `json:"external,omitempty"`
	Underlay string `json:"underlay,omitempty"`
	Queues   int    `json:"queues"`
	// Stats are those of the network device; nil when it is in another network
	// namespace, where the engine cannot look.
	Stats *DeviceStats `json:"stats,omitempty"`

	index uint32
}

// DeviceStats are counters of a network device, as the host sees it: received
// is what was decrypted. A super-packet counts as one.
type DeviceStats struct {
	RXPackets uint64 `json:"rx_packets"`
	RXBytes   uint64 `json:"rx_bytes"`
	RXErrors  uint64 `json:"rx_errors"`
	RXDropped uint64 `json:"rx_dropped"`
	TXPackets uint64 `json:"tx_packets"`
	TXBytes   uint64 `json:"tx_bytes"`
	TXErrors  uint64 `json:"tx_errors"`
	TXDropped uint64 `json:"tx_dropped"`
}

// check fills in Holds.
func (l *Law) check() {
	l.Holds = l.OuterReceived == l.InnerDelivered+l.InDropped && l.InnerReceived == l.OuterSent+l.OutDropped
}
