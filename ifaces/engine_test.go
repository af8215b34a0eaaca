package ifaces

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// fakeEngine is a transport in front of a fake kernel, which it asks as the
// kernel's socket would be.
type fakeEngine struct {
	k      *fakeKernel
	silent bool // answers nothing

	mu       sync.Mutex
	queue    chan []byte
	wake     chan struct{}
	deadline bool
	closed   bool
}

func newFakeEngine(k *fakeKernel) *fakeEngine {
	return &fakeEngine{k: k, queue: make(chan []byte, 100), wake: make(chan struct{}, 1)}
}

// encoded is a message that is encoded already.
type encoded struct {
	rtnetlink.LinkMessage
	b []byte
}

func (e *encoded) MarshalBinary() ([]byte, error) { return e.b, nil }

func (f *fakeEngine) Send(b []byte) error {
	if f.silent {
		return nil
	}
	typ, flags := binary.NativeEndian.Uint16(b[4:]), netlink.HeaderFlags(binary.NativeEndian.Uint16(b[6:]))
	seq := binary.NativeEndian.Uint32(b[8:])
	msgs, err := f.k.exchange(context.Background(), &encoded{b: append([]byte(nil), b[16:]...)}, typ, flags)
	f.queue <- answer(typ, 0, seq-1, []byte("late")) // of a request that was given up
	switch {
	case err != nil:
		var op *netlink.OpError
		var errno syscall.Errno
		errors.As(err, &op)
		errors.As(err, &errno)
		f.queue <- ackMessage(seq, errno, op.Message, uint32(op.Offset))
		return nil
	case flags&netlink.Dump == netlink.Dump:
		var d []byte
		for _, m := range msgs {
			d = append(d, answer(rtmNewLink, netlink.Multi, seq, m.Data)...)
		}
		f.queue <- append(d, answer(uint16(netlink.Done), netlink.Multi, seq, make([]byte, 4))...)
	case flags&netlink.Acknowledge != 0:
		f.queue <- ackMessage(seq, 0, f.k.ackText, 0)
	default:
		f.queue <- answer(rtmNewLink, 0, seq, msgs[0].Data)
	}
	return nil
}

// answer encodes a message, padded.
func answer(typ uint16, flags netlink.HeaderFlags, seq uint32, data []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(16+len(data)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, uint16(flags))
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = append(binary.NativeEndian.AppendUint32(b, 0), data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func ackMessage(seq uint32, errno syscall.Errno, text string, offset uint32) []byte {
	p := binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno)))
	p = append(p, make([]byte, 16)...)
	ae := netlink.NewAttributeEncoder()
	if text != "" {
		ae.String(1, text) // NLMSGERR_ATTR_MSG
	}
	if offset != 0 {
		ae.Uint32(2, offset) // NLMSGERR_ATTR_OFFS
	}
	tlvs, _ := ae.Encode()
	return answer(uint16(netlink.Error), netlink.Capped|netlink.AcknowledgeTLVs, seq, append(p, tlvs...))
}

func (f *fakeEngine) Recv(b []byte) (int, error) {
	for {
		f.mu.Lock()
		expired := f.deadline
		f.mu.Unlock()
		if expired {
			return 0, os.ErrDeadlineExceeded
		}
		select {
		case d := <-f.queue:
			return copy(b, d), nil
		case <-f.wake:
		}
	}
}

func (f *fakeEngine) SetDeadline(t time.Time) error {
	f.mu.Lock()
	f.deadline = !t.IsZero()
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
	return nil
}

func (f *fakeEngine) Close() error { f.closed = true; return nil }

// engineConn is a Conn whose link messages go through the fake engine.
func engineConn(k *fakeKernel) (*Conn, *fakeEngine) {
	c, _ := k.conn()
	f := newFakeEngine(k)
	links, rest := rtnl.New(f), c.exchange
	c.exchange = func(ctx context.Context, m rtnetlink.Message, typ uint16, flags netlink.HeaderFlags) ([]netlink.Message, error) {
		switch typ {
		case rtmNewLink, rtmDelLink, rtmGetLink:
			return exchangeOver(ctx, links, m, typ, flags)
		}
		return rest(ctx, m, typ, flags)
	}
	return c, f
}

// TestEngineOperations runs everything that goes through link messages.
func TestEngineOperations(t *testing.T) {
	ctx := context.Background()
	k := newFake(t)
	c, _ := engineConn(k)
	l, err := c.Create(ctx, &Spec{Name: "ipsec0", IfID: 5, Up: true, MTU: 1400})
	if err != nil || l.Name != "ipsec0" || l.IfID != 5 || !l.Up {
		t.Fatalf("create: %+v, %v", l, err)
	}
	if _, err := c.Create(ctx, &Spec{Name: "ipsec1", IfID: 5}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the same if_id: %v", err)
	}
	list, err := c.List(ctx)
	if err != nil || len(list) != 1 || list[0].IfID != 5 {
		t.Errorf("list: %v, %v", list, err)
	}
	if l, err = c.Change(ctx, "ipsec0", &Change{IfID: netlinkx.Some[uint32](7)}); err != nil || l.IfID != 7 {
		t.Errorf("change: %+v, %v", l, err)
	}
	if _, err := c.Adopt(ctx, &Spec{Name: "ipsec0", IfID: 7}); err != nil {
		t.Errorf("adopt: %v", err)
	}
	if err := c.Delete(ctx, "ipsec0"); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := c.Get(ctx, "ipsec0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get what is gone: %v", err)
	}
}

func TestEngineRefusal(t *testing.T) {
	c, _ := engineConn(newFake(t))
	_, err := c.Create(context.Background(), &Spec{Name: "ipsec0"})
	var e *netlinkx.Error
	if !errors.As(err, &e) || e.Errno != syscall.EINVAL || e.Text != "if_id must be non zero" {
		t.Errorf("got %v", err)
	}
}

// TestEngineGivesUp: a context ends a request, and the next one works.
func TestEngineGivesUp(t *testing.T) {
	c, f := engineConn(newFake(t))
	f.silent = true
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.List(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	f.silent = false
	if _, err := c.List(context.Background()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestEngineMalformed(t *testing.T) {
	f := newFakeEngine(nil)
	f.silent = true
	e := rtnl.New(f)
	for _, b := range [][]byte{{200, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 16)} {
		f.queue <- b
		if _, err := exchangeOver(context.Background(), e, &linkRequest{}, rtmGetLink, 0); err == nil {
			t.Errorf("%x is no error", b)
		}
	}
}
