package sadb

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// sameSA compares SAs but for their times; keys are compared by their bytes.
var sameSA = cmp.Options{
	cmp.Comparer(func(a, b netlinkx.Key) bool { return a.Equal(b) }),
	cmpopts.EquateComparable(netlinkx.Selector{}),
	cmpopts.IgnoreFields(netlinkx.Usage{}, "AddTime"),
	cmp.Comparer(func(a, b netlinkx.SAID) bool { return a == b }),
}

func TestAddGetDelete(t *testing.T) {
	db, heard := newDB(t)
	req := testSA(0x100, func(sa *netlinkx.SA) {
		sa.Mark, sa.OutputMark = netlinkx.Mark{Value: 0x1ff, Mask: 0xff}, netlinkx.Mark{Value: 7}
		sa.ReplayWindow = 64
		sa.ReplayESN = &netlinkx.ReplayESN{BitmapLen: 2}
	})
	must(t, db.AddSA(Cause{PortID: 3, Seq: 4}, req))
	id := req.SA.ID()
	got, err := db.GetSA(&id)
	must(t, err)
	want := *req.SA
	want.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: pfx("0.0.0.0/0"), Dst: pfx("0.0.0.0/0")}
	want.Mark, want.OutputMark = netlinkx.Mark{Value: 0xff, Mask: 0xff}, netlinkx.Mark{Value: 7, Mask: 0xffffffff}
	want.ReplayESN = &netlinkx.ReplayESN{BitmapLen: 2, Bitmap: []uint32{0, 0}}
	opts := append(cmp.Options{cmp.Transformer("addr", func(a interface{ String() string }) string { return a.String() })}, sameSA[0], sameSA[2])
	if d := cmp.Diff(&want, got, opts); d != "" {
		t.Errorf("GETSA (-want +got):\n%s", d)
	}
	refuses(t, db.AddSA(Cause{}, req), syscall.EEXIST, "")
	if n := heard.take(); len(n) != 1 || n[0].Cause != (Cause{3, 4}) || n[0].Event.(*netlinkx.SAEvent).Op != netlinkx.EventNew {
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

func TestOutboundProtects(t *testing.T) {
	db, _ := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(0x100)))
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut)))
	var d Decision
	db.Outbound(packet("10.1.0.1", "10.2.0.1"), 0, &d)
	if d.Verdict != Protect || d.N != 1 || d.SAs[0].SPI() != 0x100 {
		t.Fatalf("got %v %v of %d SAs", d.Verdict, d.Counter, d.N)
	}
	g := d.SAs[0].Reserve(3, 300)
	if g.N != 3 || g.Seq != 1 || g.Drop != CounterNone {
		t.Fatalf("first reservation: %+v", g)
	}
	if h := d.SAs[0].Reserve(1, 100); h.Seq != 4 || h.IV != g.IV+3 {
		t.Errorf("second reservation: %+v after %+v", h, g)
	}
	db.Outbound(packet("10.1.0.1", "10.3.0.1"), 0, &d)
	if d.Verdict != NoPolicy {
		t.Errorf("no policy: %v", d.Verdict)
	}
}
