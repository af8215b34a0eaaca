// Package ifaces_test checks package ifaces on a running kernel, and against
// what `ip` says of the same interfaces.
package ifaces_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// place is a namespace with a veth pair (u0, u1), a connection, and the
// warnings that came over it.
type place struct {
	*ifaces.Conn
	ns *sandbox.NS

	mu       sync.Mutex
	warnings []ifaces.Warning
}

// newPlace makes a namespace. Where this machine's own kernel has no XFRM
// interfaces, the test is skipped; the kernels of tests/lab must have them.
func newPlace(t testing.TB) *place {
	t.Helper()
	p := &place{ns: sandbox.New(t)}
	p.ns.MustRun(t, sandbox.IP(), "link", "add", "u0", "type", "veth", "peer", "name", "u1")
	p.Conn = p.dial(t, netlinkx.NetNSFD(p.ns.FD()))
	needKind(t, p)
	return p
}

func (p *place) dial(t testing.TB, ns netlinkx.NetNS) *ifaces.Conn {
	t.Helper()
	c, err := ifaces.Dial(&ifaces.Config{NetNS: ns, OnWarning: func(w *ifaces.Warning) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.warnings = append(p.warnings, *w)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// warned returns the kinds of the warnings so far, and forgets them.
func (p *place) warned() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := ""
	for _, w := range p.warnings {
		s += string(w.Kind) + " "
	}
	p.warnings = nil
	return s
}

func needKind(t testing.TB, p *place) {
	t.Helper()
	_, err := p.Create(background(t), &ifaces.Spec{Name: "probe", IfID: 1})
	if errors.Is(err, errors.ErrUnsupported) && os.Getenv("XFRMCTL_KERNEL") == "native" {
		t.Skip("needs links of kind xfrm (CONFIG_XFRM_INTERFACE, module xfrm_interface); nothing of this test ran")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Delete(background(t), "probe"); err != nil {
		t.Fatal(err)
	}
	p.warned()
}

// must makes an interface that has to come about.
func (p *place) must(t testing.TB, s ifaces.Spec) *ifaces.Link {
	t.Helper()
	l, err := p.Create(background(t), &s)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return l
}

func background(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func prefixes(words ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, w := range words {
		out = append(out, netip.MustParsePrefix(w))
	}
	return out
}

// ipLink is what of `ip -j -d link show` is compared.
type ipLink struct {
	Index    int32  `json:"ifindex"`
	Name     string `json:"ifname"`
	Link     string `json:"link"`
	LinkID   int32  `json:"link_index"`
	NSID     *int32 `json:"link_netnsid"`
	MTU      uint32 `json:"mtu"`
	Oper     string `json:"operstate"`
	Flags    []string
	Alias    string   `json:"ifalias"`
	AltNames []string `json:"altnames"`
	Info     struct {
		Kind string `json:"info_kind"`
		Data struct {
			IfID     string `json:"if_id"`
			External bool   `json:"external"`
		} `json:"info_data"`
	} `json:"linkinfo"`
}

// ipLinks asks `ip` for the XFRM interfaces of a namespace.
func ipLinks(t testing.TB, ns *sandbox.NS) map[string]ipLink {
	t.Helper()
	out := ns.MustRun(t, sandbox.IP(), "-j", "-d", "link", "show", "type", "xfrm")
	var list []ipLink
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("ip -j -d link show: %v\n%s", err, out)
	}
	m := make(map[string]ipLink)
	for _, l := range list {
		if l.Name != "" {
			m[l.Name] = l
		}
	}
	return m
}

// named gives a namespace a name in /run/netns.
func named(t testing.TB, name string) *sandbox.NS {
	t.Helper()
	host := sandbox.New(t) // any will do: `ip netns` needs only the mount
	host.MustRun(t, sandbox.IP(), "netns", "add", name)
	t.Cleanup(func() { host.MustRun(t, sandbox.IP(), "netns", "delete", name) })
	return host
}

func uniqueName(s string) string { return fmt.Sprintf("xfrmctl-%s-%d", s, os.Getpid()) }
