package netlinkxtest_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/netlinkx/netlinkxtest"
)

func testSA(spi netlinkx.SPI) *netlinkx.SA {
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	sa.SPI, sa.Proto = spi, netlinkx.ProtoESP
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 128}
	return sa
}

func dial(t *testing.T, k *netlinkxtest.Kernel, warn func(*netlinkx.Warning)) *netlinkx.Conn {
	t.Helper()
	c, err := netlinkx.Dial(&netlinkx.Config{Dial: k.Dial, OnWarning: warn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if n := k.Open(); n != 0 {
			t.Errorf("%d connections left open", n)
		}
	})
	return c
}

func TestAck(t *testing.T) {
	k := &netlinkxtest.Kernel{}
	c := dial(t, k, nil)
	if err := c.AddSA(t.Context(), testSA(7)); err != nil {
		t.Fatal(err)
	}
	if err := c.FlushSAs(t.Context(), netlinkx.ProtoESP); err != nil {
		t.Fatal(err)
	}
	rs := k.Requests()
	if len(rs) != 2 || rs[0].Type != netlinkx.MsgNewSA || rs[1].Type != netlinkx.MsgFlushSA || rs[0].Seq == rs[1].Seq {
		t.Fatalf("requests %+v", rs)
	}
	if want := netlinkxtest.Object(netlinkx.AddSA(testSA(7))).Payload; !cmp.Equal(rs[0].Payload, want) {
		t.Errorf("the request's payload differs: %s", cmp.Diff(rs[0].Payload, want))
	}
}

