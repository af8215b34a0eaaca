package ifaces

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

var tenNet = netip.MustParsePrefix("10.0.0.1/24")

func TestCreate(t *testing.T) {
	gcm := &netlinkx.SA{Mode: netlinkx.ModeTunnel, AEAD: &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128}}
	tests := []struct {
		name     string
		spec     Spec
		want     Link
		warnings []WarningKind
	}{
		{
			"all", Spec{Name: "x", IfID: maxUint32, Underlay: "eth0", MTU: 1400, Alias: "a", Addresses: []netip.Prefix{tenNet}, Up: true},
			Link{Name: "x", IfID: maxUint32, Underlay: 2, UnderlayName: "eth0", MTU: 1400, Alias: "a", Up: true}, nil,
		},
		{"computed mtu", Spec{Name: "x", IfID: 5, Underlay: "eth0", MTUFor: gcm}, Link{Name: "x", IfID: 5, Underlay: 2, UnderlayName: "eth0", MTU: 1446}, nil},
		{"by ifindex", Spec{Name: "x", IfID: 5, UnderlayIndex: 2, MTUFor: gcm}, Link{Name: "x", IfID: 5, Underlay: 2, UnderlayName: "eth0", MTU: 1446}, nil},
		{"default mtu is told", Spec{Name: "x", IfID: 5}, Link{Name: "x", IfID: 5, MTU: 1500}, []WarningKind{WarnMTU}},
		{"missing underlay is told", Spec{Name: "x", IfID: 5, UnderlayIndex: 99, MTU: 1400}, Link{Name: "x", IfID: 5, Underlay: 99, MTU: 1400}, []WarningKind{WarnNoUnderlay}},
		{"external", Spec{Name: "x", External: true, MTU: 1400}, Link{Name: "x", External: true, MTU: 1400}, []WarningKind{WarnExternal}},
		{"name left to the kernel", Spec{IfID: 5, MTU: 1400}, Link{Name: "xfrm0", IfID: 5, MTU: 1400}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, warnings := newFake(t, underlay()).conn()
			c.transportSAs = func(context.Context) (int, error) { return 2, nil }
			got, err := c.Create(t.Context(), &tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Addresses) != len(tt.spec.Addresses) {
				t.Errorf("addresses %v", got.Addresses)
			}
			tt.want.Index, tt.want.OperState, got.Addresses = got.Index, "down", nil
			if d := cmp.Diff(&tt.want, got); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.warnings, *warnings); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestCreateRefusedBeforehand: nothing is sent that cannot be meant.
func TestCreateRefusedBeforehand(t *testing.T) {
	for name, s := range map[string]Spec{
		"two underlays":           {Name: "x", IfID: 1, Underlay: "eth0", UnderlayIndex: 2},
		"negative ifindex":        {Name: "x", IfID: 1, UnderlayIndex: -1},
		"mtu twice":               {Name: "x", IfID: 1, Underlay: "eth0", MTU: 1400, MTUFor: &netlinkx.SA{}},
		"external with if_id":     {Name: "x", IfID: 1, External: true},
		"external with underlay":  {Name: "x", Underlay: "eth0", External: true},
		"computed without device": {Name: "x", IfID: 1, MTUFor: &netlinkx.SA{}},
	} {
		k := newFake(t, underlay())
		c, _ := k.conn()
		if _, err := c.Create(t.Context(), &s); err == nil || len(k.sent) != 0 {
			t.Errorf("%s: error %v after %d messages", name, err, len(k.sent))
		}
	}
}

func TestCreateUnsupported(t *testing.T) {
	tests := []struct {
		name string
		k    fakeKernel
		hint string
	}{
		{"no xfrm interfaces", fakeKernel{noKind: true}, "CONFIG_XFRM_INTERFACE"},
		{"external refused by an old kernel", fakeKernel{old: "6.0"}, "Linux 6.1"},
		{"external ignored by an older kernel", fakeKernel{old: "5.10"}, "Linux 6.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.k.t = t
			c, _ := tt.k.conn()
			_, err := c.Create(t.Context(), &Spec{Name: "x", External: true})
			var kernel *netlinkx.Error
			if !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &kernel) || !strings.Contains(kernel.Hint, tt.hint) {
				t.Errorf("error %+v", err)
			}
			if len(tt.k.links) != 0 {
				t.Error("the interface that was made is left")
			}
		})
	}
}

