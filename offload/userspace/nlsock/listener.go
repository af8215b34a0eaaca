package nlsock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// maxPeers bounds the connections at once.
const maxPeers = 1024

// Listener accepts clients. It is safe for concurrent use.
type Listener struct {
	l    *net.UnixListener
	path string
	uids []uint32 // who may connect

	// QueueLimit is how many bytes of events wait for a client that does not
	// read, besides what its socket holds; then it loses some. Set it before
	// Serve.
	QueueLimit int

	mu     sync.Mutex // guards what is below
	peers  map[uint32]*Peer
	spare  uint32 // last port id that was made up
	closed bool
	wg     sync.WaitGroup
}

// Listen makes the socket at path, mode 0600, and its directory if need be. A
// socket file that nobody listens at any more is replaced. It fails with
// syscall.EADDRINUSE when another engine does. Root and the effective user of
// now may connect, also after privileges are dropped.
func Listen(path string) (*Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("engine socket: %w", err)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// The mode must be right from the start: connecting needs write permission.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		cerr := c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0o600) })
		return errors.Join(err, cerr)
	}}
	l, err := lc.Listen(context.Background(), "unixpacket", path)
	if err != nil {
		return nil, fmt.Errorf("engine socket: %w", err)
	}
	return &Listener{l: l.(*net.UnixListener), path: path, uids: []uint32{0, uint32(os.Geteuid())}, QueueLimit: defaultQueueLimit, peers: map[uint32]*Peer{}}, nil
}

// removeStale removes the socket of an engine that has ended without doing so.
func removeStale(path string) error {
	c, err := net.DialTimeout("unixpacket", path, helloTimeout)
	switch {
	case err == nil:
		_ = c.Close() // it answered: that is all
		return fmt.Errorf("engine socket %s: another engine is running: %w", path, syscall.EADDRINUSE)
	case errors.Is(err, syscall.ECONNREFUSED):
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("engine socket: %w", err)
		}
	}
	return nil
}

// Path returns where it listens.
func (l *Listener) Path() string { return l.path }

// Serve accepts clients until Close, and calls handle for each on a goroutine
// of its own; the client goes when handle returns. handle must call Welcome or
// Refuse first. It returns when Close has been called and all have returned.
func (l *Listener) Serve(handle func(*Peer)) error {
	defer l.wg.Wait()
	for {
		c, err := l.l.AcceptUnix()
		if err != nil {
			if l.isClosed() {
				return nil
			}
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED) {
				time.Sleep(50 * time.Millisecond) // until others have gone
				continue
			}
			return fmt.Errorf("engine socket %s: %w", l.path, err)
		}
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			l.serve(c, handle)
		}()
	}
}

// serve greets one client.
func (l *Listener) serve(c *net.UnixConn, handle func(*Peer)) {
	p := &Peer{c: c, limit: l.QueueLimit}
	p.ready.L = &p.mu
	defer p.Close()
	cred, err := peerCredentials(c)
	if err != nil {
		return
	}
	_ = c.SetWriteBuffer(bufferSize)                // what the kernel grants is enough
	_ = c.SetDeadline(time.Now().Add(helloTimeout)) // a closed socket fails by itself
	buf := make([]byte, 4096)
	n, files, err := p.Recv(buf)
	if err != nil {
		return
	}
	p.Files = files
	h, err := decodeHello(buf[:n])
	if err != nil {
		p.Refuse(syscall.EPROTO, err.Error())
		return
	}
	if !slices.Contains(l.uids, cred.uid) {
		p.Refuse(syscall.EPERM, "")
		return
	}
	p.Protocol, p.Groups, p.UID = h.protocol, h.groups, cred.uid
	if !l.admit(p, cred.pid) {
		p.Refuse(syscall.EUSERS, "too many clients")
		return
	}
	defer l.forget(p)
	_ = c.SetDeadline(time.Time{}) // a closed socket fails by itself
	handle(p)
}

// admit gives the client its port id: its process id, as the kernel does, or
// when another socket of the process has that, a number above all of them.
func (l *Listener) admit(p *Peer, pid int32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.peers) >= maxPeers {
		return false
	}
	p.PortID = uint32(pid)
	for l.peers[p.PortID] != nil || p.PortID == 0 {
		if l.spare--; l.spare < 1<<31 {
			l.spare = 1<<32 - 1
		}
		p.PortID = l.spare
	}
	l.peers[p.PortID] = p
	return true
}

func (l *Listener) forget(p *Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.peers, p.PortID)
}

func (l *Listener) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// Close stops listening, removes the socket and disconnects all clients. It
// does not wait for their handlers: Serve does.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	err := l.l.Close()
	for _, p := range l.peers {
		p.Close()
	}
	return err
}
