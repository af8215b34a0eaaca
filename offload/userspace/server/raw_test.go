package server

import (
	"encoding/hex"
	"syscall"
	"testing"

	nl "github.com/xfrmctl/xfrmctl/netlinkx"
)

// rawClient sends bytes to a server and keeps what comes back.
type rawClient struct{ answers [][]byte }

func (c *rawClient) Send(b []byte) error {
	c.answers = append(c.answers, append([]byte(nil), b...))
	return nil
}

// rawMessage makes a message of a fixed part and attributes.
func rawMessage(t nl.MsgType, flags uint16, fixed []byte, attrs ...attrOf) []byte {
	b := make([]byte, sizeHeader, 512)
	host.PutUint16(b[4:], uint16(t))
	host.PutUint16(b[6:], flags|flagRequest)
	host.PutUint32(b[8:], 9)
	b = append(b, fixed...)
	for len(attrs) > 0 && len(b)%4 != 0 {
		b = append(b, 0)
	}
	for _, a := range attrs {
		b = appendAttr(b, a.typ, a.data)
	}
	host.PutUint32(b, uint32(len(b)))
	return b
}

// verdictOn sends one message and decodes the acknowledgement.
func verdictOn(t *testing.T, s *Server, msg []byte) *nl.Ack {
	t.Helper()
	c := &rawClient{}
	if err := datagram(&client{to: c, portID: 3}, msg, s.xfrm); err != nil {
		t.Fatal(err)
	}
	if len(c.answers) != 1 {
		t.Fatalf("%d answers to %x", len(c.answers), msg)
	}
	m, _, ok := nextMessage(c.answers[0])
	if !ok || m.typ != typeError || m.seq != 9 || m.pid != 3 {
		t.Fatalf("answer %x", c.answers[0])
	}
	if a := parseVerdict(&m); a != nil {
		return a
	}
	return &nl.Ack{}
}

// saFixed is the fixed part of an SA.
func saFixed(change func(b []byte)) []byte {
	b, err := nl.AppendRequest(nil, nl.AddSA(testSA(0x100)), 1, 0)
	if err != nil {
		panic(err)
	}
	b = append([]byte(nil), b[sizeHeader:sizeHeader+nl.SizeSAInfo]...)
	if change != nil {
		change(b)
	}
	return b
}

func aead(keyBits uint32, keyLen int) attrOf {
	b := make([]byte, nl.SizeAlgoTrunc+keyLen)
	copy(b, "rfc4106(gcm(aes))")
	host.PutUint32(b[64:], keyBits)
	host.PutUint32(b[68:], 128)
	return attrOf{uint16(nl.AttrAlgAEAD), b}
}

// rawVerdict is a message and what is said of it.
type rawVerdict struct {
	name   string
	msg    []byte
	errno  syscall.Errno
	text   string
	offset int
}

