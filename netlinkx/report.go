package netlinkx

import (
	"fmt"
	"syscall"
)

// Header is what a report's netlink header holds besides length and type. Of
// answers PortID is the receiver's and Seq the request's; of events they are
// those of the request that caused the event.
type Header struct {
	Flags  uint16
	Seq    uint32
	PortID uint32
}

// Ack is the verdict on a request (NLMSG_ERROR, and the end of a dump). With
// Errno 0 a Text is a warning, and Attr and Missing are not sent.
type Ack struct {
	Errno   syscall.Errno
	Text    string
	Offset  int           // of the attribute at fault, from the request's netlink header on; 0 none
	Missing Opt[AttrType] // attribute that is missing
}

// AppendAck appends the acknowledgement of a request, of which msg is the
// whole message. A refusal repeats it behind the errno unless capped
// (NETLINK_CAP_ACK). Extended attributes follow if there are any.
func AppendAck(b []byte, h Header, a *Ack, msg []byte, capped bool) ([]byte, error) {
	if len(msg) < sizeHeader {
		return b, fmt.Errorf("acknowledgement of a message of %d bytes", len(msg))
	}
	if a.Errno == 0 || capped {
		h.Flags |= flagCapped
		msg = msg[:sizeHeader]
	}
	return appendReport(b, MsgType(nlmsgError), h, ackBody{a, msg})
}

// AppendDone appends the end of a dump.
func AppendDone(b []byte, h Header, a *Ack) ([]byte, error) {
	h.Flags |= flagMulti
	return appendReport(b, MsgType(nlmsgDone), h, ackBody{a, nil})
}

// ackBody is an errno, the request in so far as it is repeated, and the
// extended attributes in the kernel's order (netlink_ack_tlv_fill).
type ackBody struct {
	*Ack
	msg []byte
}

// String names the message.
func (a ackBody) String() string { return "acknowledgement" }

func (a ackBody) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, 4+len(a.msg))
	host.PutUint32(p, uint32(-int32(a.Errno)))
	copy(p[4:], a.msg)
	if a.Text != "" {
		if len(a.Text) > 0xffff-sizeAttr-1 {
			return b, fmt.Errorf("text of %d bytes", len(a.Text))
		}
		b, p = attr(b, ackMsg, len(a.Text)+1)
		copy(p, a.Text)
	}
	if a.Errno == 0 {
		return b, nil
	}
	if a.Offset != 0 {
		b = attrU32(b, ackOffset, uint32(a.Offset))
	}
	if a.Missing.Valid {
		b = attrU32(b, ackMissType, uint32(a.Missing.V))
	}
	return b, nil
}

// tlvs reports whether extended attributes follow.
func (a ackBody) tlvs() bool {
	return a.Text != "" || a.Errno != 0 && (a.Offset != 0 || a.Missing.Valid)
}

// AppendSA appends an SA as the kernel reports it (NEWSA): in answers and
// dumps. Unlike a request, a report says everything: it always holds a replay
// state, and the whole bitmap of a large one.
func AppendSA(b []byte, h Header, sa *SA) ([]byte, error) {
	return appendReport(b, MsgNewSA, h, saReport{sa})
}

// AppendPolicy appends a policy as the kernel reports it (NEWPOLICY) in
// answers and dumps.
func AppendPolicy(b []byte, h Header, p *Policy) ([]byte, error) {
	return appendReport(b, MsgNewPolicy, h, policyReport{p, true})
}

// AppendSADInfo appends the answer to a GETSADINFO; flags are those of the
// request's fixed part, which the kernel repeats.
func AppendSADInfo(b []byte, h Header, flags uint32, i *SADInfo) ([]byte, error) {
	return appendReport(b, MsgNewSADInfo, h, infoReport{i, flags})
}

// AppendSPDInfo appends the answer to a GETSPDINFO. See AppendSADInfo.
func AppendSPDInfo(b []byte, h Header, flags uint32, i *SPDInfo) ([]byte, error) {
	return appendReport(b, MsgNewSPDInfo, h, infoReport{spdReport{i}, flags})
}

// AppendEvent appends a multicast message: DecodeEvent's way back. It fails
// for the kinds of events that no engine sends.
func AppendEvent(b []byte, h Header, e Event) ([]byte, error) {
	t, body := eventBody(e)
	if body == nil {
		return b, fmt.Errorf("%T is no message", e)
	}
	return appendReport(b, t, h, body)
}

// eventBody returns the message type and body of an event.
func eventBody(e Event) (MsgType, body) {
	switch e := e.(type) {
	case *SAEvent:
		switch e.Op {
		case EventUpdate:
			return MsgUpdSA, saReport{&e.SA}
		case EventDelete:
			return MsgDelSA, deletedSA{&e.SA}
		}
		return MsgNewSA, saReport{&e.SA}
	case *ExpireEvent:
		return MsgExpire, expireReport{e}
	case *FlushSAEvent:
		return MsgFlushSA, flushSA(e.Proto)
	case *PolicyEvent:
		switch e.Op {
		case EventUpdate:
			return MsgUpdPolicy, policyReport{&e.Policy, false}
		case EventDelete:
			return MsgDelPolicy, deletedPolicy{e}
		}
		return MsgNewPolicy, policyReport{&e.Policy, false}
	case *PolicyExpireEvent:
		return MsgPolExpire, policyExpireReport{e}
	case *FlushPolicyEvent:
		return MsgFlushPolicy, flushPolicy(e.Type)
	}
	return otherEventBody(e)
}

func otherEventBody(e Event) (MsgType, body) {
	switch e := e.(type) {
	case *AcquireEvent:
		return MsgAcquire, acquireReport{&e.Acquire}
	case *AEvent:
		return MsgNewAE, aeReport{&e.AE}
	case *MappingEvent:
		return MsgMapping, &e.Mapping
	case *ReportEvent:
		return MsgReport, &e.Report
	case *MigrateEvent:
		return MsgMigrate, migrateReport{&e.Migrate}
	case *MigrateStateEvent:
		return MsgMigrateState, migrateStateReport{&e.Migrate}
	case *DefaultsEvent:
		return MsgGetDefault, &e.Defaults
	}
	return 0, nil
}

// appendReport appends one message at the next multiple of 4. The kernel counts
// the padding at its end (nlmsg_end).
func appendReport(b []byte, t MsgType, h Header, body body) ([]byte, error) {
	if a, ok := body.(ackBody); ok && a.tlvs() {
		h.Flags |= flagAckTLVs
	}
	start := align4(len(b))
	out, err := appendMessage(b, t, h.Flags, h.Seq, body)
	if err != nil {
		return b, err
	}
	out, _ = grow(out, align4(len(out))-len(out))
	host.PutUint32(out[start:], uint32(len(out)-start))
	host.PutUint32(out[start+12:], h.PortID)
	return out, nil
}
