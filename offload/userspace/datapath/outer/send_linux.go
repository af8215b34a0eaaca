package outer

import (
	"encoding/binary"
	"math/rand/v2"
	"unsafe"

	"golang.org/x/sys/unix"
)

// slots is how many datagrams (UDP runs, ESP packets) wait for one sendmmsg.
const slots = 64

// controlRoom holds the control messages of a datagram: the source address,
// the traffic class, the segment size.
const controlRoom = 128

// sender is the memory of sendmmsg calls, laid out once.
type sender struct {
	n       int // slots in use
	msgs    [slots]mmsghdr
	iovs    [slots]unix.Iovec
	names   [slots]unix.RawSockaddrInet6 // RawSockaddrInet4 is shorter
	control [slots][controlRoom]byte
	runs    [slots]int // packets in each slot
	segment [slots]int // their length
	df      bool       // state of IP_MTU_DISCOVER
	direct  bool       // what waits is for the packet socket
}

func (q *sender) init(s *Socket) {
	q.df = true // see ipOptions
	for i := range q.msgs {
		h := &q.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&q.names[i]))
		h.Namelen = unix.SizeofSockaddrInet4
		q.names[i].Family = unix.AF_INET
		if s.key.V6 {
			h.Namelen = unix.SizeofSockaddrInet6
			q.names[i].Family = unix.AF_INET6
		}
		h.Iov = &q.iovs[i]
		h.SetIovlen(1)
	}
}

// Send queues a run; r.Buf must stay as it is until Flush. When the queue is
// full, or the run needs other socket options than what waits, it flushes. What
// became of flushed packets is added to res.
func (s *Socket) Send(r *Run, res *Sent) {
	if r.DF != s.sender.df {
		s.Flush(res)
		s.setDF(r.DF)
	}
	if s.key.Port != 0 && (s.features.Segment || r.Packets == 1) {
		s.push(r, r.Buf, r.Packets, res)
		return
	}
	if s.key.Port == 0 {
		s.choose(r, res)
	}
	s.sendSingly(r, res)
}

// sendSingly queues each packet as a datagram of its own: for plain ESP, and
// for kernels without UDP_SEGMENT.
func (s *Socket) sendSingly(r *Run, res *Sent) {
	for b := r.Buf; len(b) > 0; {
		n := min(r.Segment, len(b))
		if s.key.Port == 0 && !r.DF && r.MTU > 0 && n > r.MTU {
			s.sendFragments(r, b[:n], res)
		} else {
			s.push(r, b[:n], 1, res)
		}
		b = b[n:]
	}
}

// sendFragments sends a packet that has its IP header with it in pieces, after
// all that waits. It is sent when all pieces are.
func (s *Socket) sendFragments(r *Run, pkt []byte, res *Sent) {
	s.Flush(res)
	var f fragments
	if !f.init(pkt, r.MTU, rand.Uint32()|1) {
		res.Dropped++
		return
	}
	for {
		head, payload := f.next()
		if head == nil {
			res.Packets++
			return
		}
		errno := s.sendParts(r, head, payload)
		res.Calls++
		if errno == unix.EAGAIN || errno == unix.ENOBUFS {
			s.waitWritable()
			errno = s.sendParts(r, head, payload)
			res.Calls++
		}
		if errno != 0 {
			res.Dropped++
			if errno == unix.EMSGSIZE {
				res.TooLong++
			}
			return
		}
	}
}

// sendParts sends one datagram of two parts.
func (s *Socket) sendParts(r *Run, head, payload []byte) unix.Errno {
	q := &s.sender
	q.address(0, s.key.V6, r) // nothing waits
	iovs := [2]unix.Iovec{{Base: unsafe.SliceData(head)}, {Base: unsafe.SliceData(payload)}}
	iovs[0].SetLen(len(head))
	iovs[1].SetLen(len(payload))
	h := q.msgs[0].hdr
	h.Iov = &iovs[0]
	h.SetIovlen(len(iovs))
	_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT)
	return errno
}