// TestCreateUndone: a step that fails leaves nothing.
func TestCreateUndone(t *testing.T) {
	for name, typ := range map[string]uint16{"address": rtmNewAddr, "read back": rtmGetAddr} {
		k := newFake(t, underlay())
		k.refuse = map[uint16]syscall.Errno{typ: syscall.ENOBUFS}
		c, _ := k.conn()
		_, err := c.Create(t.Context(), &Spec{Name: "x", IfID: 1, Addresses: []netip.Prefix{tenNet}})
		if !errors.Is(err, syscall.ENOBUFS) || len(k.links) != 1 {
			t.Errorf("%s: error %v, %d links", name, err, len(k.links))
		}
	}
}

func TestConflict(t *testing.T) {
	ext := &fakeLink{name: "ext", kind: Kind, data: Driver{External: true}}
	moved := xfrm("moved-in", 7)
	moved.context = netlinkx.Some[int32](3)
	k := newFake(t, underlay(), xfrm("x5", 5), xfrm("x6", 6), ext, moved)
	c, _ := k.conn()
	create := func(s Spec) error { _, err := c.Create(t.Context(), &s); return err }
	change := func(name string, id uint32) error {
		_, err := c.Change(t.Context(), name, &Change{IfID: netlinkx.Some(id)})
		return err
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"name", create(Spec{Name: "x5", IfID: 50}), "create interface x5: file exists: the name is held by x5 (ifindex 11)"},
		{"name of another kind", create(Spec{Name: "eth0", IfID: 50}), "create interface eth0: file exists: the name is held by eth0 (ifindex 2)"},
		{"if_id", create(Spec{Name: "y", IfID: 5}), "create interface y: file exists: if_id 0x5 is held by x5 (ifindex 11)"},
		{"external", create(Spec{Name: "y", External: true}), "create interface y: file exists: the place of the only external interface is held by ext (ifindex 13)"},
		{"change", change("x5", 6), "change interface x5: file exists: if_id 0x6 is held by x6 (ifindex 12)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var conflict *ConflictError
			if !errors.As(tt.err, &conflict) || !errors.Is(tt.err, fs.ErrExist) {
				t.Fatalf("error %v", tt.err)
			}
			if conflict.Error() != tt.want || conflict.Err.Hint == "" {
				t.Errorf("got  %s (hint %q)\nwant %s", conflict, conflict.Err.Hint, tt.want)
			}
		})
	}
	if err := create(Spec{Name: "y", IfID: 7}); err != nil {
		t.Errorf("if_id that only a moved-in interface has: %v", err)
	}
	unseen := &ConflictError{Err: &netlinkx.Error{Op: "create interface", Object: "y", Errno: syscall.EEXIST}, Taken: TakenIfID}
	if !strings.Contains(unseen.Error(), "cannot be seen from here") {
		t.Error(unseen)
	}
}

func TestChange(t *testing.T) {
	k := newFake(t, underlay(), xfrm("x", 5))
	k.links[1].mtu = 1300
	c, _ := k.conn()
	gcm := &netlinkx.SA{Mode: netlinkx.ModeTunnel, AEAD: &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128}}
	l, err := c.Change(t.Context(), "x", &Change{IfID: netlinkx.Some[uint32](6), MTUFor: gcm, Up: netlinkx.Some(true), AddAddresses: []netip.Prefix{tenNet}})
	if err != nil {
		t.Fatal(err)
	}
	if l.IfID != 6 || l.Underlay != 2 || l.MTU != 1446 || !l.Up || len(l.Addresses) != 1 {
		t.Errorf("changed to %+v", l)
	}
	k.sent = nil
	if _, err := c.Change(t.Context(), "x", &Change{IfID: netlinkx.Some[uint32](6)}); err != nil {
		t.Error(err)
	}
	for _, typ := range k.sent {
		if typ == rtmNewLink {
			t.Error("an if_id that it has already was sent")
		}
	}
	_, err = c.Change(t.Context(), "eth0", &Change{MTU: netlinkx.Some[uint32](1400)})
	var kind *KindError
	if !errors.As(err, &kind) || err.Error() != "change interface eth0: it is a device of kind veth, not xfrm" {
		t.Errorf("change of a veth: %v", err)
	}
	_, err = c.Change(t.Context(), "x", &Change{DeleteAddresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}})
	if !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("address that it does not have: %v", err)
	}
}

