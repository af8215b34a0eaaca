package ifaces_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// TestMove moves by name, path and descriptor, with all that an interface can
// keep.
func TestMove(t *testing.T) {
	blue := uniqueName("blue")
	named(t, blue)
	other := sandbox.New(t)
	tests := []struct {
		name   string
		target netlinkx.NetNS
	}{
		{"name", netlinkx.NamedNetNS(blue)},
		{"path", netlinkx.NetNSAt("/run/netns/" + blue)},
		{"fd", netlinkx.NetNSFD(other.FD())},
		{"path of a descriptor", netlinkx.NetNSAt(other.Path())},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			p.must(t, ifaces.Spec{
				Name: "x0", IfID: 5, Underlay: "u0", MTU: 1400, Alias: "moves",
				Addresses: prefixes("10.9.0.1/24", "fd00:9::1/64"), Up: true,
			})
			p.ns.MustRun(t, sandbox.IP(), "address", "add", "10.7.0.1", "peer", "10.7.0.2/32", "dev", "x0")
			p.ns.MustRun(t, sandbox.IP(), "route", "add", "10.77.0.0/16", "dev", "x0")
			m, err := p.Move(background(t), "x0", tt.target)
			if err != nil {
				t.Fatal(err)
			}
			l := m.Link
			if l.IfID != 5 || !l.Up || l.MTU != 1400 || l.Alias != "moves" || !l.ContextID.Valid {
				t.Errorf("moved: %+v", l)
			}
			var have []string
			for _, a := range l.Addresses {
				have = append(have, a.Prefix.String()+">"+a.Peer.String())
			}
			for _, a := range []string{"10.9.0.1/24>", "fd00:9::1/64>", "10.7.0.1/32>10.7.0.2"} {
				if !strings.Contains(strings.Join(have, " "), a) {
					t.Errorf("address %s is lost: %v", a, have)
				}
			}
			if len(m.Lost) != 1 || m.Lost[0].What != "route 10.77.0.0/16" {
				t.Errorf("lost: %v", m.Lost)
			}
			if _, err := p.Get(background(t), "x0"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("still here: %v", err)
			}
			at := p.dial(t, tt.target)
			names, err := at.NamespaceNames(background(t))
			if err != nil {
				t.Fatal(err)
			}
			if n, ok := names[l.ContextID.V]; ok && strings.Contains(n, blue) {
				t.Errorf("its context is said to be %s", n)
			}
			if err := at.Delete(background(t), "x0"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMoveEdges(t *testing.T) {
	p := newPlace(t)
	other := newPlace(t)
	p.must(t, ifaces.Spec{Name: "x0", IfID: 5, Addresses: prefixes("10.9.0.1/24"), Up: true})
	m, err := p.Move(background(t), "x0", netlinkx.NetNSFD(p.ns.FD()))
	if err != nil || len(m.Lost) != 0 || !m.Link.Up || m.Link.ContextID.Valid {
		t.Errorf("move to where it is: %+v, %v", m, err)
	}
	other.must(t, ifaces.Spec{Name: "x0", IfID: 5})
	_, err = p.Move(background(t), "x0", netlinkx.NetNSFD(other.ns.FD()))
	var c *ifaces.ConflictError
	if !errors.As(err, &c) || c.Taken != ifaces.TakenName || c.Holder == nil {
		t.Errorf("move onto a name: %v", err)
	}
	if l, err := p.Get(background(t), "x0"); err != nil || !l.Up || len(l.Addresses) == 0 {
		t.Errorf("after the refused move: %+v, %v", l, err)
	}
	var kind *ifaces.KindError
	if _, err := p.Move(background(t), "u1", netlinkx.NetNSFD(other.ns.FD())); !errors.As(err, &kind) {
		t.Errorf("move of a veth: %v", err)
	}
	if _, err := p.Move(background(t), "x0", netlinkx.NamedNetNS("nope")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("move to nowhere: %v", err)
	}
}

// TestCreateElsewhere: made here and moved, unlike `ip link add … netns`, so
// that its SAs are looked up here.
func TestCreateElsewhere(t *testing.T) {
	p := newPlace(t)
	other := newPlace(t)
	l := p.must(t, ifaces.Spec{
		Name: "x0", IfID: 5, Underlay: "u0", NetNS: netlinkx.NetNSFD(other.ns.FD()),
		Addresses: prefixes("10.9.0.1/24"), Up: true,
	})
	if !l.ContextID.Valid || !l.Up || len(l.Addresses) == 0 {
		t.Errorf("created %+v", l)
	}
	ip, ok := ipLinks(t, other.ns)["x0"]
	if !ok || ip.NSID == nil || *ip.NSID != l.ContextID.V {
		t.Errorf("ip shows %+v", ip)
	}
	// a name that is taken there: nothing is left here
	_, err := p.Create(background(t), &ifaces.Spec{Name: "x0", IfID: 6, NetNS: netlinkx.NetNSFD(other.ns.FD())})
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("create onto a name: %v", err)
	}
	if list, err := p.List(background(t)); err != nil || len(list) != 0 {
		t.Errorf("left behind: %v, %v", list, err)
	}
}

// TestNamespaceNames: a device that came from a named namespace says so.
func TestNamespaceNames(t *testing.T) {
	home, there := uniqueName("home"), newPlace(t)
	named(t, home)
	c := there.dial(t, netlinkx.NamedNetNS(home))
	if _, err := c.Create(background(t), &ifaces.Spec{Name: "a", IfID: 1, NetNS: netlinkx.NetNSFD(there.ns.FD())}); err != nil {
		t.Fatal(err)
	}
	l, err := there.Get(background(t), "a")
	if err != nil {
		t.Fatal(err)
	}
	names, err := there.NamespaceNames(background(t))
	if err != nil || !l.ContextID.Valid || names[l.ContextID.V] != home {
		t.Errorf("context %v of %v, %v; want %s", l.ContextID, names, err, home)
	}
}