func TestRefusals(t *testing.T) {
	sa := testSA(7)
	sa.Dir = netlinkx.DirOut
	size := 16 + len(netlinkxtest.Object(netlinkx.AddSA(sa)).Payload)
	x := netlinkxtest.ExtAck{Text: "integer out of range", Offset: size - 8, MissType: netlinkx.Some[uint16](31)}
	refuse := func(f func(netlinkxtest.Message, syscall.Errno, netlinkxtest.ExtAck) netlinkxtest.Message, errno syscall.Errno, x netlinkxtest.ExtAck) netlinkxtest.Handler {
		return func(req netlinkxtest.Message) []netlinkxtest.Message {
			if req.Type != netlinkx.MsgNewSA {
				return []netlinkxtest.Message{netlinkxtest.Refuse(req, syscall.ESRCH, netlinkxtest.ExtAck{})}
			}
			return []netlinkxtest.Message{f(req, errno, x)}
		}
	}
	want := netlinkx.Error{
		Op: netlinkx.AddSA(sa).Op(), Object: sa.String(), Errno: syscall.ERANGE, Text: x.Text,
		Attr: "SA_DIR", Missing: "IF_ID", Offset: x.Offset,
	}
	bare := netlinkx.Error{Op: want.Op, Object: want.Object, Errno: syscall.EEXIST}
	tests := []struct {
		name   string
		handle netlinkxtest.Handler
		want   netlinkx.Error
		is     error
	}{
		{"capped", refuse(netlinkxtest.Refuse, syscall.ERANGE, x), want, syscall.ERANGE},
		{"echoing the request", refuse(netlinkxtest.RefuseEchoing, syscall.ERANGE, x), want, syscall.ERANGE},
		{"errno alone", refuse(netlinkxtest.Refuse, syscall.EEXIST, netlinkxtest.ExtAck{}), bare, fs.ErrExist},
		{"errno alone, echoing", refuse(netlinkxtest.RefuseEchoing, syscall.EEXIST, netlinkxtest.ExtAck{}), bare, fs.ErrExist},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, &netlinkxtest.Kernel{Handle: tt.handle}, nil)
			err := c.AddSA(t.Context(), sa)
			var e *netlinkx.Error
			if !errors.As(err, &e) || !errors.Is(err, tt.is) {
				t.Fatalf("error %v", err)
			}
			if e.Hint == "" {
				t.Error("no hint")
			}
			if diff := cmp.Diff(tt.want, *e, cmpopts.IgnoreFields(netlinkx.Error{}, "Hint")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWarning(t *testing.T) {
	k := &netlinkxtest.Kernel{Handle: func(req netlinkxtest.Message) []netlinkxtest.Message {
		return []netlinkxtest.Message{netlinkxtest.Refuse(req, 0, netlinkxtest.ExtAck{Text: "Slave does not support ipsec offload"})}
	}}
	var got []string
	c := dial(t, k, func(w *netlinkx.Warning) { got = append(got, w.String()) })
	if err := c.AddSA(t.Context(), testSA(7)); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || !strings.HasSuffix(got[0], "0x00000007 to 192.0.2.2: Slave does not support ipsec offload") {
		t.Errorf("warnings %q", got)
	}
}

func TestDump(t *testing.T) {
	var sas []netlinkxtest.Message
	for spi := range netlinkx.SPI(5) {
		sas = append(sas, netlinkxtest.Object(netlinkx.AddSA(testSA(spi+1))))
	}
	interrupted := 0
	k := &netlinkxtest.Kernel{Handle: func(req netlinkxtest.Message) []netlinkxtest.Message {
		answer := netlinkxtest.Dump(sas...)
		if interrupted > 0 {
			interrupted--
			return netlinkxtest.Interrupted(answer)
		}
		return answer
	}}
	c := dial(t, k, nil)
	for _, n := range []int{0, 1} {
		interrupted = n
		list, err := c.ListSAs(t.Context(), nil)
		if err != nil || len(list) != 5 || list[4].SPI != 5 || list[4].AEAD.Key.Len() != 20 {
			t.Errorf("interrupted %d times: %v, %v", n, list, err)
		}
	}
	interrupted = 100
	list, err := c.ListSAs(t.Context(), nil)
	if !errors.Is(err, netlinkx.ErrDumpInterrupted) || len(list) != 5 {
		t.Errorf("always interrupted: %d SAs, %v", len(list), err)
	}
}

func TestFailures(t *testing.T) {
	whole := netlinkxtest.Object(netlinkx.AddSA(testSA(7)))
	part := func(m netlinkxtest.Message) []netlinkxtest.Message {
		return []netlinkxtest.Message{m}
	}
	cut := whole
	cut.Cut = 3
	short := whole
	short.Payload = short.Payload[:100]
	tests := []struct {
		name   string
		answer []netlinkxtest.Message
		want   string
	}{
		{"lost", part(netlinkxtest.Message{Fail: syscall.ENOBUFS}), "no buffer space available"},
		{"cut", part(cut), "length"},
		{"short", part(short), "100 bytes, want at least 224"},
		{"another object", part(netlinkxtest.Object(netlinkx.FlushSAs(0))), "no NEWSA message"},
		{"too large", part(netlinkxtest.Message{Type: netlinkx.MsgNewSA, Payload: make([]byte, 1<<17)}), "room for"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := &netlinkxtest.Kernel{Handle: func(netlinkxtest.Message) []netlinkxtest.Message { return tt.answer }}
			sa, err := dial(t, k, nil).GetSA(t.Context(), testSA(7).ID())
			if sa != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v, want %q", sa, err, tt.want)
			}
		})
	}
}

func TestNoAnswer(t *testing.T) {
	k := &netlinkxtest.Kernel{Handle: func(netlinkxtest.Message) []netlinkxtest.Message { return []netlinkxtest.Message{} }}
	c := dial(t, k, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := c.AddSA(ctx, testSA(7)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestTransport(t *testing.T) {
	k := &netlinkxtest.Kernel{}
	c, err := k.DialMonitor([]netlinkx.Group{netlinkx.GroupSA})
	if err != nil {
		t.Fatal(err)
	}
	event := netlinkxtest.Message{Type: netlinkx.MsgFlushSA, Payload: []byte{50}}
	same := event
	same.Same = true
	k.Notify(netlinkx.GroupPolicy, event)
	k.Notify(netlinkx.GroupSA, event, same)
	b := make([]byte, 100)
	if n, err := c.Recv(b); n != 20+17 || err != nil {
		t.Errorf("received %d, %v", n, err)
	}
	received := make(chan error, 1)
	recv := func() {
		_, err := c.Recv(b)
		received <- err
	}
	go recv()
	if err := c.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-received; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go recv()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-received; !errors.Is(err, net.ErrClosed) {
		t.Errorf("close: %v", err)
	}
	if err := c.Send(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("send after close: %v", err)
	}
	if k.Open() != 0 {
		t.Error("still open")
	}
}