// TestReadBack: success is not believed.
func TestReadBack(t *testing.T) {
	k := newFake(t, underlay(), xfrm("x", 5))
	c, _ := k.conn()
	real := c.exchange
	c.exchange = func(ctx context.Context, m messageType, typ uint16, flags headerFlags) ([]message, error) {
		if typ == rtmNewLink {
			return []message{k.ack()}, nil // and does nothing
		}
		return real(ctx, m, typ, flags)
	}
	_, err := c.Change(t.Context(), "x", &Change{IfID: netlinkx.Some[uint32](6), Up: netlinkx.Some(true), MTU: netlinkx.Some[uint32](1400)})
	want := "change interface x: if_id is 0x5, not 0x6; mtu is 1500, not 1400; up is false, not true"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestAdopt(t *testing.T) {
	c, _ := newFake(t, underlay(), xfrm("x", 5), &fakeLink{name: "ext", kind: Kind, data: Driver{External: true}}).conn()
	tests := []struct {
		spec Spec
		want string // "" adopted
	}{
		{Spec{Name: "x", IfID: 5, Underlay: "eth0"}, ""},
		{Spec{Name: "x", IfID: 5, UnderlayIndex: 2, MTU: 1500}, ""},
		{Spec{Name: "ext", External: true}, ""},
		{Spec{Name: "x", IfID: 6, Underlay: "eth0", MTU: 1400}, "if_id is 0x5, not 0x6; mtu is 1500, not 1400"},
		{Spec{Name: "x", IfID: 5}, "dev is if2, not none"},
		{Spec{Name: "x", External: true}, "external is off, not on; dev is if2, not none"},
		{Spec{Name: "ext", IfID: 5, Underlay: "eth0"}, "external is on, not off; dev is none, not eth0 (if2)"},
		{Spec{Name: "eth0", IfID: 5}, "kind is veth, not xfrm"},
	}
	for _, tt := range tests {
		l, err := c.Adopt(t.Context(), &tt.spec)
		if tt.want == "" {
			if err != nil || l.Name != tt.spec.Name {
				t.Errorf("%+v: %v, %v", tt.spec, l, err)
			}
			continue
		}
		var mismatch *MismatchError
		if !errors.As(err, &mismatch) || err.Error() != "adopt interface "+tt.spec.Name+": "+tt.want {
			t.Errorf("%+v:\ngot  %v\nwant %s", tt.spec, err, tt.want)
		}
	}
	if _, err := c.Adopt(t.Context(), &Spec{Name: "nope", IfID: 1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing to adopt: %v", err)
	}
}

func TestListAndGet(t *testing.T) {
	k := newFake(t, underlay())
	for i := range 100 {
		k.add(xfrm(fmt.Sprintf("x%d", i), uint32(i+1)))
	}
	stale := xfrm("stale", 200)
	stale.data.Link = 9999
	k.add(stale)
	k.interrupt = 2
	c, _ := k.conn()
	links, err := c.List(t.Context())
	if err != nil || len(links) != 101 {
		t.Fatalf("%d links, %v", len(links), err)
	}
	if links[0].Name != "x0" || links[0].UnderlayName != "eth0" || links[100].UnderlayName != "" || links[100].Underlay != 9999 {
		t.Errorf("first %+v, last %+v", *links[0], *links[100])
	}
	l, err := c.GetByIfID(t.Context(), 50)
	if err != nil || l.Name != "x49" {
		t.Errorf("by if_id: %v, %v", l, err)
	}
	for name, get := range map[string]func() (*Link, error){
		"if_id": func() (*Link, error) { return c.GetByIfID(t.Context(), 999) },
		"name":  func() (*Link, error) { return c.Get(t.Context(), "nope") },
		"empty": func() (*Link, error) { return c.Get(t.Context(), "") },
		"index": func() (*Link, error) { return c.GetByIndex(t.Context(), 999) },
	} {
		if _, err := get(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing %s: %v", name, err)
		}
	}
	k.interrupt = math.MaxInt
	links, err = c.List(t.Context())
	if !errors.Is(err, netlinkx.ErrDumpInterrupted) || len(links) != 101 {
		t.Errorf("list that always changes: %d links, %v", len(links), err)
	}
}

func TestDelete(t *testing.T) {
	k := newFake(t, underlay(), xfrm("x", 5))
	c, _ := k.conn()
	var kind *KindError
	if err := c.Delete(t.Context(), "eth0"); !errors.As(err, &kind) || len(k.links) != 2 {
		t.Errorf("delete of a veth: %v", err)
	}
	if err := c.Delete(t.Context(), "x"); err != nil || len(k.links) != 1 {
		t.Errorf("delete: %v", err)
	}
	if err := c.Delete(t.Context(), "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("delete again: %v", err)
	}
}

func TestKernelWarning(t *testing.T) {
	k := newFake(t, underlay())
	k.ackText = "mind the gap"
	c, warnings := k.conn()
	if _, err := c.Create(t.Context(), &Spec{Name: "x", IfID: 1, MTU: 1400}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]WarningKind{WarnKernel}, *warnings); d != "" {
		t.Error(d)
	}
}

func TestContextEnds(t *testing.T) {
	c, _ := newFake(t, underlay()).conn()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.List(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v", err)
	}
	if _, err := c.Create(ctx, &Spec{Name: "x", IfID: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("create: %v", err)
	}
}
