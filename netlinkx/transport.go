package netlinkx

import "time"

// defaultReadBuffer is room for the answers to some thousand refused requests.
const defaultReadBuffer = 4 << 20

// transport carries netlink datagrams. There are two: a netlink socket, and
// the fake kernel of tests (a userspace engine is the third to come). Send and
// receive may run at the same time; each by one goroutine.
type transport interface {
	// send sends one datagram of one or more netlink messages.
	send(b []byte) error
	// sendQuick is send of what is done within a millisecond.
	sendQuick(b []byte) error
	// recv reads one datagram into b. nsid is the sender's namespace id when
	// it is another one and the transport listens to all.
	recv(b []byte) (n int, nsid Opt[int32], err error)
	// recvMany reads as many datagrams as there are, and at least one, into
	// consecutive slots of b of slotSize bytes each, one for each of lengths.
	recvMany(b []byte, lengths []int) (n int, err error)
	// setDeadline ends calls of send and recv that block at t; zero: never.
	setDeadline(t time.Time) error
	close() error
}

// Transport carries netlink datagrams for a Conn or Monitor in place of a
// netlink socket: another implementation of the kernel's side. Send takes one
// datagram of one or more messages, borrowed until it returns; Recv reads one
// datagram. SetDeadline ends blocked calls with os.ErrDeadlineExceeded.
// Recv and SetDeadline may be called at the same time.
type Transport interface {
	Send(b []byte) error
	Recv(b []byte) (int, error)
	SetDeadline(t time.Time) error
	Close() error
}

// foreign adapts a Transport.
type foreign struct{ t Transport }

func (f foreign) send(b []byte) error { return f.t.Send(b) }

func (f foreign) sendQuick(b []byte) error { return f.t.Send(b) }

func (f foreign) recv(b []byte) (int, Opt[int32], error) {
	n, err := f.t.Recv(b)
	return n, Opt[int32]{}, err
}

func (f foreign) recvMany(b []byte, lengths []int) (n int, err error) {
	if lengths[0], err = f.t.Recv(b); err != nil {
		return 0, err
	}
	return 1, nil
}

func (f foreign) setDeadline(t time.Time) error { return f.t.SetDeadline(t) }
func (f foreign) close() error                  { return f.t.Close() }
