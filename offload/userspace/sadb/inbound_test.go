package sadb

import (
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

func TestCheckInbound(t *testing.T) {
	tunnel := func(*netlinkx.SA) {}
	transport := func(s *netlinkx.SA) { s.Mode = netlinkx.ModeTransport }
	in := func(c ...policyChange) *netlinkx.Policy { return testPolicy(netlinkx.PolicyIn, c...) }
	tmpl := func(c func(*netlinkx.Template)) policyChange {
		return func(p *netlinkx.Policy) { c(&p.Templates[0]) }
	}
	for _, tt := range []struct {
		name     string
		path     []saChange
		policies []*netlinkx.Policy
		want     xfrmstat.Counter
	}{
		{"good", []saChange{tunnel}, []*netlinkx.Policy{in()}, xfrmstat.None},
		{"no policy", []saChange{tunnel}, nil, xfrmstat.InNoPols},
		{"no policy, transport", []saChange{transport}, nil, xfrmstat.None},
		{"not protected", nil, []*netlinkx.Policy{in()}, xfrmstat.InTmplMismatch},
		{"not protected, no policy", nil, nil, xfrmstat.None},
		{"block", []saChange{tunnel}, []*netlinkx.Policy{in(func(p *netlinkx.Policy) { p.Action = netlinkx.ActionBlock })}, xfrmstat.InPolBlock},
		{"six templates", []saChange{tunnel}, []*netlinkx.Policy{in(func(p *netlinkx.Policy) {
			t := p.Templates[0]
			p.Templates = []netlinkx.Template{t, t, t, t, t, t}
		})}, xfrmstat.InBufferError},
		{"other source of the tunnel", []saChange{func(s *netlinkx.SA) { s.Src = addr("192.0.2.8") }}, []*netlinkx.Policy{in()}, xfrmstat.InTmplMismatch},
		{"other reqid", []saChange{func(s *netlinkx.SA) { s.ReqID = 1 }}, []*netlinkx.Policy{in(tmpl(func(t *netlinkx.Template) { t.ReqID = 2 }))}, xfrmstat.InTmplMismatch},
		{"template without reqid", []saChange{func(s *netlinkx.SA) { s.ReqID = 1 }}, []*netlinkx.Policy{in()}, xfrmstat.None},
		{"other SPI", []saChange{tunnel}, []*netlinkx.Policy{in(tmpl(func(t *netlinkx.Template) { t.SPI = 9 }))}, xfrmstat.InTmplMismatch},
		{"algorithm not allowed", []saChange{tunnel}, []*netlinkx.Policy{in(tmpl(func(t *netlinkx.Template) { t.AAlgos = 1 << 5 }))}, xfrmstat.InTmplMismatch},
		{"algorithm allowed", []saChange{tunnel}, []*netlinkx.Policy{in(tmpl(func(t *netlinkx.Template) { t.AAlgos = 1 }))}, xfrmstat.None},
		{"spoofed inner address", []saChange{func(s *netlinkx.SA) { s.Selector.Src = pfx("10.9.0.0/16") }}, []*netlinkx.Policy{in()}, xfrmstat.InStateMismatch},
		{"a tunnel too many", []saChange{tunnel, tunnel}, []*netlinkx.Policy{in()}, xfrmstat.InTmplMismatch},
		{"transport below the tunnel", []saChange{transport, tunnel}, []*netlinkx.Policy{in()}, xfrmstat.None},
		{"optional, unprotected", nil, []*netlinkx.Policy{in(tmpl(func(t *netlinkx.Template) { t.Optional = true }))}, xfrmstat.None},
		{"optional, protected", []saChange{tunnel}, []*netlinkx.Policy{in(tmpl(func(t *netlinkx.Template) { t.Optional = true }))}, xfrmstat.None},
		{"forwarded", []saChange{tunnel}, []*netlinkx.Policy{testPolicy(netlinkx.PolicyFwd)}, xfrmstat.None},
		{"in blocks, fwd allows", []saChange{tunnel}, []*netlinkx.Policy{in(func(p *netlinkx.Policy) { p.Action = netlinkx.ActionBlock }), testPolicy(netlinkx.PolicyFwd)}, xfrmstat.None},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db, _ := newDB(t, deaf)
			if tt.path == nil { // no second chance in direction fwd
				must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyFwd, func(p *netlinkx.Policy) {
					if tt.want == xfrmstat.None {
						p.Templates = nil
					}
				})))
			}
			var path []*SA
			for i, c := range tt.path {
				must(t, db.AddSA(Cause{}, testSA(netlinkx.SPI(i+1), c)))
				path = append(path, theSA(db))
			}
			for _, p := range tt.policies {
				must(t, db.AddPolicy(Cause{}, p))
			}
			if got := db.CheckInbound(packet("10.1.0.1", "10.2.0.1"), path); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestInboundIfID: on an interface its policies count, and SAs of another
