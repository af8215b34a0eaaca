package sadb

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// sameSA compares SAs but for the time of addition; keys by their bytes.
var sameSA = cmp.Options{
	cmp.Comparer(func(a, b netlinkx.Key) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".AddTime" }, cmp.Ignore()),
}

func TestAddGetDelete(t *testing.T) {
	db, heard := newDB(t)
	req := testSA(0x100, func(sa *netlinkx.SA) {
		sa.Mark, sa.OutputMark = netlinkx.Mark{Value: 0x1ff, Mask: 0xff}, netlinkx.Mark{Value: 7}
		sa.ReplayWindow, sa.ReplayESN = 64, &netlinkx.ReplayESN{BitmapLen: 2}
	})
	must(t, db.AddSA(Cause{PortID: 3, Seq: 4}, req))
	id := req.SA.ID()
	got, err := db.GetSA(&id)
	must(t, err)
	want := *req.SA
	want.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: pfx("0.0.0.0/0"), Dst: pfx("0.0.0.0/0")}
	want.Mark, want.OutputMark = netlinkx.Mark{Value: 0xff, Mask: 0xff}, netlinkx.Mark{Value: 7, Mask: 0xffffffff}
	want.ReplayESN = &netlinkx.ReplayESN{BitmapLen: 2, Bitmap: []uint32{0, 0}}
	if d := cmp.Diff(&want, got, sameSA); d != "" {
		t.Errorf("GETSA (-want +got):\n%s", d)
	}
	refuses(t, db.AddSA(Cause{}, req), syscall.EEXIST, "")
	if n := heard.take(); len(n) != 1 || n[0].Cause != (Cause{PortID: 3, Seq: 4}) || n[0].Event.(*netlinkx.SAEvent).Op != netlinkx.EventNew {
		t.Errorf("events of an addition: %+v", n)
	}
	other := id
	other.Mark = netlinkx.Mark{}
	refuses(t, db.DeleteSA(Cause{}, &other), syscall.ESRCH, "")
	must(t, db.DeleteSA(Cause{Seq: 9}, &id))
	refuses(t, db.DeleteSA(Cause{}, &id), syscall.ESRCH, "")
	if n := heard.take(); len(n) != 1 || n[0].Event.(*netlinkx.SAEvent).Op != netlinkx.EventDelete {
		t.Errorf("events of a deletion: %+v", n)
	}
}

// TestLegacyWindowIsCut: 64 packets without a large state become 32.
func TestLegacyWindowIsCut(t *testing.T) {
	db, _ := newDB(t)
	req := testSA(1, func(sa *netlinkx.SA) { sa.ReplayWindow = 64 })
	req.Attrs = 1 << netlinkx.AttrAlgAEAD
	must(t, db.AddSA(Cause{}, req))
	id := req.SA.ID()
	if sa, err := db.GetSA(&id); err != nil || sa.ReplayWindow != 32 || sa.ReplayESN != nil || sa.Replay == nil {
		t.Errorf("got %+v, %v", sa, err)
	}
}

func marked(v, m uint32) func(*netlinkx.SA) {
	return func(sa *netlinkx.SA) { sa.Mark = netlinkx.Mark{Value: v, Mask: m} }
}

// TestMarksCollideByOrder: an SA collides with those whose mark its own fits.
func TestMarksCollideByOrder(t *testing.T) {
	for _, tt := range []struct {
		name          string
		first, second func(*netlinkx.SA)
		collides      bool
	}{
		{"both without", marked(0, 0), marked(0, 0), true},
		{"without first", marked(0, 0), marked(1, 0xff), true},
		{"marked first", marked(1, 0xff), marked(0, 0), false},
		{"other mark", marked(1, 0xff), marked(2, 0xff), false},
		{"covered", marked(1, 0xf), marked(0x21, 0xff), true},
	} {
		db, _ := newDB(t)
		must(t, db.AddSA(Cause{}, testSA(1, tt.first)))
		if err := db.AddSA(Cause{}, testSA(1, tt.second)); (err != nil) != tt.collides {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestIdentity: another destination is another SA; if_id, source, reqid, mode
// and direction are not.
func TestIdentity(t *testing.T) {
	db, _ := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1)))
	for name, c := range map[string]func(*netlinkx.SA){
		"if_id":  func(sa *netlinkx.SA) { sa.IfID = 5 },
		"source": func(sa *netlinkx.SA) { sa.Src = addr("192.0.2.9") },
		"reqid":  func(sa *netlinkx.SA) { sa.ReqID = 5 },
		"mode":   func(sa *netlinkx.SA) { sa.Mode = netlinkx.ModeTransport },
		"dir":    func(sa *netlinkx.SA) { sa.Dir = netlinkx.DirOut },
	} {
		if err := db.AddSA(Cause{}, testSA(1, c)); err == nil {
			t.Errorf("%s distinguishes", name)
		}
	}
	must(t, db.AddSA(Cause{}, testSA(1, func(sa *netlinkx.SA) { sa.Dst = addr("192.0.2.3") })))
}

