package netlinkx_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/netlinkx/netlinkxtest"
)

// fake connects to a kernel whose answers are handle's.
func fake(t *testing.T, handle netlinkxtest.Handler) (*Conn, *netlinkxtest.Kernel) {
	t.Helper()
	k := &netlinkxtest.Kernel{Handle: handle}
	c, err := Dial(&Config{Dial: k.Dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if n := k.Open(); n != 0 {
			t.Errorf("%d connections left open", n)
		}
	})
	return c, k
}

func testSA(spi SPI) *SA {
	sa := NewSA()
	sa.Src, sa.Dst = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	sa.Proto, sa.SPI, sa.Family = ProtoESP, spi, FamilyIPv4
	sa.AEAD = &AEAD{"rfc4106(gcm(aes))", NewKey(make([]byte, 20)), 128}
	return sa
}

func TestRefusal(t *testing.T) {
	c, _ := fake(t, func(req netlinkxtest.Message) []netlinkxtest.Message {
		return []netlinkxtest.Message{netlinkxtest.Refuse(req, syscall.EINVAL, netlinkxtest.ExtAck{Text: "bad news"})}
	})
	err := c.AddSA(context.Background(), testSA(1))
	var e *Error
	if !errors.As(err, &e) || e.Errno != syscall.EINVAL || e.Text != "bad news" || !strings.Contains(err.Error(), "0x00000001") {
		t.Errorf("error %v", err)
	}
}