// interface are not let in; elsewhere an SA's if_id does not matter.
func TestInboundIfID(t *testing.T) {
	db, _ := newDB(t, deaf)
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) { s.IfID = 7 })))
	path := []*SA{theSA(db)}
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyIn)))
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyIn, func(p *netlinkx.Policy) { p.IfID = 7 })))
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyIn, func(p *netlinkx.Policy) { p.IfID = 8 })))
	f := packet("10.1.0.1", "10.2.0.1")
	for ifID, want := range map[uint32]xfrmstat.Counter{0: xfrmstat.None, 7: xfrmstat.None, 8: xfrmstat.InTmplMismatch, 9: xfrmstat.InNoPols} {
		f.IfID = ifID
		if got := db.CheckInbound(f, path); got != want {
			t.Errorf("if_id %d: got %q, want %q", ifID, got, want)
		}
	}
}

func TestICMPErrors(t *testing.T) {
	db, _ := newDB(t, deaf)
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) { s.Flags = netlinkx.FlagICMP })))
	must(t, db.AddSA(Cause{}, testSA(2)))
	with, without := inboundSA(db, 1), inboundSA(db, 2)
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyIn)))
	quoted := packet("10.2.0.1", "10.1.0.1", func(f *flow.Flow) { f.SrcPort, f.DstPort = 5, 6 })
	if !db.ICMPError(quoted, []*SA{with}) {
		t.Error("an error about our own packet is refused")
	}
	if db.ICMPError(quoted, []*SA{without}) || db.ICMPError(quoted, nil) {
		t.Error("an error is let in without the flag")
	}
	if db.ICMPError(packet("10.7.0.1", "10.1.0.1"), []*SA{with}) {
		t.Error("an error about a packet of no policy is let in")
	}
}

func TestReceivable(t *testing.T) {
	db, _ := newDB(t)
	udp := func(s *netlinkx.SA) { s.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP} }
	must(t, db.AddSA(Cause{}, testSA(1)))
	must(t, db.AddSA(Cause{}, testSA(2, udp)))
	must(t, db.AddSA(Cause{}, testSA(3, func(s *netlinkx.SA) { s.Dir = netlinkx.DirOut })))
	_, err := db.AllocSPI(Cause{}, &netlinkx.SPIRange{SA: *testSA(0).SA, Min: 4, Max: 4})
	must(t, err)
	dst := [16]byte(xaddr.Of(addr("192.0.2.2")))
	find := func(spi netlinkx.SPI) *SA { return db.Inbound(&dst, netlinkx.FamilyIPv4, spi, 0) }
	for _, tt := range []struct {
		spi   netlinkx.SPI
		encap netlinkx.EncapType
		want  xfrmstat.Counter
	}{
		{1, 0, xfrmstat.None}, {1, netlinkx.EncapESPinUDP, xfrmstat.InStateMismatch}, {2, netlinkx.EncapESPinUDP, xfrmstat.None},
		{2, 0, xfrmstat.InStateMismatch}, {3, 0, xfrmstat.InStateDirError}, {4, 0, xfrmstat.AcquireError},
	} {
		if got := find(tt.spi).Receivable(tt.encap); got != tt.want {
			t.Errorf("SA %d, encapsulation %d: got %q, want %q", tt.spi, tt.encap, got, tt.want)
		}
	}
	gone := find(1)
	must(t, db.FlushSAs(Cause{}, 0))
	if got := gone.Receivable(0); got != xfrmstat.InStateInvalid {
		t.Errorf("deleted: %q", got)
	}
	if find(1) != nil || db.Inbound(&dst, netlinkx.FamilyIPv6, 1, 0) != nil {
		t.Error("found after the flush")
	}
}

// TestInboundByMark: of twins the one whose mark fits is found, the newer
// first.
func TestInboundByMark(t *testing.T) {
	db, _ := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1, marked(1, 0xff))))
	must(t, db.AddSA(Cause{}, testSA(1, marked(2, 0xff))))
	must(t, db.AddSA(Cause{}, testSA(1, marked(0, 0))))
	dst := [16]byte(xaddr.Of(addr("192.0.2.2")))
	for mark, want := range map[uint32]uint32{0: 0, 3: 0, 0x102: 0} {
		if sa := db.Inbound(&dst, netlinkx.FamilyIPv4, 1, mark); sa == nil || sa.Conf().Mark.Mask != want {
			t.Errorf("mark %#x: got %+v", mark, sa)
		}
	}
	id := testSA(1).SA.ID()
	must(t, db.DeleteSA(Cause{}, &id))
	if sa := db.Inbound(&dst, netlinkx.FamilyIPv4, 1, 0x102); sa == nil || sa.Conf().Mark.Value != 2 {
		t.Errorf("mark 0x102: got %+v", sa)
	}
	if sa := db.Inbound(&dst, netlinkx.FamilyIPv4, 1, 3); sa != nil {
		t.Error("mark 3: found one")
	}
}
