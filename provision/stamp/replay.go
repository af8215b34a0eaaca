package stamp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// errOther is that an answer is not one that can be compared.
var errOther = errors.New("the answer is of another kind than before")

// Ask asks the kernel of a namespace questions again. The Recorder then is as one
// that has followed the first asking, if the answers are the same.
func (r *Recorder) Ask(ctx context.Context, ns netlinkx.NetNS, questions []Question) error {
	open := map[int]netlinkx.Transport{}
	defer func() {
		for _, t := range open {
			_ = t.Close() // nothing is under way
		}
	}()
	r.Begin()
	buf := make([]byte, 64<<10)
	defer func() { clear(buf) }() // keys
	for i := range questions {
		q := &questions[i]
		t := open[q.Protocol]
		if t == nil {
			var err error
			if t, err = dial(q.Protocol, ns); err != nil {
				return err
			}
			open[q.Protocol] = t
		}
		stop := context.AfterFunc(ctx, func() { _ = t.SetDeadline(time.Unix(1, 0)) })
		err := r.ask(t, q, uint32(i+1), buf)
		stop()
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func dial(protocol int, ns netlinkx.NetNS) (netlinkx.Transport, error) {
	if protocol == protocolXFRM {
		return netlinkx.DialTransport(&netlinkx.Config{NetNS: ns})
	}
	return rtnl.Dial(ns)
}

// ask asks one question and takes up the answer.
func (r *Recorder) ask(t netlinkx.Transport, q *Question, seq uint32, buf []byte) error {
	if !r.question(q.Protocol, bytes.Clone(q.Message)) {
		return errOther
	}
	out := bytes.Clone(q.Message)
	binary.NativeEndian.PutUint32(out[headerSeq:], seq)
	if err := t.Send(out); err != nil {
		return err
	}
	const dump = 0x300 // NLM_F_DUMP
	single := binary.NativeEndian.Uint16(out[headerFlags:])&dump == 0
	for {
		n, err := t.Recv(buf)
		if err != nil {
			return err
		}
		for m, rest := cut(buf[:n]); m != nil; m, rest = cut(rest) {
			if binary.NativeEndian.Uint32(m[headerSeq:]) != seq {
				continue // late, of nobody
			}
			if !r.answer(q.Protocol, m) {
				return errOther
			}
			if typ := typeOf(m); single || typ == typeDone || typ == typeError {
				return nil
			}
		}
	}
}
