package main

import (
	"context"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// What one line of a batch costs before the kernel sees it: splitting, parsing,
// encoding, and this side of the netlink exchange.
func BenchmarkBatchLine(b *testing.B) {
	line := "xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x1000 reqid 7 mode tunnel replay-window 32 aead 'rfc4106(gcm(aes))' 0x000102030405060708090a0b0c0d0e0f10111213 128\n"
	e := newEnv(context.Background(), &repeated{line: line, left: b.N}, io.Discard, io.Discard)
	e.dial = func(cfg *netlinkx.Config) (*netlinkx.Conn, error) {
		cfg.Dial = func() (netlinkx.Transport, error) { return &ackLast{}, nil }
		return netlinkx.Dial(cfg)
	}
	b.ReportAllocs()
	if code := e.main([]string{"-b", "-"}); code != 0 {
		b.Fatalf("exit code %d", code)
	}
}

// repeated is a file of the same line over and over.
type repeated struct {
	line string
	left int
	rest string
}

func (r *repeated) Read(b []byte) (int, error) {
	if r.rest == "" {
		if r.left == 0 {
			return 0, io.EOF
		}
		n := min(r.left, 500)
		r.left -= n
		r.rest = strings.Repeat(r.line, n)
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// ackLast is a kernel that acknowledges the last message of each datagram.
type ackLast struct{ ack []byte }

func (a *ackLast) Close() error                { return nil }
func (a *ackLast) SetDeadline(time.Time) error { return nil }

func (a *ackLast) Send(b []byte) error {
	last := b
	for n := binary.NativeEndian.Uint32(b); int(n+3)&^3 < len(last); n = binary.NativeEndian.Uint32(last) {
		last = last[int(n+3)&^3:]
	}
	a.ack = binary.NativeEndian.AppendUint32(a.ack[:0], 36)
	a.ack = append(a.ack, 2, 0, 0, 1) // NLMSG_ERROR, NLM_F_CAPPED
	a.ack = append(a.ack, last[8:12]...)
	a.ack = append(a.ack, make([]byte, 8)...)
	a.ack = append(a.ack, last[:16]...)
	return nil
}

func (a *ackLast) Recv(b []byte) (int, error) { return copy(b, a.ack), nil }
