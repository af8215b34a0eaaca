package segment

// CoalescerConfig sizes a Coalescer and switches parts of it off. The zero value
// merges both TCP and UDP with room for 8 runs.
type CoalescerConfig struct {
	// Runs is how many super-packets can be under construction or waiting to be
	// written; 0 means 8. Each has about 65 KiB of memory.
	Runs int
	// Singles is the memory for packets that start no run, in bytes; 0 means
	// 160 KiB. At least two packets of any size fit.
	Singles int
	// MaxUDPSegments is how many datagrams are merged at most; 0 means 64: a TUN
	// device refuses more with EINVAL (kernel: UDP_MAX_SEGMENTS; 128 since 6.9).
	MaxUDPSegments int
	// NoTCP and NoUDP switch merging off, for kernels that mishandle it: some
	// refuse TCP super-packets written to a TUN device (bugs around kernel
	// commit e269d79c7d35), and before 6.8.5 UDP ones got lost on their way to
	// VXLAN and Geneve devices.
	NoTCP, NoUDP bool
}

// Output is what one write to a TUN device takes. It is borrowed until Reset.
type Output struct {
	Buf     []byte // virtio header and packet
	Packets int    // how many packets were merged into it
	Device  uint32 // as handed to Commit or Add
}

// CoalescerStats counts packets.
type CoalescerStats struct {
	Packets     uint64 // taken in
	Merged      uint64 // of these, appended to a run that another packet began
	Moved       uint64 // of these, copied because they were opened in the wrong place
	BadChecksum uint64 // would have been merged if their checksum, or that of the run's first packet, were right
}

// Coalescer merges packets of TCP and UDP, IPv4 and IPv6, into super-packets.
// The order of the packets of a flow is kept. What is merged is what a Splitter
// (or the kernel) gives back: a run ends where a packet is not in sequence, is
// shorter than the first or carries PSH or FIN (these are its last), or differs
// in TOS, TTL, DF, flow label, TCP flags other than PSH and FIN, acknowledgement,
// window or options; where it carries CWR, or its IPv4 identification is not the
// next one. Not merged at all are packets with SYN, RST or URG, without payload
// (in TCP, with less than 8 bytes), with IPv4 options or IPv6 extension headers,
// fragments, and those whose inner checksum is wrong or, in UDP, missing. A
// merged packet differs from what came in two ways: DF packets that all have the
// same identification get increasing ones when they are split (RFC 6864: it
// means nothing there), and bytes behind the end of the IP packet are gone.
//
// The place for the next packet is guessed by Reserve: right behind the run
// that the last packet went to, so that the payload needs no copy:
//
//	run:        | virtio | headers | payload 0 | payload 1 |
//	reserved:                                | headers | payload 2 | ESP trailer |
//
// The last bytes of payload 1 are saved meanwhile. A wrong guess costs a copy.
type Coalescer struct {
	cfg   CoalescerConfig
	stats CoalescerStats

	runs []run // the first used are in use
	used int
	open int // of these, how many still take packets
	last int // run that the last packet went to; -1: none

	singles []byte
	fill    int

	out       []Output // in the order of their first packets
	exhausted bool     // no run is free, and too few are open to go on
	res       reservation
}

// NewCoalescer makes a Coalescer with all the memory it will need.
func NewCoalescer(cfg CoalescerConfig) *Coalescer {
	if cfg.Runs <= 0 {
		cfg.Runs = 8
	}
	if cfg.Singles <= 0 {
		cfg.Singles = 160 << 10
	}
	cfg.Singles = max(cfg.Singles, 2*runRoom)
	if cfg.MaxUDPSegments <= 0 {
		cfg.MaxUDPSegments = 64
	}
	c := &Coalescer{cfg: cfg, last: -1}
	c.runs = make([]run, cfg.Runs)
	mem := make([]byte, cfg.Runs*runRoom)
	for i := range c.runs {
		c.runs[i].buf = mem[i*runRoom : (i+1)*runRoom : (i+1)*runRoom]
	}
	c.singles = make([]byte, cfg.Singles)
	c.out = make([]Output, 0, 256)
	return c
}

// Stats returns the counters so far.
func (c *Coalescer) Stats() CoalescerStats { return c.stats }

// Add takes a packet that lies elsewhere, and copies it. The packet is a whole
// IP packet; what cannot be merged, or not even understood, goes out as it is.
// Packets for different devices are never merged. False means that there is no
// room: write Outputs, Reset, and try again. A reservation is cancelled.
func (c *Coalescer) Add(pkt []byte, device uint32) bool {
	p := c.Reserve(len(pkt))
	if p == nil {
		return false
	}
	copy(p, pkt)
	c.Commit(len(pkt), device)
	return true
}

// Outputs ends all runs and returns what is to be written, in the order of the
// packets that began them. Borrowed until Reset. A reservation is cancelled.
func (c *Coalescer) Outputs() []Output {
	c.Cancel()
	for i := range c.runs[:c.used] {
		r := &c.runs[i]
		r.open = false
		o := &c.out[r.out]
		o.Buf, o.Packets = r.finish(), r.packets
	}
	c.open, c.last = 0, -1
	return c.out
}

// Reset forgets the outputs, so that their memory can be used again.
func (c *Coalescer) Reset() {
	c.Cancel()
	c.used, c.open, c.last, c.fill, c.exhausted = 0, 0, -1, 0, false
	c.out = c.out[:0]
}
