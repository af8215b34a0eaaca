package segment

// small packets are copied rather than guessed at: a copy costs nothing then.
const small = 256

// reservation is where the next packet is being opened.
type reservation struct {
	buf   []byte // nil without a reservation
	run   int    // the run in whose memory it lies; -1: in singles
	saved [maxRunHeader]byte
	tail  int // how many bytes of the run's end it covers, which are in saved
}

// Reserve returns n bytes where the next packet may be opened: for a packet in
// ESP, n is the length of the encrypted part, trailer included, plus that of
// headers which the caller puts before it in transport mode. The packet must
// begin at the first byte. Then Commit or Cancel; another Reserve, Add, Outputs
// or Reset cancels. nil means that there is no room: write Outputs, Reset, and
// try again. n must not be over 65,535 plus 512.
func (c *Coalescer) Reserve(n int) []byte {
	c.Cancel()
	// whatever was guessed, the packet may turn out to be single
	if c.exhausted || len(c.singles)-c.fill < HeaderLen+n {
		return nil
	}
	switch {
	case c.last >= 0 && c.reserveTail(n):
	case n >= small && c.used < len(c.runs) && n <= runRoom-runStart:
		c.res.run, c.res.tail = c.used, 0
		c.res.buf = c.runs[c.used].buf[runStart : runStart+n]
	default:
		c.res.run, c.res.tail = -1, 0
		c.res.buf = c.singles[c.fill+HeaderLen : c.fill+HeaderLen+n]
	}
	return c.res.buf
}

// reserveTail guesses that the packet continues the last run.
func (c *Coalescer) reserveTail(n int) bool {
	r := &c.runs[c.last]
	from := r.end - r.layout.header
	if !r.open || (n < small) != (r.mss < small) || from+n > len(r.buf) {
		return false
	}
	c.res.run, c.res.tail = c.last, min(r.layout.header, n)
	copy(c.res.saved[:c.res.tail], r.buf[from:])
	c.res.buf = r.buf[from : from+n : from+n]
	return true
}

// Cancel gives the reservation back: the packet failed verification, or is to
// be dropped. Without a reservation it does nothing.
func (c *Coalescer) Cancel() {
	if c.res.buf == nil {
		return
	}
	copy(c.res.buf, c.res.saved[:c.res.tail])
	c.res.buf, c.res.tail = nil, 0
}

// exchange swaps what the reservation covers of its run's end with what was
// saved of it.
func (c *Coalescer) exchange() {
	for i := range c.res.saved[:c.res.tail] {
		c.res.buf[i], c.res.saved[i] = c.res.saved[i], c.res.buf[i]
	}
}

// Commit takes the packet of n bytes that begins the reservation. See Add for
// what becomes of it.
func (c *Coalescer) Commit(n int, device uint32) {
	c.take(c.res.buf[:n], device)
	c.Cancel()
}

// take finds out where the packet belongs. It still lies in the reservation.
func (c *Coalescer) take(pkt []byte, device uint32) {
	c.stats.Packets++
	pkt = trim(pkt)
	var l layout
	if !l.mergeable(pkt) || l.proto == protoTCP && c.cfg.NoTCP || l.proto == protoUDP && c.cfg.NoUDP {
		c.single(pkt, device)
		return
	}
	if i := c.find(pkt, &l, device); i >= 0 {
		if c.merge(i, pkt, &l) {
			return
		}
		c.endRun(i)
	}
	if !l.begins(pkt) {
		c.single(pkt, device)
		return
	}
	c.begin(pkt, &l, device)
}

// find returns the open run of the packet's flow, or -1.
func (c *Coalescer) find(pkt []byte, l *layout, device uint32) int {
	if c.open == 0 {
		return -1
	}
	if c.last >= 0 && c.runs[c.last].open && c.runs[c.last].sameFlow(pkt, l, device) {
		return c.last
	}
	for i := range c.runs[:c.used] {
		if r := &c.runs[i]; r.open && r.sameFlow(pkt, l, device) {
			return i
		}
	}
	return -1
}

// merge appends the packet to the run if it fits.
func (c *Coalescer) merge(i int, pkt []byte, l *layout) bool {
	r := &c.runs[i]
	if !r.continues(pkt, l) || r.packets >= c.limit(l) {
		return false
	}
	if !c.verify(i, pkt, l) {
		c.stats.BadChecksum++
		return false
	}
	if c.res.run != i || c.res.tail != l.header {
		c.stats.Moved++
		copy(r.buf[r.end:], pkt[l.header:])
	}
	r.append(pkt, l)
	c.stats.Merged++
	c.last = i
	if r.ended {
		c.endRun(i)
	}
	return true
}

func (c *Coalescer) limit(l *layout) int {
	if l.proto == protoUDP {
		return c.cfg.MaxUDPSegments
	}
	return maxPacket
}

// verify checks the inner checksums of the packet and, before the first merge,
// of the packet that began the run, whose end may be covered by this one.
func (c *Coalescer) verify(i int, pkt []byte, l *layout) bool {
	r := &c.runs[i]
	if !r.verified {
		own := c.res.run == i && c.res.tail > 0
		if own {
			c.exchange()
		}
		r.verified = r.layout.checksumOK(r.buf[runStart:r.end])
		if own {
			c.exchange()
		}
	}
	return r.verified && l.checksumOK(pkt)
}

func (c *Coalescer) endRun(i int) {
	c.runs[i].open = false
	c.open--
}

// begin makes the packet the first of a run, or lets it out by itself when all
// runs are taken.
func (c *Coalescer) begin(pkt []byte, l *layout, device uint32) {
	if c.used == len(c.runs) {
		// with most runs open it is better to go on merging into these
		c.exhausted = c.open <= len(c.runs)/2
		c.single(pkt, device)
		return
	}
	i := c.used
	r := &c.runs[i]
	if c.res.run != i {
		c.stats.Moved++
		copy(r.buf[runStart:], pkt)
	}
	r.begin(pkt, l, device)
	r.out = len(c.out)
	c.out = append(c.out, Output{Device: device})
	c.used++
	c.open++
	c.last = i
}

// single lets the packet out as it is.
func (c *Coalescer) single(pkt []byte, device uint32) {
	buf := c.singles[c.fill : c.fill+HeaderLen+len(pkt)]
	if c.res.run != -1 {
		c.stats.Moved++
		copy(buf[HeaderLen:], pkt)
	}
	clear(buf[:HeaderLen])
	c.fill += len(buf)
	c.last = -1
	c.out = append(c.out, Output{Buf: buf, Packets: 1, Device: device})
}