// TestUpdateKeepsSockets: those who open sockets hear of an update that matters
// to them, and of no other.
func TestUpdateKeepsSockets(t *testing.T) {
	var heard []bool
	db, _ := newDB(t, func(c *Config) { c.SAChanged = func(_ *SA, added bool) { heard = append(heard, added) } })
	udp := func(port uint16) func(*netlinkx.SA) {
		return func(sa *netlinkx.SA) {
			sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: port, DstPort: 4500}
		}
	}
	must(t, db.AddSA(Cause{}, testSA(1, udp(4500))))
	must(t, db.UpdateSA(Cause{}, testSA(1, udp(4500), func(sa *netlinkx.SA) { sa.Limits.HardPackets = 9 })))
	if len(heard) != 1 {
		t.Errorf("new limits: told %v, want the addition only", heard)
	}
	must(t, db.UpdateSA(Cause{}, testSA(1, udp(4501))))
	if len(heard) != 3 {
		t.Errorf("another port: told %v", heard)
	}
}

func TestUpdateOfAnInstalledSA(t *testing.T) {
	encap := func(port uint16) *netlinkx.Encap {
		return &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: port, DstPort: 4500}
	}
	base := func(sa *netlinkx.SA) { sa.Encap, sa.ReplayWindow, sa.IfID = encap(4500), 32, 3 }
	db, heard := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1, base)))
	must(t, db.UpdateSA(Cause{}, testSA(1, base, func(sa *netlinkx.SA) {
		sa.Limits.HardPackets, sa.Encap, sa.OutputMark, sa.IfID = 9, encap(1234), netlinkx.Mark{Value: 1, Mask: 3}, 4
	})))
	id := testSA(1).SA.ID()
	got, err := db.GetSA(&id)
	must(t, err)
	if got.Limits.HardPackets != 9 || got.Encap.SrcPort != 1234 || got.OutputMark != (netlinkx.Mark{Value: 1, Mask: 3}) || got.IfID != 4 {
		t.Errorf("after the update: %+v", got)
	}
	must(t, db.UpdateSA(Cause{}, testSA(1, base, func(sa *netlinkx.SA) { sa.IfID = 0 })))
	if got, _ = db.GetSA(&id); got.IfID != 4 || got.OutputMark.Value != 1 {
		t.Errorf("zero is no change of if_id and output mark: %+v", got)
	}
	for _, n := range heard.take()[1:] {
		if e := n.Event.(*netlinkx.SAEvent); e.Op != netlinkx.EventUpdate {
			t.Errorf("event %v", e.Op)
		}
	}
	const hint = " of an installed SA: add one with a new SPI, then delete this one"
	for _, tt := range []struct {
		change func(*netlinkx.SA)
		errno  syscall.Errno
		text   string
	}{
		{func(sa *netlinkx.SA) { sa.AEAD.Key = gcmKey(99) }, syscall.EINVAL, "Update can't change the keys or algorithms" + hint},
		{func(sa *netlinkx.SA) { sa.Mode = netlinkx.ModeBEET }, syscall.EINVAL, "Update can't change the mode" + hint},
		{func(sa *netlinkx.SA) { sa.ReqID = 9 }, syscall.EINVAL, "Update can't change the reqid" + hint},
		{func(sa *netlinkx.SA) { sa.ReplayWindow = 16 }, syscall.EINVAL, "Update can't change the replay window" + hint},
		{func(sa *netlinkx.SA) { sa.Replay = &netlinkx.ReplayState{OSeq: 9} }, syscall.EINVAL, "Update can't change the sequence numbers" + hint},
		{func(sa *netlinkx.SA) { sa.Encap = nil }, syscall.EINVAL, ""},
		{func(sa *netlinkx.SA) { sa.Dir = netlinkx.DirIn }, syscall.ESRCH, ""},
		{func(sa *netlinkx.SA) { sa.SPI = 2 }, syscall.ESRCH, ""},
	} {
		refuses(t, db.UpdateSA(Cause{}, testSA(1, base, tt.change)), tt.errno, tt.text)
	}
}

