package ifaces_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

func TestChange(t *testing.T) {
	p := newPlace(t)
	p.must(t, ifaces.Spec{Name: "x0", IfID: 5, Underlay: "u0", Addresses: prefixes("10.9.0.1/24")})
	l, err := p.Change(background(t), "x0", &ifaces.Change{
		IfID: netlinkx.Some[uint32](6), MTU: netlinkx.Some[uint32](1280), Up: netlinkx.Some(true), Alias: netlinkx.Some("a"),
		AddAddresses: prefixes("10.9.1.1/24"), DeleteAddresses: prefixes("10.9.0.1/24"),
	})
	if err != nil {
		t.Fatal(err)
	}
	sameAsIP(t, l, ipLinks(t, p.ns)["x0"])
	if l.IfID != 6 || l.UnderlayName != "u0" || l.MTU != 1280 || !l.Up || l.Alias != "a" {
		t.Errorf("changed to %+v", l)
	}
	if len(l.Addresses) == 0 || l.Addresses[0].Prefix != netip.MustParsePrefix("10.9.1.1/24") {
		t.Errorf("addresses %v", l.Addresses)
	}
	l, err = p.Change(background(t), "x0", &ifaces.Change{Up: netlinkx.Some(false), Alias: netlinkx.Some("")})
	if err != nil || l.Up || l.Alias != "" || l.IfID != 6 {
		t.Errorf("changed to %+v, %v", l, err)
	}
	if _, err := p.Change(background(t), "x0", &ifaces.Change{DeleteAddresses: prefixes("10.99.0.1/24")}); err == nil {
		t.Error("deleted an address that it does not have")
	}
	var kind *ifaces.KindError
	if _, err := p.Change(background(t), "u0", &ifaces.Change{MTU: netlinkx.Some[uint32](1400)}); !errors.As(err, &kind) {
		t.Errorf("change of a veth: %v", err)
	}
}

// TestConflicts: one errno of the kernel, three reasons and their holders.
func TestConflicts(t *testing.T) {
	p := newPlace(t)
	p.must(t, ifaces.Spec{Name: "x5", IfID: 5, Underlay: "u0"})
	p.must(t, ifaces.Spec{Name: "x6", IfID: 6, Underlay: "u0"})
	p.must(t, ifaces.Spec{Name: "ext0", External: true})

	blue := uniqueName("blue")
	named(t, blue)
	p.must(t, ifaces.Spec{Name: "gone", IfID: 7, NetNS: netlinkx.NamedNetNS(blue)})
	hidden := sandbox.New(t)
	p.must(t, ifaces.Spec{Name: "far", IfID: 8, NetNS: netlinkx.NetNSFD(hidden.FD())})

	create := func(s ifaces.Spec) error { _, err := p.Create(background(t), &s); return err }
	setID := func(name string, id uint32) error {
		_, err := p.Change(background(t), name, &ifaces.Change{IfID: netlinkx.Some(id)})
		return err
	}
	tests := []struct {
		name   string
		err    error
		taken  ifaces.Taken
		holder string // name of the device, "" unseen
		ns     string
	}{
		{"name", create(ifaces.Spec{Name: "x5", IfID: 50}), ifaces.TakenName, "x5", ""},
		{"name of a device of another kind", create(ifaces.Spec{Name: "u1", IfID: 50}), ifaces.TakenName, "u1", ""},
		{"if_id, on another underlay", create(ifaces.Spec{Name: "y", IfID: 5, Underlay: "u1"}), ifaces.TakenIfID, "x5", ""},
		{"second external", create(ifaces.Spec{Name: "y", External: true}), ifaces.TakenExternal, "ext0", ""},
		{"if_id of one moved to a named namespace", create(ifaces.Spec{Name: "y", IfID: 7}), ifaces.TakenIfID, "gone", blue},
		{"if_id of one moved out of sight", create(ifaces.Spec{Name: "y", IfID: 8}), ifaces.TakenIfID, "", ""},
		{"change to a taken if_id", setID("x5", 6), ifaces.TakenIfID, "x6", ""},
		{"change to an if_id that is elsewhere", setID("x5", 7), ifaces.TakenIfID, "gone", blue},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c *ifaces.ConflictError
			if !errors.As(tt.err, &c) || !errors.Is(tt.err, fs.ErrExist) {
				t.Fatalf("error %v", tt.err)
			}
			if c.Taken != tt.taken {
				t.Errorf("taken is %q, want %q", c.Taken, tt.taken)
			}
			if (c.Holder == nil) != (tt.holder == "") {
				t.Fatalf("holder %v, want %q: %v", c.Holder, tt.holder, c)
			}
			if c.Holder != nil && (c.Holder.Name != tt.holder || c.Holder.NetNS.String() != tt.ns) {
				t.Errorf("holder %v, want %s in %q", c.Holder, tt.holder, tt.ns)
			}
			if c.Err.Hint == "" || strings.Contains(c.Error(), "\n") {
				t.Errorf("error %q with hint %q", c, c.Err.Hint)
			}
		})
	}
}

