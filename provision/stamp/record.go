package stamp

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Question is a request that was sent, without its number.
type Question struct {
	Protocol int    `json:"protocol"`
	Message  []byte `json:"message"`
}

// Recorder follows what is asked and answered over the connections of a run,
// with XFRM and Routes as their taps. It is for one goroutine.
type Recorder struct {
	asked   []Question
	sum     hash.Hash // of questions and answers
	forms   map[messageType]form
	scratch []byte
	spoilt  bool // something was asked or answered that cannot be asked again
}

// NewRecorder returns a Recorder that has seen nothing.
func NewRecorder() *Recorder { return &Recorder{sum: sha256.New(), forms: forms()} }

// Begin forgets all: a new reading begins.
func (r *Recorder) Begin() {
	r.asked, r.spoilt = nil, false
	r.sum.Reset()
}

// XFRM is the tap of connections to XFRM.
func (r *Recorder) XFRM(sent bool, b []byte) { r.tap(protocolXFRM, sent, b) }

// Routes is the tap of connections to rtnetlink.
func (r *Recorder) Routes(sent bool, b []byte) { r.tap(protocolRoute, sent, b) }

var (
	_ netlinkx.Tap = (*Recorder)(nil).XFRM
	_ netlinkx.Tap = (*Recorder)(nil).Routes
)

func (r *Recorder) tap(protocol int, sent bool, b []byte) {
	if r.spoilt {
		return
	}
	if sent {
		r.spoilt = !r.question(protocol, bytes.Clone(b))
		return
	}
	r.scratch = append(r.scratch[:0], b...)
	r.spoilt = len(b) == 0
	for rest := r.scratch; len(rest) > 0 && !r.spoilt; {
		var m []byte
		m, rest = cut(rest)
		r.spoilt = m == nil || !r.answer(protocol, m)
	}
	clear(r.scratch) // keys
}

// Offsets in struct nlmsghdr.
const (
	headerType  = 4
	headerFlags = 6
	headerSeq   = 8
	headerSize  = 16
)

// cut cuts the first message off a datagram; nil when there is none.
func cut(b []byte) (m, rest []byte) {
	if len(b) < headerSize {
		return nil, nil
	}
	n := int(binary.NativeEndian.Uint32(b))
	if n < headerSize || n > len(b) {
		return nil, nil
	}
	return b[:n], b[min((n+3)&^3, len(b)):]
}

func typeOf(m []byte) uint16 { return binary.NativeEndian.Uint16(m[headerType:]) }

// anonymous takes the number and the port off a message.
func anonymous(m []byte) { clear(m[headerSeq:headerSize]) }

// question takes up a request, which then belongs to r. It reports whether it
// only asks.
func (r *Recorder) question(protocol int, m []byte) bool {
	if one, rest := cut(m); one == nil || len(rest) > 0 || !asks(protocol, typeOf(m)) {
		return false
	}
	anonymous(m)
	r.asked = append(r.asked, Question{protocol, m})
	r.add(protocol, m)
	return true
}

// asks reports whether a request changes nothing.
func asks(protocol int, typ uint16) bool {
	if protocol == protocolRoute {
		return typ&3 == 2 // RTM_GET…
	}
	return typ == uint16(netlinkx.MsgGetSA) || typ == uint16(netlinkx.MsgGetPolicy)
}

// Types of messages that netlink itself has.
const (
	typeError = 2
	typeDone  = 3
)

// answer takes up a message that answers, which is overwritten. It reports
// whether it can be compared.
func (r *Recorder) answer(protocol int, m []byte) bool {
	anonymous(m)
	switch typ := typeOf(m); typ {
	case typeDone: // with how a list ended
		return len(m) < headerSize+4 || binary.NativeEndian.Uint32(m[headerSize:]) == 0
	case typeError: // what follows the error repeats the request
		m = m[:min(len(m), headerSize+4)]
	default:
		if f, known := r.forms[messageType{protocol, typ}]; known && !f.mask(m[headerSize:]) {
			return false
		}
	}
	r.add(protocol, m)
	return true
}

// add is for questions and answers alike: requests have a flag that no answer
// has, and every message has its length in front.
func (r *Recorder) add(protocol int, m []byte) {
	_, _ = r.sum.Write([]byte{byte(protocol)}) // a hash takes everything
	_, _ = r.sum.Write(m)
}