func TestAllocSPIAndCompletion(t *testing.T) {
	db, _ := newDB(t)
	r := &netlinkx.SPIRange{SA: *testSA(0).SA, Min: 0x500, Max: 0x500}
	larval, err := db.AllocSPI(Cause{}, r)
	must(t, err)
	if larval.SPI != 0x500 || larval.Limits.HardAdd != 30 || larval.Selector.Family != 0 || larval.Selector.Dst != pfx("192.0.2.2/32") {
		t.Errorf("larval SA: %+v", larval)
	}
	other := *r
	other.SA.Dst = addr("192.0.2.77")
	_, err = db.AllocSPI(Cause{}, &other)
	refuses(t, err, syscall.ENOENT, "No SPI available in the requested range")
	refuses(t, db.AddSA(Cause{}, testSA(0x500)), syscall.EEXIST, "")
	must(t, db.UpdateSA(Cause{}, testSA(0x500)))
	id := testSA(0x500).SA.ID()
	if sa, err := db.GetSA(&id); err != nil || sa.AEAD == nil || sa.Limits.HardAdd != 0 {
		t.Errorf("completed: %+v, %v", sa, err)
	}
	if n := db.SADInfo().Count; n != 2 { // and the larval one that got no SPI
		t.Errorf("%d SAs", n)
	}
	_, err = db.AllocSPI(Cause{}, &netlinkx.SPIRange{SA: other.SA, Min: 0x100, Max: 0x1ff})
	must(t, err)
	if n := db.SADInfo().Count; n != 2 {
		t.Errorf("%d SAs after the larval one got its SPI", n)
	}
}

// TestAllocSPIFillsARange: every SPI of a range is found.
func TestAllocSPIFillsARange(t *testing.T) {
	db, _ := newDB(t)
	seen := map[netlinkx.SPI]bool{}
	for i := range 300 {
		r := &netlinkx.SPIRange{SA: *testSA(0, func(sa *netlinkx.SA) { sa.ReqID = uint32(i) }).SA, Min: 1000, Max: 1299}
		sa, err := db.AllocSPI(Cause{}, r)
		must(t, err)
		if seen[sa.SPI] || sa.SPI < 1000 || sa.SPI > 1299 {
			t.Fatalf("SPI %v", sa.SPI)
		}
		seen[sa.SPI] = true
	}
}

func TestFlushSAs(t *testing.T) {
	db, heard := newDB(t)
	must(t, db.FlushSAs(Cause{}, 0))
	if n := heard.take(); len(n) != 0 {
		t.Errorf("flush of nothing: %+v", n)
	}
	for i := range 5 {
		must(t, db.AddSA(Cause{}, testSA(netlinkx.SPI(i+1))))
	}
	must(t, db.FlushSAs(Cause{}, netlinkx.ProtoAH))
	if db.SADInfo().Count != 5 {
		t.Error("a flush of AH took ESP SAs")
	}
	heard.take()
	must(t, db.FlushSAs(Cause{}, netlinkx.ProtoIPsecAny))
	n := heard.take()
	if db.SADInfo().Count != 0 || len(n) != 1 || n[0].Event.(*netlinkx.FlushSAEvent).Proto != netlinkx.ProtoIPsecAny {
		t.Errorf("%d SAs left, events %+v", db.SADInfo().Count, n)
	}
}