func (s *Socket) push(r *Run, b []byte, packets int, res *Sent) {
	q := &s.sender
	if q.n == slots {
		s.Flush(res)
	}
	i := q.n
	q.n++
	q.runs[i], q.segment[i] = packets, r.Segment
	q.iovs[i].Base = unsafe.SliceData(b)
	q.iovs[i].SetLen(len(b))
	if q.direct {
		q.hop(i, s.key.V6, r, b)
		return
	}
	q.address(i, s.key.V6, r)
	if s.key.Port == 0 {
		return // the header is in the packet
	}
	c := q.control[i][:0]
	c = appendSource(c, s.key.V6, r)
	if packets > 1 {
		c = appendSegment(c, r.Segment)
	}
	h := &q.msgs[i].hdr
	h.Control = unsafe.SliceData(c)
	h.SetControllen(len(c))
}

func (q *sender) address(i int, v6 bool, r *Run) {
	if v6 {
		n := &q.names[i]
		putPort(&n.Port, r.Port)
		n.Addr = r.Dst
		n.Flowinfo = hostToBig(r.FlowLabel)
		return
	}
	n := (*unix.RawSockaddrInet4)(unsafe.Pointer(&q.names[i]))
	putPort(&n.Port, r.Port)
	n.Addr = [4]byte(r.Dst[:4])
}

func putPort(p *uint16, port uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(p))[:], port)
}

func hostToBig(v uint32) uint32 {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return binary.NativeEndian.Uint32(b[:])
}

// Flush sends what waits and adds what became of it to res.
func (s *Socket) Flush(res *Sent) {
	q := &s.sender
	waited := false
	for i := 0; i < q.n; {
		done, errno := s.sendmmsg(i)
		res.Calls++
		for ; done > 0; done-- {
			res.Packets += q.runs[i]
			i++
		}
		if errno == 0 {
			continue
		}
		if (errno == unix.EAGAIN || errno == unix.ENOBUFS) && !waited {
			waited = true
			s.waitWritable()
			continue
		}
		s.refused(i, errno, res)
		i++
	}
	q.n = 0
}

// out is the descriptor that the queue is for.
func (s *Socket) out() int {
	if s.sender.direct {
		return s.direct.fd
	}
	return s.fd
}

// sendmmsg sends from slot i on. As in package tun, the scheduler is not told.
func (s *Socket) sendmmsg(i int) (int, unix.Errno) {
	q := &s.sender
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.out()), uintptr(unsafe.Pointer(&q.msgs[i])), uintptr(q.n-i), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// refused deals with slot i, which the kernel would not send. A device
// without checksum offload refuses UDP_SEGMENT with EIO: then it is not tried
// again. A run with packets above the MTU is EMSGSIZE or EINVAL.
func (s *Socket) refused(i int, errno unix.Errno, res *Sent) {
	q := &s.sender
	if q.runs[i] > 1 {
		if errno == unix.EIO {
			s.features.Segment = false
		}
		s.resend(i, res)
		return
	}
	res.Dropped++
	if errno == unix.EMSGSIZE {
		res.TooLong++
	}
}

// resend sends the packets of slot i one by one, without UDP_SEGMENT, which is
// the last of its control messages.
func (s *Socket) resend(i int, res *Sent) {
	q := &s.sender
	h := q.msgs[i].hdr
	h.SetControllen(int(h.Controllen) - unix.CmsgSpace(2))
	total, base := q.iovs[i].Len, q.iovs[i].Base
	for off := 0; off < int(total); off += q.segment[i] {
		iov := unix.Iovec{Base: (*byte)(unsafe.Add(unsafe.Pointer(base), off))}
		iov.SetLen(min(q.segment[i], int(total)-off))
		h.Iov = &iov
		_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT)
		res.Calls++
		if errno == 0 {
			res.Packets++
			continue
		}
		res.Dropped++
		if errno == unix.EMSGSIZE {
			res.TooLong++
		}
	}
}

// waitWritable gives the device's queue a moment. Longer would hold up
// everything else on this thread.
func (s *Socket) waitWritable() {
	p := unix.PollFd{Fd: int32(s.out()), Events: unix.POLLOUT}
	ts := unix.Timespec{Nsec: 1e6}
	unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
}

// setDF changes what the kernel does with packets longer than the MTU. Raw
// sockets have the flag in their header.
func (s *Socket) setDF(on bool) {
	s.sender.df = on
	if s.key.Port == 0 {
		return
	}
	level, name, value := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT
	if s.key.V6 {
		level, name = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER // of the same numbers
	}
	if on {
		value = unix.IP_PMTUDISC_PROBE
	}
	unix.SetsockoptInt(s.fd, level, name, value)
}