// rawVerdicts are messages that no command makes.
func rawVerdicts() []rawVerdict {
	sel := make([]byte, nl.SizeSelector)
	host.PutUint16(sel[selFamily:], 2)
	long := append(append([]byte(nil), sel...), make([]byte, 8)...)
	long[selDstLen] = 33
	pol := func(change func(b []byte)) []byte {
		b := append(append([]byte(nil), sel...), make([]byte, nl.SizePolicyInfo-nl.SizeSelector)...)
		change(b)
		return b
	}
	good := aead(160, 20)
	return []rawVerdict{
		{"unknown message", rawMessage(0x40, 0, nil), syscall.EINVAL, "", 0},
		{"report", rawMessage(nl.MsgReport, 0, make([]byte, nl.SizeReport)), syscall.EINVAL, "", 0},
		{"short header", rawMessage(nl.MsgNewSA, 0, make([]byte, 223)), syscall.EINVAL, textHeader, 0},
		{"SA_DIR 3", rawMessage(nl.MsgNewSA, 0, saFixed(nil), good, attrOf{uint16(nl.AttrSADir), []byte{3}}), syscall.ERANGE, textRange, 240 + 96},
		{"SA_DIR of 4 bytes", rawMessage(nl.MsgNewSA, 0, saFixed(nil), attrOf{uint16(nl.AttrSADir), u32(1)}), syscall.EINVAL, textLength, 240},
		{"SA_DIR of a delete", rawMessage(nl.MsgDelSA, 0, make([]byte, nl.SizeSAID), attrOf{uint16(nl.AttrSADir), []byte{1}}), syscall.EINVAL, "Invalid attribute SA_DIR", 0},
		{"SA_PCPU of a get", rawMessage(nl.MsgGetAE, 0, make([]byte, nl.SizeAE), attrOf{uint16(nl.AttrSAPCPU), u32(1)}), syscall.EINVAL, "Invalid attribute SA_PCPU", 0},
		{"short mark", rawMessage(nl.MsgDelSA, 0, make([]byte, nl.SizeSAID), attrOf{uint16(nl.AttrMark), u32(1)}), syscall.ERANGE, textPolicy, 40},
		{"nested number", rawMessage(nl.MsgNewSA, 0, saFixed(nil), attrOf{uint16(nl.AttrNATKeepaliveInterval) | nlaNested, u32(1)}), syscall.EINVAL, textNested, 240},
		{"short key", rawMessage(nl.MsgNewSA, 0, saFixed(nil), aead(160, 19)), syscall.EINVAL, "Invalid AEAD attribute length", 0},
		{"family before the rest", rawMessage(nl.MsgNewSA, 0, saFixed(func(b []byte) { host.PutUint16(b[saFamily:], 3) }), aead(160, 19)), syscall.EINVAL, textFamily, 0},
		{"long prefix", rawMessage(nl.MsgNewSA, 0, saFixed(func(b []byte) { copy(b, long[:nl.SizeSelector]) }), good), syscall.EINVAL, textPrefix4, 0},
		{"share before the selector", rawMessage(nl.MsgNewPolicy, 0, pol(func(b []byte) { b[selDstLen], b[polShare] = 33, 4 })), syscall.EINVAL, textPolicyShare, 0},
		{"action before the selector", rawMessage(nl.MsgNewPolicy, 0, pol(func(b []byte) { b[selDstLen], b[polAction] = 33, 2 })), syscall.EINVAL, textPolicyAction, 0},
		{"long prefix of a policy", rawMessage(nl.MsgNewPolicy, 0, pol(func(b []byte) { b[selDstLen] = 33 })), syscall.EINVAL, textPrefix4, 0},
		{"delete by a long prefix", rawMessage(nl.MsgDelPolicy, 0, long), syscall.ENOENT, "", 0},
		{"threshold", rawMessage(nl.MsgNewSPDInfo, 0, u32(0), attrOf{3, []byte{33, 0}}), syscall.EINVAL, "Invalid hash threshold (must be <= 32 for IPv4)", 0},
		{"short threshold", rawMessage(nl.MsgNewSPDInfo, 0, u32(0), attrOf{3, []byte{1}}), syscall.ERANGE, textPolicy, 20},
		{"attribute of a migration", rawMessage(nl.MsgMigrateState, 0, make([]byte, nl.SizeMigrateState), attrOf{uint16(nl.AttrIfID), u32(1)}), syscall.EINVAL, "Unsupported attribute in XFRM_MSG_MIGRATE_STATE", 148},
		{"aevent without replace", rawMessage(nl.MsgNewAE, 0, make([]byte, nl.SizeAE), attrOf{uint16(nl.AttrReplayThresh), u32(1)}), syscall.EINVAL, "NLM_F_REPLACE flag is required", 0},
		{"aevent of nothing", rawMessage(nl.MsgNewAE, flagReplace, make([]byte, nl.SizeAE)), syscall.EINVAL, "Missing required attribute for AE", 0},
		{"migration of nothing", rawMessage(nl.MsgMigrate, 0, append(sel, make([]byte, 8)...)), syscall.EINVAL, "Missing required MIGRATE attribute", 0},
	}
}

