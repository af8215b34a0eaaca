package netlinkx

import (
	"net/netip"
	"testing"
)

func TestAttrAt(t *testing.T) {
	mark := Mark{1, 0xff}
	pol := testPolicy(func(p *Policy) { p.Templates, p.Mark = nil, mark })
	tests := []struct {
		name   string
		req    Request
		flags  uint16
		offset int // of the first attribute
		want   string
	}{
		{"newsa", AddSA(testSA(func(sa *SA) { sa.Encap = &Encap{Type: 2} })), 0, 16 + 224, "ENCAP"},
		{"updsa", UpdateSA(testSA(func(sa *SA) { sa.CareOf = addr4a })), 0, 16 + 224, "COADDR"},
		{"delsa", DeleteSA(said()), 0, 16 + 24, "SRCADDR"},
		{"getsa", GetSA(said()), 0, 16 + 24, "SRCADDR"},
		{"sa dump", Request{typ: MsgGetSA, body: &SAFilter{Proto: ProtoESP}}, flagDump, 16, "PROTO"},
		{"filtered sa dump", Request{typ: MsgGetSA, body: &SAFilter{Src: netip.MustParsePrefix("10.0.0.0/8")}}, flagDump, 16, "ADDRESS_FILTER"},
		{"newpolicy", AddPolicy(pol), 0, 16 + 168, "MARK"},
		{"updpolicy", UpdatePolicy(testPolicy()), 0, 16 + 168, "TMPL"},
		{"delpolicy", DeletePolicy(ptr(pol.ID())), 0, 16 + 64, "MARK"},
		{"getpolicy", GetPolicy(ptr(pol.ID())), 0, 16 + 64, "MARK"},
		{"allocspi", AllocSPI(&SPIRange{SA: *testSA(func(sa *SA) { sa.Mark = mark })}), 0, 16 + 232, "MARK"},
		{"acquire", RequestAcquire(&Acquire{Policy: *pol}), 0, 16 + 280, "MARK"},
		{"expire", Expire(&ExpireSA{SA: *testSA(func(sa *SA) { sa.Mark = mark })}), 0, 16 + 232, "MARK"},
		{"polexpire", ExpirePol(&ExpirePolicy{Policy: *pol}), 0, 16 + 176, "MARK"},
		{"flushpolicy", FlushPolicies(Some(PolicySub)), 0, 16, "POLICY_TYPE"},
		{"newae", SetAE(&AE{ETimerThresh: Some[uint32](1)}), 0, 16 + 48, "ETIMER_THRESH"},
		{"getae", GetAE(&AEID{SA: *said(func(id *SAID) { id.Mark = mark })}), 0, 16 + 48, "MARK"},
		{"migrate", MigratePolicy(&Migrate{Entries: make([]MigrateEntry, 1)}), 0, 16 + 64, "MIGRATE"},
		{"migrate state", MigrateSA(&MigrateState{NATKeepalive: Some[uint32](1)}), 0, 16 + 132, "NAT_KEEPALIVE_INTERVAL"},
		{"newspdinfo", SetSPDInfo(&SPDInfo{IPv6: Some(HashThreshold{})}), 0, 16 + 4, "SPD_IPV6_HTHRESH"},
		{"newsadinfo", Request{typ: MsgNewSADInfo, body: &SADInfo{}}, 0, 16 + 4, "SAD_CNT"},
		{"report", Request{typ: MsgReport, body: &Report{CareOf: addr6a}}, 0, 16 + 60, "COADDR"},
		{"no attributes: flushsa", FlushSAs(ProtoESP), 0, 16 + 4, ""},
		{"no attributes: defaults", SetDefaults(&Defaults{}), 0, 16 + 4, ""},
		{"no attributes: getsadinfo", GetSADInfo(), 0, 16 + 4, ""},
		{"no attributes: mapping", Request{typ: MsgMapping, body: &Mapping{}}, 0, 16 + 64, ""},
		{"unknown message", Request{typ: 0x7f, body: &Defaults{}}, 0, 16, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			msg, err := AppendRequest(nil, tt.req, 1, tt.flags)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range []int{0, 2, 3, 4} { // on the header and inside
				if got := attrAt(msg, tt.offset+d); got != tt.want {
					t.Errorf("offset %d: %q, want %q", tt.offset+d, got, tt.want)
				}
			}
			for _, offset := range []int{-1, 0, 8, 15, tt.offset - 1, len(msg), len(msg) + 1000} {
				if got := attrAt(msg, offset); got != "" {
					t.Errorf("offset %d of %d: %q", offset, len(msg), got)
				}
			}
			if got := attrAt(append(msg, msg...), len(msg)+4); got != "" {
				t.Errorf("offset behind the message: %q", got)
			}
		})
	}
}

// TestAttrAtWalk names each attribute of a long message by each of its bytes.
func TestAttrAtWalk(t *testing.T) {
	sa := testSA(func(sa *SA) {
		sa.Encap, sa.Mark, sa.IfID, sa.Dir = &Encap{Type: 2}, Mark{1, 1}, 5, DirOut
		sa.OutputMark, sa.IPTFS.DontFrag = Mark{1, 1}, true
		sa.SecCtx = &SecCtx{Context: "x"}
	})
	msg, err := AppendRequest(nil, AddSA(sa), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for p := msg[sizeHeader+SizeSAInfo:]; len(p) > 0; {
		n := align4(int(host.Uint16(p)))
		want := AttrType(host.Uint16(p[2:])).String()
		for i := range n {
			if got := attrAt(msg, len(msg)-len(p)+i); got != want {
				t.Errorf("byte %d of %s: %q", i, want, got)
			}
		}
		names[want] = true
		p = p[n:]
	}
	for _, n := range []string{"ENCAP", "SEC_CTX", "ALG_AEAD", "MARK", "IF_ID", "SET_MARK", "SET_MARK_MASK", "SA_DIR", "IPTFS_DONT_FRAG"} {
		if !names[n] {
			t.Errorf("%s is not in the message", n)
		}
	}
}

// FuzzAttrAt: an offset comes from the kernel and may be anything.
func FuzzAttrAt(f *testing.F) {
	msg, err := AppendRequest(nil, AddSA(testSA()), 1, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(msg, 240)
	f.Add(msg[:17], 16)
	f.Fuzz(func(t *testing.T, msg []byte, offset int) {
		name := attrAt(msg, offset)
		if name != "" && (offset < sizeHeader || offset >= len(msg)) {
			t.Errorf("%q at offset %d of %d bytes", name, offset, len(msg))
		}
	})
}