// TestConflictOfMoved: a device that was made elsewhere competes with those of
// the namespace it was made in, not of the one it is in.
func TestConflictOfMoved(t *testing.T) {
	home, there := uniqueName("home"), newPlace(t)
	named(t, home)
	c := there.dial(t, netlinkx.NamedNetNS(home))
	for name, id := range map[string]uint32{"a": 1, "b": 2} {
		if _, err := c.Create(background(t), &ifaces.Spec{Name: name, IfID: id}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Move(background(t), "a", netlinkx.NetNSFD(there.ns.FD())); err != nil {
		t.Fatal(err)
	}
	there.must(t, ifaces.Spec{Name: "c", IfID: 3})
	_, err := there.Change(background(t), "a", &ifaces.Change{IfID: netlinkx.Some[uint32](2)})
	var conflict *ifaces.ConflictError
	if !errors.As(err, &conflict) || conflict.Holder == nil || conflict.Holder.Name != "b" || conflict.Holder.NetNS.String() != home {
		t.Errorf("change to an if_id taken at home: %v", err)
	}
	l, err := there.Change(background(t), "a", &ifaces.Change{IfID: netlinkx.Some[uint32](3)})
	if err != nil || l.IfID != 3 {
		t.Errorf("change to an if_id taken only here: %v, %v", l, err)
	}
}

// TestExternal: changes that the kernel refuses, and the trap of IPv4 transport
// mode.
func TestExternal(t *testing.T) {
	p := newPlace(t)
	l := p.must(t, ifaces.Spec{Name: "ext0", External: true, MTU: 1400})
	sameAsIP(t, l, ipLinks(t, p.ns)["ext0"])
	if w := p.warned(); w != "" {
		t.Errorf("warned of %q without SAs", w)
	}
	_, err := p.Change(background(t), "ext0", &ifaces.Change{IfID: netlinkx.Some[uint32](5)})
	if err == nil || !strings.Contains(fmt.Sprintf("%+v", err), "delete it and create another") {
		t.Errorf("external one to if_id 5: %+v", err)
	}
	if _, err := p.GetByIfID(background(t), 0); err != nil {
		t.Error(err)
	}
	p.ns.MustRun(t, sandbox.IP(), "xfrm", "state", "add", "src", "10.0.0.1", "dst", "10.0.0.2", "proto", "esp", "spi", "0x1000",
		"mode", "transport", "enc", "ecb(cipher_null)", "", "auth", "digest_null", "")
	if _, err := p.Change(background(t), "ext0", &ifaces.Change{Up: netlinkx.Some(true)}); err != nil {
		t.Fatal(err)
	}
	if w := p.warned(); w != "external " {
		t.Errorf("warned of %q", w)
	}
}
