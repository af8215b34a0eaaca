package server

import (
	"bytes"
	"testing"

	nl "github.com/xfrmctl/xfrmctl/netlinkx"
)

// tables is all that a server tells about its state.
func tables(t *testing.T, s *Server) []byte {
	t.Helper()
	c := &rawClient{}
	for _, msg := range [][]byte{
		rawMessage(nl.MsgGetSA, flagDump, nil), rawMessage(nl.MsgGetPolicy, flagDump, nil),
		rawMessage(nl.MsgGetSADInfo, 0, u32(0)), rawMessage(nl.MsgGetSPDInfo, 0, u32(0)), rawMessage(nl.MsgGetDefault, 0, make([]byte, 3)),
	} {
		if err := datagram(&client{to: c}, msg, s.xfrm); err != nil {
			t.Fatal(err)
		}
	}
	return bytes.Join(c.answers, nil)
}

// checkAnswers checks that answers are whole messages to this client about
// this request, and returns the verdict's errno.
func checkAnswers(t *testing.T, m *message, answers [][]byte) (errno int32) {
	t.Helper()
	for _, b := range answers {
		for len(b) > 0 {
			a, rest, ok := nextMessage(b)
			if !ok {
				t.Fatalf("malformed answer %x to %x", b, m.raw)
			}
			if a.seq != m.seq || a.pid != 3 || len(a.raw)%4 != 0 {
				t.Fatalf("answer %x to %x", a.raw, m.raw)
			}
			b = rest
			if a.typ != typeError && a.typ != typeDone {
				continue
			}
			errno = int32(host.Uint32(a.payload()))
			if errno > 0 || errno < -4095 {
				t.Fatalf("errno %d in %x", errno, a.raw)
			}
			parseVerdict(&a)
		}
	}
	return errno
}

// FuzzServer: whatever comes is answered in whole messages, and what is
// refused changes nothing.
func FuzzServer(f *testing.F) {
	sa, pol := testSA(0x100), testPolicy(1)
	for _, r := range []nl.Request{
		nl.AddSA(testSA(0x101)), nl.UpdateSA(sa), nl.DeleteSA(&nl.SAID{Dst: sa.Dst, SPI: sa.SPI, Proto: sa.Proto}),
		nl.AllocSPI(&nl.SPIRange{SA: *sa, Min: 1, Max: 9}), nl.AddPolicy(testPolicy(2)), nl.UpdatePolicy(pol),
		nl.FlushSAs(0), nl.FlushPolicies(nl.Opt[nl.PolicyType]{}), nl.GetSADInfo(), nl.GetSPDInfo(), nl.GetDefaults(),
		nl.SetAE(&nl.AE{ID: nl.AEID{SA: sa.ID()}, ReplayThresh: nl.Some[uint32](1)}), nl.Expire(&nl.ExpireSA{SA: *sa}),
		nl.ExpirePol(&nl.ExpirePolicy{Policy: *pol}), nl.RequestAcquire(&nl.Acquire{SA: sa.ID(), Policy: *pol}),
		nl.MigratePolicy(&nl.Migrate{Policy: pol.ID(), Entries: []nl.MigrateEntry{{OldDst: sa.Dst, OldSrc: sa.Src, NewDst: sa.Src, NewSrc: sa.Dst, Proto: sa.Proto}}}),
		nl.MigrateSA(&nl.MigrateState{SA: sa.ID(), NewDst: sa.Src, NewSrc: sa.Dst}), nl.SetSPDInfo(&nl.SPDInfo{IPv4: nl.Some(nl.HashThreshold{})}),
	} {
		b, err := nl.AppendRequest(nil, r, 9, flagAck)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(rawMessage(nl.MsgGetSA, flagDump, nil, attrOf{uint16(nl.AttrProto), []byte{50}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := engine(t)
		for _, r := range []nl.Request{nl.AddSA(sa), nl.AddPolicy(pol)} {
			msg, err := nl.AppendRequest(nil, r, 9, flagAck)
			if err != nil {
				t.Fatal(err)
			}
			if a := verdictOn(t, s, msg); a.Errno != 0 {
				t.Fatalf("%+v", a)
			}
		}
		for m, rest, ok := nextMessage(b); ok; m, rest, ok = nextMessage(rest) {
			before := tables(t, s)
			c := &rawClient{}
			if err := datagram(&client{to: c, portID: 3}, m.raw, s.xfrm); err != nil {
				t.Fatalf("%v after %x", err, m.raw)
			}
			if checkAnswers(t, &m, c.answers) != 0 && !bytes.Equal(before, tables(t, s)) {
				t.Fatalf("refused, and changed something: %x", m.raw)
			}
		}
	})
}

// FuzzLinks: link messages of any form are answered or refused.
func FuzzLinks(f *testing.F) {
	for _, attrs := range [][]attrOf{
		{named("ipsec0"), info("xfrm", id(5), attrOf{xfrmLink, u32(2)})}, {named("a%d"), {iflaMTU, u32(1400)}, info("xfrm", attrOf{xfrmMetadata, nil})},
		{{iflaAltIfname, []byte("x\x00")}}, {{iflaNetNSFD, u32(0)}},
	} {
		for _, typ := range []uint16{rtmNewLink, rtmDelLink, rtmGetLink} {
			b := rawMessage(nl.MsgType(typ), newFlags|flagAck, make([]byte, sizeIfInfo), attrs...)
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newLinkClient(t)
		for m, rest, ok := nextMessage(b); ok; m, rest, ok = nextMessage(rest) {
			out := &rawClient{}
			if err := c.links.datagram(c.view, &client{to: out, portID: 3}, m.raw, nil); err != nil {
				t.Fatal(err)
			}
			checkAnswers(t, &m, out.answers)
		}
	})
}
