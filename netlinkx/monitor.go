package netlinkx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// MonitorConfig says what to listen to. The zero MonitorConfig listens to every
// group of the caller's network namespace.
//
// Listening changes what the kernel does. With a listener on GroupAcquire,
// traffic that wants an SA which does not exist makes a larval SA of 30 s
// (net.core.xfrm_acq_expires) and an event, and a key manager's own attempts
// for it wait; without one, the traffic fails at once. With a listener on
// GroupAEvents nearly every packet of a slow flow makes an event. Name the
// groups where that matters.
type MonitorConfig struct {
	// NetNS is the namespace to listen in.
	NetNS NetNS
	// Groups to join; nil means all eight. Joining needs CAP_NET_ADMIN.
	Groups []Group
	// AllNSID adds the events of every other namespace that has an id in
	// this one (`ip netns set`); Notice.NSID tells which.
	AllNSID bool
	// ReadBuffer is the receive buffer in bytes; 0 means 16 MiB. It is what
	// there is to absorb a burst of events: one takes 2 KiB or more of it.
	ReadBuffer int
	// Resync makes the monitor list all SAs and policies of NetNS after events
	// were lost. See Monitor.
	Resync bool
	// Dial, if not nil, connects to another engine than the kernel: once with
	// the groups, and without groups for each list of a re-sync.
	Dial func(groups []Group) (Transport, error)
}

// monitorReadBuffer is room for some thousand events.
const monitorReadBuffer = 16 << 20

// Monitor receives events in the order in which the kernel sent them.
//
// When the receiver is too slow the kernel drops events. Next then returns a
// LostEvent. With Resync the events that are still queued come next, because
// they are older than the list that is to follow; then a ResyncEvent for each
// SA and each policy, and one with neither as the end mark. Events that happen
// during the list come after it; what they say may be in the list already.
// Taking each ResyncEvent as "this exists" and forgetting at the end mark what
// was neither listed nor reported since the LostEvent gives the present state.
// A further LostEvent before the end mark starts the re-sync anew. Other
// namespaces (AllNSID) are not listed.
//
// Next is for one goroutine at a time. Close may be called at any time.
type Monitor struct {
	cfg    MonitorConfig
	t      *guarded
	room   int // of the receive buffer, bytes
	ctx    context.Context
	cancel context.CancelFunc

	mu   sync.Mutex // held by Next; guards what is below
	buf  []byte
	rest []byte // messages of the datagram in buf that are still to come
	nsid Opt[int32]
	sync resync
}

// Notice is one event and where it came from. It is owned by the caller.
type Notice struct {
	Event Event
	// NSID is the id of the namespace that sent the event, when it is another.
	NSID   Opt[int32]
	Type   MsgType // 0 for a LostEvent and the end mark of a re-sync
	Flags  uint16
	Seq    uint32 // of the request that caused the event
	PortID uint32 // of the socket that sent the request, 0 the kernel
}

// NewMonitor starts to listen. Its errors are those of Dial; without privilege
// they answer fs.ErrPermission. Close ends it.
func NewMonitor(cfg *MonitorConfig) (*Monitor, error) {
	m := &Monitor{buf: make([]byte, recvSize)}
	if cfg != nil {
		m.cfg = *cfg
	}
	if m.cfg.Groups == nil {
		m.cfg.Groups = allGroups()
	}
	if m.cfg.ReadBuffer == 0 {
		m.cfg.ReadBuffer = monitorReadBuffer
	}
	if err := m.listen(); err != nil {
		return nil, err
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

func allGroups() []Group {
	return []Group{GroupAcquire, GroupExpire, GroupSA, GroupPolicy, GroupAEvents, GroupReport, GroupMigrate, GroupMapping}
}

func (m *Monitor) listen() error {
	if m.cfg.Dial != nil {
		t, err := m.cfg.Dial(m.cfg.Groups)
		if err != nil {
			return err
		}
		m.t, m.room = &guarded{transport: foreign{t}}, m.cfg.ReadBuffer
		return nil
	}
	s, err := openSocket(m.cfg.NetNS, m.cfg.ReadBuffer, m.cfg.Groups, m.cfg.AllNSID)
	if err != nil {
		return err
	}
	m.t, m.room = &guarded{transport: s}, s.readBuffer()
	return nil
}

// Close stops listening. Next, also one under way, returns os.ErrClosed.
func (m *Monitor) Close() error {
	err := m.t.close()
	m.cancel()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sync.end()
	return err
}

// Next returns the next event and waits for it. A *DecodeError is about one
// event, which is skipped; Next may be called again. So it may after ctx ended,
// or after a list of the re-sync failed, which is then begun again.
func (m *Monitor) Next(ctx context.Context) (*Notice, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.next(ctx)
	switch {
	case err == nil:
		return n, nil
	case m.t.isClosed():
		err = os.ErrClosed
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	return nil, fmt.Errorf("monitor: %w", err)
}

func (m *Monitor) next(ctx context.Context) (*Notice, error) {
	defer arm(ctx, m.t)()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if m.t.isClosed() {
			return nil, os.ErrClosed
		}
		if m.sync.listing() {
			if n, err := m.nextObject(ctx); n != nil || err != nil {
				return n, err
			}
			continue
		}
		if len(m.rest) > 0 {
			if n, err := m.decode(); n != nil || err != nil {
				return n, err
			}
			continue
		}
		if n, err := m.receive(); n != nil || err != nil {
			return n, err
		}
	}
}

// receive reads a datagram, or finds that events were lost, or that a re-sync
// may begin.
func (m *Monitor) receive() (*Notice, error) {
	if m.sync.draining && m.sync.drained >= m.room {
		m.beginList()
		return nil, nil
	}
	if m.sync.draining {
		_ = m.t.setDeadline(time.Now().Add(quiet)) // a closed transport fails by itself
	}
	n, nsid, err := m.t.recv(m.buf)
	if m.sync.draining {
		_ = m.t.setDeadline(time.Time{}) // next looks at ctx before it waits again
	}
	switch {
	case errors.Is(err, syscall.ENOBUFS):
		m.sync.draining, m.sync.drained = m.cfg.Resync, 0
		return &Notice{Event: &LostEvent{}}, nil
	case m.sync.draining && errors.Is(err, os.ErrDeadlineExceeded):
		m.beginList()
		return nil, nil
	case err != nil:
		return nil, err
	}
	m.rest, m.nsid = m.buf[:n], nsid
	m.sync.drained += n
	return nil, nil
}

// decode makes a notice of the next message at hand; nil of one that is no
// event.
func (m *Monitor) decode() (*Notice, error) {
	msg, rest, _, err := nextMessage(m.rest)
	m.rest = rest
	if err != nil {
		m.rest = nil
		return nil, err
	}
	if MsgType(msg.typ) < MsgNewSA {
		return nil, nil
	}
	e, err := DecodeEvent(MsgType(msg.typ), msg.flags, msg.payload)
	if err != nil {
		return nil, err
	}
	return &Notice{Event: e, NSID: m.nsid, Type: MsgType(msg.typ), Flags: msg.flags, Seq: msg.seq, PortID: msg.pid}, nil
}

// guarded is a transport whose Close ends calls that wait, for good: nobody
// moves the deadline afterwards.
type guarded struct {
	transport
	mu     sync.Mutex
	closed bool
}

func (g *guarded) setDeadline(t time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return os.ErrClosed
	}
	return g.transport.setDeadline(t)
}

func (g *guarded) close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	_ = g.transport.setDeadline(time.Unix(1, 0)) // then close says what is wrong
	return g.transport.close()
}

func (g *guarded) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}
