package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

const (
	// transferTime is for how long the demo sends through a tunnel.
	transferTime = time.Second
	// transferWait is how long it may take until the last byte has arrived,
	// and how long a connection may take to come about.
	transferWait = 30 * time.Second
	// transferPiece is what is written at a time, in bytes.
	transferPiece = 256 << 10
)

// Transfer is the result of sending as much as possible over TCP through a
// tunnel, from left to right.
type Transfer struct {
	Interface string  `json:"interface"`
	From      string  `json:"from"`
	To        string  `json:"to"`
	Bytes     int64   `json:"bytes"` // that arrived
	Seconds   float64 `json:"seconds"`
	// BitsPerSecond is of payload, from the first byte sent to the last received.
	BitsPerSecond float64 `json:"bits_per_second"`
	// ClearPackets counts packets that were not ESP, neighbour discovery aside.
	ClearPackets int `json:"clear_packets"`
	// Detail is why not all that was sent has arrived.
	Detail string `json:"detail,omitempty"`
}

// ok reports whether all has arrived, and nothing in clear.
func (t *Transfer) ok() bool { return t.Bytes > 0 && t.ClearPackets == 0 && t.Detail == "" }

// fault says what is wrong with it.
func (t *Transfer) fault() string {
	switch {
	case t.Detail != "":
		return "TCP transfer: " + t.Detail
	case t.ClearPackets > 0:
		return fmt.Sprintf("TCP transfer: %d packets in clear", t.ClearPackets)
	}
	return "TCP transfer: nothing arrived"
}

// transfer sends through the first tunnel. Its ESP packets are too many to be
// counted one by one; what is not ESP is.
func (r *runner) transfer(ctx context.Context) error {
	if r.lost {
		r.out.line("  not tried: pings were lost")
		return nil
	}
	t := r.tunnels[0]
	f := t.flows[0]
	for _, s := range f.pair.spi {
		c := r.carried[s]
		c.more = true
		r.carried[s] = c
	}
	if err := r.tap.onlyClear(true); err != nil {
		return err
	}
	res := &Transfer{Interface: t.name, From: f.addr[left].String(), To: f.addr[right].String()}
	r.report.Transfer = res
	if err := r.send(ctx, res, f.addr); err != nil {
		res.Detail = bareNetwork(err).Error()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c, unseen, err := r.tap.readMany(nil)
	if err != nil {
		return err
	}
	res.ClearPackets = c.clear + unseen // the tap was deaf to ESP
	if c.clear > 0 {
		r.out.line("  in clear: %s", c.firstBad)
	}
	r.out.transfer(res)
	return r.tap.onlyClear(false)
}

// send connects, sends for a while and waits until all has been read.
func (r *runner) send(ctx context.Context, res *Transfer, addr [2]netip.Addr) error {
	l, err := listenIn(ctx, r.ns[right], addr[right])
	if err != nil {
		return err
	}
	defer l.Close()
	sink := newSink(l)
	defer sink.wait() // ends with the listener or its connection
	c, err := dialIn(ctx, r.ns[left], addr[left], l.Addr())
	if err != nil {
		_ = l.Close() // the sink ends
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })() // a closed one needs no end
	start := time.Now()
	sent, err := pump(c, start.Add(transferTime))
	if err != nil {
		return err
	}
	got, end, err := sink.result(ctx)
	res.Bytes, res.Seconds = got, end.Sub(start).Seconds()
	if res.Seconds > 0 {
		res.BitsPerSecond = 8 * float64(got) / res.Seconds
	}
	if err == nil && got != sent {
		err = fmt.Errorf("%d of %d bytes arrived", got, sent)
	}
	return err
}

// listenIn listens on a port of the kernel's choice, in a namespace.
func listenIn(ctx context.Context, ns *Namespace, at netip.Addr) (l net.Listener, err error) {
	lc := &net.ListenConfig{}
	lc.SetMultipathTCP(false) // it would only fall back
	err = ns.Do(func() (err error) {
		l, err = lc.Listen(ctx, "tcp", netip.AddrPortFrom(at, 0).String())
		return err
	})
	return l, err
}

// dialIn connects from a namespace. The socket is made on its thread: Go
// resolves nothing for addresses, and connects where it is called.
func dialIn(ctx context.Context, ns *Namespace, from netip.Addr, to net.Addr) (c *net.TCPConn, err error) {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}, Timeout: transferWait}
	err = ns.Do(func() error {
		conn, err := d.DialContext(ctx, "tcp", to.String())
		if err == nil {
			c = conn.(*net.TCPConn)
		}
		return err
	})
	return c, err
}

// pump writes until the time has come, and says that this was all.
func pump(c *net.TCPConn, until time.Time) (sent int64, err error) {
	piece := make([]byte, transferPiece)
	for i := range piece {
		piece[i] = byte(i * 7)
	}
	if err := c.SetWriteDeadline(until.Add(transferWait)); err != nil {
		return 0, err
	}
	for time.Now().Before(until) {
		n, err := c.Write(piece)
		sent += int64(n)
		if err != nil {
			return sent, err
		}
	}
	return sent, c.CloseWrite()
}

// sink takes one connection and reads it to its end.
type sink struct {
	done chan struct{}
	got  int64
	end  time.Time
	err  error
}

func newSink(l net.Listener) *sink {
	s := &sink{done: make(chan struct{})}
	go s.drain(l)
	return s
}

func (s *sink) drain(l net.Listener) {
	defer close(s.done)
	c, err := l.Accept()
	if err != nil {
		s.err = err
		return
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(transferTime + transferWait)); err != nil {
		s.err = err
		return
	}
	s.got, s.err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, transferPiece))
	s.end = time.Now()
}

func (s *sink) wait() { <-s.done }

func (s *sink) result(ctx context.Context) (int64, time.Time, error) {
	select {
	case <-ctx.Done():
		return 0, time.Time{}, ctx.Err()
	case <-s.done:
		return s.got, s.end, s.err
	}
}

// bareNetwork drops what package net says about addresses.
func bareNetwork(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		return sys.Err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("timed out")
	}
	return err
}
