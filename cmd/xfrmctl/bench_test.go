package main

import (
	"context"
	"encoding/binary"
	"io"
	"net/netip"
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

// What an SA of a list costs: reading, matching, printing.
func BenchmarkListSA(b *testing.B) {
	for _, opts := range []string{"", "-j"} {
		b.Run("options="+opts, func(b *testing.B) {
			e := newEnv(context.Background(), strings.NewReader(""), io.Discard, io.Discard)
			e.dial = func(cfg *netlinkx.Config) (*netlinkx.Conn, error) {
				cfg.Dial = func() (netlinkx.Transport, error) { return &longDump{left: b.N}, nil }
				return netlinkx.Dial(cfg)
			}
			b.ReportAllocs()
			if code := e.main(strings.Fields(opts + " state list")); code != 0 {
				b.Fatalf("exit code %d", code)
			}
		})
	}
}

// longDump answers with many SAs, 32 KiB in each datagram.
type longDump struct {
	left int
	one  []byte
	seq  []byte
}

func (d *longDump) Close() error                { return nil }
func (d *longDump) SetDeadline(time.Time) error { return nil }

func (d *longDump) Send(b []byte) error {
	d.seq = append(d.seq, b[8:12]...)
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	sa.SPI, sa.Proto, sa.Mode, sa.ReqID, sa.ReplayWindow = 0x1000, netlinkx.ProtoESP, netlinkx.ModeTunnel, 7, 32
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 128}
	sa.Replay = &netlinkx.ReplayState{}
	m, err := netlinkx.AppendRequest(nil, netlinkx.AddSA(sa), 0, 2)
	copy(m[8:], d.seq)
	d.one = m
	return err
}

func (d *longDump) Recv(b []byte) (int, error) {
	if d.left == 0 {
		end := []byte{20, 0, 0, 0, 3, 0, 2, 0}
		end = append(append(end, d.seq...), make([]byte, 8)...)
		return copy(b, end), nil
	}
	n := 0
	for ; d.left > 0 && n+len(d.one) <= 32<<10; d.left-- {
		n += copy(b[n:], d.one)
	}
	return n, nil
}
