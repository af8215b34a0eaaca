package netlinkx

import "time"

// Tap is told of each datagram that was sent, or has been received, in order.
// The bytes are borrowed until it returns; they may hold keys. A received
// datagram that is empty stands for an answer that is not known.
type Tap func(sent bool, b []byte)

// TapTransport returns t with a tap, which is called by whoever sends or receives.
func TapTransport(t Transport, tap Tap) Transport { return bare{tapped{foreign{t}, tap}} }

// tapped is a transport with a tap.
type tapped struct {
	transport
	tap Tap
}

func (t tapped) send(b []byte) error {
	t.tap(true, b)
	return t.transport.send(b)
}

func (t tapped) sendQuick(b []byte) error {
	t.tap(true, b)
	return t.transport.sendQuick(b)
}

func (t tapped) recv(b []byte) (int, Opt[int32], error) {
	n, nsid, err := t.transport.recv(b)
	if err == nil {
		t.tap(false, b[:n])
	}
	return n, nsid, err
}

func (t tapped) recvMany(b []byte, lengths []int) (int, error) {
	n, err := t.transport.recvMany(b, lengths)
	for i := range n {
		t.tap(false, b[i*slotSize:][:lengths[i]])
	}
	return n, err
}

// DialTransport opens what a Conn works over, for who has messages that are
// ready-made. Errors are those of Dial. It is for one goroutine at a time.
func DialTransport(cfg *Config) (Transport, error) {
	c := &Conn{cfg: *cfg}
	t, _, err := c.connect()
	if err != nil {
		return nil, err
	}
	return bare{t}, nil
}

// bare is a transport as others see it.
type bare struct{ t transport }

func (b bare) Send(p []byte) error { return b.t.send(p) }

func (b bare) Recv(p []byte) (int, error) {
	n, _, err := b.t.recv(p)
	return n, err
}

func (b bare) SetDeadline(t time.Time) error { return b.t.setDeadline(t) }
func (b bare) Close() error                  { return b.t.close() }
