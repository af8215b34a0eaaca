package rtnl

import (
	"context"
	"encoding/binary"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/netlinkx/netlinkxtest"
)

// number is a message of type 16 whose body is a number.
func number(n uint32) Message {
	return Message{Type: 16, Body: binary.NativeEndian.AppendUint32(nil, n)}
}

func numbers(n int) (out []Message) {
	for i := range n {
		out = append(out, number(uint32(i)))
	}
	return out
}

// refusing answers numbers of the list with EEXIST.
func refusing(list ...uint32) *netlinkxtest.Kernel {
	return &netlinkxtest.Kernel{Handle: func(req netlinkxtest.Message) []netlinkxtest.Message {
		for _, n := range list {
			if binary.NativeEndian.Uint32(req.Payload) == n {
				return []netlinkxtest.Message{netlinkxtest.Refuse(req, syscall.EEXIST, netlinkxtest.ExtAck{Text: "taken", Offset: 20})}
			}
		}
		return nil
	}}
}

func dial(t *testing.T, k *netlinkxtest.Kernel) *Conn {
	t.Helper()
	tr, err := k.Dial()
	if err != nil {
		t.Fatal(err)
	}
	c := New(tr)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestBatchCarriesAll(t *testing.T) {
	k := refusing()
	res, err := dial(t, k).Batch(t.Context(), numbers(1234))
	if err != nil || res.Unsent != 1234 || len(res.Failed)+len(res.Unknown) > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	acks := 0
	for i, r := range k.Requests() {
		if n := binary.NativeEndian.Uint32(r.Payload); n != uint32(i) {
			t.Fatalf("message %d carries %d", i, n)
		}
		if r.Flags&netlinkxtest.FlagAck != 0 {
			acks++
		}
	}
	if acks != 13 {
		t.Errorf("%d acknowledgements for 13 datagrams", acks)
	}
}

// TestBatchStops behind the datagram with a refusal, and says which it was.
func TestBatchStops(t *testing.T) {
	for _, n := range []uint32{100, 150, 199} { // first, middle and last of a datagram
		res, err := dial(t, refusing(n)).Batch(t.Context(), numbers(500))
		var op *netlink.OpError
		if err != nil || res.Unsent != 200 || len(res.Failed) != 1 || !errors.As(res.Failed[int(n)], &op) || op.Message != "taken" || op.Offset != 20 || !errors.Is(op, syscall.EEXIST) {
			t.Errorf("refused %d: %+v, %v", n, res, err)
		}
	}
}

// TestBatchLost: what may have been refused without our seeing it is unknown.
func TestBatchLost(t *testing.T) {
	k := &netlinkxtest.Kernel{Handle: func(req netlinkxtest.Message) []netlinkxtest.Message {
		if binary.NativeEndian.Uint32(req.Payload) == 3 {
			return []netlinkxtest.Message{{Fail: syscall.ENOBUFS}}
		}
		return nil
	}}
	res, err := dial(t, k).Batch(t.Context(), numbers(150))
	if err != nil || res.Unsent != 100 || len(res.Unknown) != 100 {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestBatchEnds with its context, and the next request is answered.
func TestBatchEnds(t *testing.T) {
	silent := true
	k := &netlinkxtest.Kernel{Handle: func(netlinkxtest.Message) []netlinkxtest.Message {
		if silent {
			return []netlinkxtest.Message{}
		}
		return nil
	}}
	c := dial(t, k)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if res, err := c.Batch(ctx, numbers(3)); !errors.Is(err, context.DeadlineExceeded) || len(res.Unknown) != 3 {
		t.Errorf("%+v, %v", res, err)
	}
	silent = false
	if res, err := c.Batch(t.Context(), numbers(3)); err != nil || res.Unsent != 3 || res.Unknown != nil {
		t.Errorf("afterwards: %+v, %v", res, err)
	}
	m := number(1)
	m.Flags = netlink.Acknowledge
	if _, err := c.Exchange(t.Context(), &m); err != nil {
		t.Errorf("one message afterwards: %v", err)
	}
}

func TestDialNoSuchNamespace(t *testing.T) {
	if tr, err := Dial(netlinkx.NetNSAt("/proc/self/ns/none")); err == nil {
		_ = tr.Close()
		t.Error("a namespace that is not there")
	}
}
