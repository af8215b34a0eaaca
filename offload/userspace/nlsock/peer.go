package nlsock

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// defaultQueueLimit holds some thousand events.
const defaultQueueLimit = 4 << 20

// maxFiles is how many descriptors may come with a datagram.
const maxFiles = 8

// credentials of a socket's peer, as it was when it connected.
type credentials struct {
	uid uint32
	pid int32 // in the namespace of this process, 0 not visible
}

// Peer is a client as the engine sees it. Fields are set before the handler is
// called. Recv is for one goroutine; everything else may be called by several.
type Peer struct {
	Protocol Protocol
	Groups   uint32 // bit n-1: it wants to hear multicast group n
	PortID   uint32 // as nlmsg_pid; unique among the clients
	UID      uint32
	Files    []*os.File // came with the hello; closed by Close

	c     *net.UnixConn
	limit int // of the queue, bytes

	mu     sync.Mutex // guards what is below
	ready  sync.Cond  // the queue or closed changed
	queue  [][]byte   // datagrams to send; shared with other peers, not changed
	bytes  int        // in queue
	lost   bool       // events were dropped since the queue was last empty
	writer bool       // the queue is being sent by a goroutine
	closed bool
}

// Welcome tells the client that it is connected. With groups, whatever is
// reported from before this call on reaches it.
func (p *Peer) Welcome() error { return p.Send(encodeAck(0, "", p.PortID)) }

// Refuse tells the client why it is not served.
func (p *Peer) Refuse(errno syscall.Errno, text string) {
	_, _ = p.c.Write(encodeAck(errno, text, 0)) // at once: it is closed next; it may have gone
}

// Recv reads a datagram and the files that came with it, which the caller
// owns. io.EOF: the client has gone.
func (p *Peer) Recv(b []byte) (int, []*os.File, error) {
	oob := make([]byte, ancillaryRoom())
	n, oobn, flags, _, err := p.c.ReadMsgUnix(b, oob)
	if err != nil {
		return 0, nil, err
	}
	files, err := filesOf(oob[:oobn])
	switch {
	case err != nil:
		return 0, nil, err
	case n == 0:
		closeAll(files)
		return 0, nil, io.EOF
	case truncated(flags):
		closeAll(files)
		return 0, nil, fmt.Errorf("datagram with more than %d bytes or %d files", len(b), maxFiles)
	}
	return n, files, nil
}

// Send sends an answer, and waits while the client does not read. b is
// borrowed until it returns.
func (p *Peer) Send(b []byte) error {
	if p.Groups == 0 {
		_, err := p.c.Write(b)
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.bytes > p.limit && !p.closed {
		p.ready.Wait()
	}
	if p.closed {
		return net.ErrClosed
	}
	p.push(append([]byte(nil), b...))
	return nil
}

// Notify sends an event, one datagram that nobody may change any more. It
// never waits: for a client that does not read the event is lost, and the
// client is told so when it reads again.
func (p *Peer) Notify(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
	case p.lost || p.bytes+len(b) > p.limit:
		p.lost = true // all until the queue is empty, as the kernel does
	default:
		p.push(b)
	}
}

func (p *Peer) push(b []byte) {
	p.queue, p.bytes = append(p.queue, b), p.bytes+len(b)
	if !p.writer {
		p.writer = true
		go p.write()
	}
}

// write sends the queue until it is empty.
func (p *Peer) write() {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.writer = false }()
	for !p.closed {
		if len(p.queue) == 0 {
			if !p.lost {
				return
			}
			p.lost = false
			overrun := append(appendHeader(nil, 4, typeOverrun, 0, 0, 0), 0, 0, 0, 0)
			p.queue, p.bytes = [][]byte{overrun}, len(overrun)
		}
		batch := p.queue
		p.queue = nil
		p.mu.Unlock()
		n, err := p.sendAll(batch)
		p.mu.Lock()
		p.bytes -= n
		if err != nil {
			p.closed = true
		}
		p.ready.Broadcast()
	}
}

// sendAll sends datagrams outside the lock.
func (p *Peer) sendAll(batch [][]byte) (n int, err error) {
	for _, b := range batch {
		if _, err = p.c.Write(b); err != nil {
			return n, err
		}
		n += len(b)
	}
	return n, nil
}

// Close disconnects the client.
func (p *Peer) Close() {
	p.mu.Lock()
	p.closed, p.queue = true, nil
	files := p.Files
	p.Files = nil
	p.ready.Broadcast()
	p.mu.Unlock()
	closeAll(files)
	_ = p.c.Close() // again does no harm
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // nothing was written
	}
}