func TestWarningOnSuccess(t *testing.T) {
	k := &netlinkxtest.Kernel{Handle: func(req netlinkxtest.Message) []netlinkxtest.Message {
		return []netlinkxtest.Message{netlinkxtest.Refuse(req, 0, netlinkxtest.ExtAck{Text: "slave does not support it"})}
	}}
	var got []string
	c, err := Dial(&Config{Dial: k.Dial, OnWarning: func(w *Warning) { got = append(got, w.Text) }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.AddSA(context.Background(), testSA(1)); err != nil {
		t.Fatal(err)
	}
	b := c.NewBatch()
	b.Add(AddSA(testSA(2)))
	if res, err := b.Commit(context.Background()); err != nil || len(res.Warnings) != 1 || res.Applied != 1 {
		t.Errorf("batch %+v, %v", res, err)
	}
	if len(got) != 2 {
		t.Errorf("warnings %q", got)
	}
}

// TestExistsNamesHolder: EEXIST is followed by a look at what is in the way.
func TestExistsNamesHolder(t *testing.T) {
	held := testSA(1)
	held.IfID = 0x77
	c, k := fake(t, func(req netlinkxtest.Message) []netlinkxtest.Message {
		if req.Type == MsgGetSA {
			return []netlinkxtest.Message{netlinkxtest.Object(AddSA(held))}
		}
		return []netlinkxtest.Message{netlinkxtest.Refuse(req, syscall.EEXIST, netlinkxtest.ExtAck{})}
	})
	err := c.AddSA(context.Background(), testSA(1))
	var e *Error
	if !errors.Is(err, fs.ErrExist) || !errors.As(err, &e) || !strings.Contains(e.Hint, "if_id 0x77") {
		t.Errorf("%+v", err)
	}
	if n := len(k.Requests()); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// TestLateAnswer: the answer to a request that was given up is not taken for
// the next one's.
func TestLateAnswer(t *testing.T) {
	first := true
	var late netlinkxtest.Message
	c, _ := fake(t, func(req netlinkxtest.Message) []netlinkxtest.Message {
		if first {
			first, late = false, netlinkxtest.Refuse(req, syscall.EPERM, netlinkxtest.ExtAck{})
			late.Seq = req.Seq
			return []netlinkxtest.Message{}
		}
		return []netlinkxtest.Message{late, netlinkxtest.Ack(req)}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := c.AddSA(ctx, testSA(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("request without an answer: %v", err)
	}
	if err := c.AddSA(context.Background(), testSA(2)); err != nil {
		t.Errorf("request after it: %v", err)
	}
}

func TestMalformedAnswers(t *testing.T) {
	for name, m := range map[string]netlinkxtest.Message{
		"short sa":        {Type: MsgNewSA, Payload: make([]byte, 100)},
		"cut message":     func() netlinkxtest.Message { m := netlinkxtest.Object(AddSA(testSA(1))); m.Cut = 9; return m }(),
		"other type":      {Type: MsgNewPolicy, Payload: make([]byte, 168)},
		"empty":           {Type: MsgNewSA},
		"short ack":       {Type: netlinkxtest.TypeError, Payload: []byte{1, 2}},
		"wrong attribute": {Type: MsgNewSA, Payload: append(make([]byte, 224), 5, 0, 33, 0, 1, 0, 0, 0, 9, 0, 31, 0, 1, 2, 3, 4, 5, 0, 0, 0)},
	} {
		c, _ := fake(t, func(req netlinkxtest.Message) []netlinkxtest.Message { return []netlinkxtest.Message{m} })
		sa, err := c.GetSA(context.Background(), testSA(1).ID())
		if err == nil || sa != nil {
			t.Errorf("%s: %v, error %v", name, sa, err)
		}
		if name == "wrong attribute" && !strings.Contains(err.Error(), "IF_ID") {
			t.Errorf("error %q does not name the attribute", err)
		}
	}
}

func dumpOf(n int) []netlinkxtest.Message {
	ms := make([]netlinkxtest.Message, n)
	for i := range ms {
		ms[i] = netlinkxtest.Object(AddSA(testSA(SPI(i + 1))))
	}
	return netlinkxtest.Dump(ms...)
}

func TestDump(t *testing.T) {
	c, k := fake(t, func(netlinkxtest.Message) []netlinkxtest.Message { return dumpOf(5) })
	for name, read := range map[string]func() []SPI{
		"SAs": func() (spis []SPI) {
			for sa, err := range c.SAs(context.Background(), nil) {
				if err != nil {
					t.Fatal(err)
				}
				spis = append(spis, sa.SPI)
			}
			return spis
		},
		"ScanSAs": func() (spis []SPI) {
			for sa, err := range c.ScanSAs(context.Background(), nil) {
				if err != nil {
					t.Fatal(err)
				}
				if sa.AEAD == nil || sa.AEAD.Key.Len() != 20 {
					t.Errorf("%s has no key", sa)
				}
				spis = append(spis, sa.SPI)
			}
			return spis
		},
	} {
		if got := read(); !slices.Equal(got, []SPI{1, 2, 3, 4, 5}) {
			t.Errorf("%s: %v", name, got)
		}
	}
	for sa := range c.SAs(context.Background(), nil) { // leave early
		if sa.SPI == 2 {
			break
		}
	}
	if n := k.Open(); n != 1 {
		t.Errorf("%d connections after the loops", n)
	}
}

func TestDumpInterrupted(t *testing.T) {
	calls := 0
	c, _ := fake(t, func(netlinkxtest.Message) []netlinkxtest.Message {
		calls++
		if calls == 1 {
			return netlinkxtest.Interrupted(dumpOf(3))
		}
		return dumpOf(4)
	})
	list, err := c.ListSAs(context.Background(), nil)
	if err != nil || len(list) != 4 || calls != 2 {
		t.Errorf("retry: %d SAs, %v, %d dumps", len(list), err, calls)
	}
	c, _ = fake(t, func(netlinkxtest.Message) []netlinkxtest.Message { return netlinkxtest.Interrupted(dumpOf(3)) })
	if list, err = c.ListSAs(context.Background(), nil); !errors.Is(err, ErrDumpInterrupted) || len(list) != 3 {
		t.Errorf("always interrupted: %d SAs, %v", len(list), err)
	}
}

func TestDumpRefused(t *testing.T) {
	c, _ := fake(t, func(req netlinkxtest.Message) []netlinkxtest.Message {
		return []netlinkxtest.Message{netlinkxtest.Refuse(req, syscall.EPERM, netlinkxtest.ExtAck{})}
	})
	if list, err := c.ListPolicies(context.Background()); !errors.Is(err, fs.ErrPermission) || len(list) != 0 {
		t.Errorf("%d policies, %v", len(list), err)
	}
}

// TestBatchOverrun: when acknowledgements are lost, a request counts as
// applied only if it is certain; the lost ones are unknown.
func TestBatchOverrun(t *testing.T) {
	n := 0
	c, _ := fake(t, func(req netlinkxtest.Message) []netlinkxtest.Message {
		n++
		switch {
		case req.Type == MsgGetSADInfo: // the probe that ends the reading
			return []netlinkxtest.Message{{Type: MsgNewSADInfo, Payload: make([]byte, 4)}}
		case n%4 == 2:
			return []netlinkxtest.Message{netlinkxtest.Refuse(req, syscall.EINVAL, netlinkxtest.ExtAck{})}
		case req.Flags&netlinkxtest.FlagAck != 0: // the last: its acknowledgement finds no room
			return []netlinkxtest.Message{{Fail: syscall.ENOBUFS}}
		}
		return []netlinkxtest.Message{}
	})
	b := c.NewBatch()
	for i := range 7 {
		b.Add(AddSA(testSA(SPI(i))))
	}
	res, err := b.Commit(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if res.Applied != 0 || len(res.Failed) != 2 || len(res.Unknown) != 5 || res.Unsent != 7 {
		t.Errorf("%+v", res)
	}
}

// TestBatchEncodeError: what stands in front of a value that cannot be encoded
// is sent, what follows is not, and the result says so.
func TestBatchEncodeError(t *testing.T) {
	c, k := fake(t, nil)
	b := c.NewBatch()
	for i := range 5 {
		sa := testSA(SPI(i))
		if i == 3 {
			sa.ReplayWindow = 5000
		}
		b.Add(AddSA(sa))
	}
	res, err := b.Commit(context.Background())
	if err == nil || !strings.Contains(err.Error(), "5000") || res.Applied != 3 || res.Unsent != 3 {
		t.Errorf("%+v, %v", res, err)
	}
	if n := len(k.Requests()); n != 3 {
		t.Errorf("%d requests sent", n)
	}
}

func TestBatchAsksForOneAck(t *testing.T) {
	c, k := fake(t, nil)
	b := c.NewBatch()
	for i := range 20 {
		b.Add(AddSA(testSA(SPI(i))))
	}
	if res, err := b.Commit(context.Background()); err != nil || res.Applied != 20 {
		t.Fatal(res, err)
	}
	for i, r := range k.Requests() {
		if ack := r.Flags&netlinkxtest.FlagAck != 0; ack != (i == 19) {
			t.Errorf("request %d: ack %v", i, ack)
		}
	}
}

func TestBatchCancelled(t *testing.T) {
	c, k := fake(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b := c.NewBatch()
	b.Add(AddSA(testSA(1)))
	if res, err := b.Commit(ctx); !errors.Is(err, context.Canceled) || res.Unsent != 0 || len(k.Requests()) != 0 {
		t.Errorf("%+v, %v", res, err)
	}
}