// TestWalkSAs: newest first, in parts, while SAs come and go.
func TestWalkSAs(t *testing.T) {
	db, _ := newDB(t)
	for i := range 6 {
		must(t, db.AddSA(Cause{}, testSA(netlinkx.SPI(i+1))))
	}
	w := db.WalkSAs(nil)
	var got []netlinkx.SPI
	part := func(n int) bool {
		return w.Next(func(sa *netlinkx.SA) bool {
			if n == 0 {
				return false
			}
			n--
			got = append(got, sa.SPI)
			return true
		})
	}
	if part(2) {
		t.Fatal("over after two")
	}
	for _, spi := range []netlinkx.SPI{5, 4, 2} { // seen, next, later
		id := testSA(spi).SA.ID()
		must(t, db.DeleteSA(Cause{}, &id))
	}
	must(t, db.AddSA(Cause{}, testSA(7)))
	if !part(10) {
		t.Fatal("not over")
	}
	if !part(10) {
		t.Fatal("over, and then not")
	}
	if d := cmp.Diff([]netlinkx.SPI{6, 5, 3, 1}, got); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
	other := db.WalkSAs(&netlinkx.SAFilter{Dst: netip.MustParsePrefix("192.0.3.0/24")})
	other.Next(func(sa *netlinkx.SA) bool { t.Errorf("not of the filter: %v", sa.Dst); return true })
	again := db.WalkSAs(nil)
	again.Next(func(*netlinkx.SA) bool { return false })
	again.Close()
	must(t, db.FlushSAs(Cause{}, 0))
	if !again.Next(func(*netlinkx.SA) bool { return false }) {
		t.Error("a closed walk goes on")
	}
}

func TestExpireSAByRequest(t *testing.T) {
	db, heard := newDB(t)
	refuses(t, db.ExpireSA(Cause{}, &netlinkx.ExpireSA{SA: *testSA(1).SA}), syscall.ENOENT, "")
	must(t, db.AddSA(Cause{}, testSA(1)))
	heard.take()
	must(t, db.ExpireSA(Cause{PortID: 5, Seq: 6}, &netlinkx.ExpireSA{SA: *testSA(1).SA}))
	must(t, db.ExpireSA(Cause{PortID: 5, Seq: 6}, &netlinkx.ExpireSA{SA: *testSA(1).SA, Hard: true}))
	n := heard.take()
	if len(n) != 2 || n[0].Cause != (Cause{PortID: 5}) || n[0].Event.(*netlinkx.ExpireEvent).Hard || !n[1].Event.(*netlinkx.ExpireEvent).Hard {
		t.Errorf("events %+v", n)
	}
	if e := n[0].Event.(*netlinkx.ExpireEvent); e.SA.AEAD != nil {
		t.Error("an expire event holds the key")
	}
	if db.SADInfo().Count != 0 {
		t.Error("the SA is still there")
	}
}

// TestSADInfoGrows: with destinations that follow each other the kernel's
// table has 8 buckets for 9 SAs, 16 for 17, 128 for 70, as a kernel showed.
func TestSADInfoGrows(t *testing.T) {
	db, _ := newDB(t)
	for i := 1; i <= 3; i++ {
		must(t, db.AddSA(Cause{}, testSA(netlinkx.SPI(i), func(sa *netlinkx.SA) { sa.Src, sa.Dst = addr("10.0.0.1"), addr("10.0.0.2") })))
	}
	want := map[int]uint32{7: 8, 8: 8, 9: 8, 16: 16, 17: 16, 33: 32, 70: 128}
	for n, j := 4, 1; n <= 70; n, j = n+1, j+1 {
		must(t, db.AddSA(Cause{}, testSA(netlinkx.SPI(n), func(sa *netlinkx.SA) {
			sa.Src, sa.Dst = addr("10.0.0.1"), netip.AddrFrom4([4]byte{10, 0, 1, byte(j)})
		})))
		if w, ok := want[n]; ok && db.SADInfo().HashCount != w {
			t.Errorf("%d SAs: %d buckets, a kernel has %d", n, db.SADInfo().HashCount, w)
		}
	}
}