// TestRawVerdicts is what the kernel says of messages that no command makes.
func TestRawVerdicts(t *testing.T) {
	for _, x := range rawVerdicts() {
		s := engine(t)
		got := verdictOn(t, s, x.msg)
		if got.Errno != x.errno || got.Text != x.text || got.Offset != x.offset {
			t.Errorf("%s: %+v, want %v %q at %d", x.name, got, x.errno, x.text, x.offset)
		}
		if n := s.db.SADInfo().Count; n != 0 {
			t.Errorf("%s: refused, but there are %d SAs", x.name, n)
		}
	}
}

// TestRawAccepted is what the kernel takes although it is odd.
func TestRawAccepted(t *testing.T) {
	for _, x := range []struct {
		name string
		msg  []byte
		text string
	}{
		{"unknown attribute", rawMessage(nl.MsgNewSA, flagAck, saFixed(nil), aead(160, 20), attrOf{60, u32(1)}), ""},
		{"bytes behind the key", rawMessage(nl.MsgNewSA, flagAck, saFixed(nil), aead(160, 24)), ""},
		{"the last of two counts", rawMessage(nl.MsgNewSA, flagAck, saFixed(nil), aead(152, 19), aead(160, 20)), ""},
		{"number of 8 bytes", rawMessage(nl.MsgNewSA, flagAck, saFixed(nil), aead(160, 20), attrOf{uint16(nl.AttrIfID), make([]byte, 8)}), ""},
		{"stray bytes", append(rawMessage(nl.MsgFlushPolicy, flagAck, nil), 1, 2), ""},
		{"leftover", rawMessage(nl.MsgGetSADInfo, flagAck, append(u32(7), 1, 2, 3)), textLeftover},
	} {
		s, c := engine(t), &rawClient{}
		if x.name == "leftover" {
			host.PutUint32(x.msg, uint32(len(x.msg)))
		}
		if err := datagram(&client{to: c}, x.msg, s.xfrm); err != nil || len(c.answers) == 0 {
			t.Fatalf("%s: %d answers, %v", x.name, len(c.answers), err)
		}
		m, _, _ := nextMessage(c.answers[len(c.answers)-1])
		if a := parseVerdict(&m); m.typ != typeError || a != nil && (a.Errno != 0 || a.Text != x.text) || a == nil && x.text != "" {
			t.Errorf("%s: %+v", x.name, a)
		}
	}
}

// TestDatagrams: messages of a datagram are answered one after the other, and
// what is malformed ends it in silence.
func TestDatagrams(t *testing.T) {
	s, c := engine(t), &rawClient{}
	flush := rawMessage(nl.MsgFlushSA, flagAck, []byte{0})
	quiet := rawMessage(nl.MsgFlushSA, 0, []byte{0})
	answer := rawMessage(nl.MsgFlushSA, flagAck, []byte{0})
	host.PutUint16(answer[6:], flagAck) // no request
	noop := rawMessage(1, flagAck, nil)
	var b []byte
	for _, m := range [][]byte{flush, quiet, answer, noop, flush} {
		b = append(b, m...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	b = append(b, 15, 0, 0, 0, 1, 2)
	if err := datagram(&client{to: c}, b, s.xfrm); err != nil || len(c.answers) != 4 {
		t.Errorf("%d answers, %v", len(c.answers), err)
	}
}

// TestDumpFilter: filters stand where the kernel reads them.
func TestDumpFilter(t *testing.T) {
	s, c := engine(t), &rawClient{}
	filter := make([]byte, nl.SizeAddrFilter)
	filter[filterDstLen] = 129
	msg := rawMessage(nl.MsgGetSA, flagDump, nil, attrOf{uint16(nl.AttrAddressFilter), filter})
	if err := datagram(&client{to: c}, msg, s.xfrm); err != nil || len(c.answers) != 1 {
		t.Fatalf("%d answers, %v", len(c.answers), err)
	}
	m, _, _ := nextMessage(c.answers[0])
	if a := parseVerdict(&m); m.typ != typeDone || m.flags&flagMulti == 0 || a == nil || a.Errno != syscall.EINVAL {
		t.Errorf("%s: %+v", hex.EncodeToString(m.raw), a)
	}
}
