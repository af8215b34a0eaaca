package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

const (
	sizeHeader = 16      // of a netlink message
	maxMessage = 1 << 20 // larger lengths are garbage
)

// monitorFile prints the events of a file of netlink messages: header and
// payload, host byte order, each at a multiple of four bytes.
func (e *env) monitorFile(path string, v *eventView) error {
	f, err := os.Open(path)
	if err != nil {
		return &exitError{code: exitArgument, msg: fmt.Sprintf("cannot open %q: %v", path, bareError(err))}
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	bad := 0
	for at := int64(0); e.ctx.Err() == nil; {
		n, size, err := readNotice(r)
		if errors.Is(err, io.EOF) {
			break
		}
		where := fmt.Sprintf("%s: message at byte %d", path, at)
		if at += size; err != nil {
			if size == 0 {
				return &exitError{code: exitCheck, msg: where + ": " + err.Error(), err: err}
			}
			e.report(where, err)
			bad++
			continue
		}
		if err := v.print(n); err != nil {
			return err
		}
	}
	if bad > 0 {
		return &exitError{code: exitCheck}
	}
	return nil
}

// readNotice reads one message and returns its size; io.EOF when there is
// none left. An error with a size is one of that message alone.
func readNotice(r *bufio.Reader) (*netlinkx.Notice, int64, error) {
	var h [sizeHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("header is truncated")
		}
		return nil, 0, err
	}
	length := binary.NativeEndian.Uint32(h[:])
	if length < sizeHeader || length > maxMessage {
		return nil, 0, fmt.Errorf("length %d is not one of a message", length)
	}
	b := make([]byte, length-sizeHeader)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, 0, errors.New("message is truncated")
	}
	pad := int(-length & 3)
	if n, err := r.Discard(pad); err != nil && n > 0 {
		return nil, 0, errors.New("padding is truncated")
	}
	size := int64(length) + int64(pad)
	n := &netlinkx.Notice{
		Type:   netlinkx.MsgType(binary.NativeEndian.Uint16(h[4:])),
		Flags:  binary.NativeEndian.Uint16(h[6:]),
		Seq:    binary.NativeEndian.Uint32(h[8:]),
		PortID: binary.NativeEndian.Uint32(h[12:]),
	}
	ev, err := netlinkx.DecodeEvent(n.Type, n.Flags, b)
	if err != nil {
		return nil, size, err
	}
	n.Event = ev
	return n, size, nil
}
