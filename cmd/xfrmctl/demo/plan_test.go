package demo

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func TestPlanCoversEveryMode(t *testing.T) {
	var got []string
	for _, tun := range plan(randomKey) {
		for _, f := range tun.flows {
			r := newTunnel(tun, f)
			got = append(got, r.Interface+" "+r.name())
		}
	}
	want := []string{
		"ipsec4 tunnel mode, ipv4 in ipv4", "ipsec4 tunnel mode, ipv6 in ipv4",
		"ipsec6 tunnel mode, ipv4 in ipv6", "ipsec6 tunnel mode, ipv6 in ipv6",
		" transport mode, ipv4 in ipv4", " transport mode, ipv6 in ipv6",
		"beet4 beet mode, ipv4 in ipv4", "beet4 beet mode, ipv6 in ipv4",
		"beet6 beet mode, ipv4 in ipv6", "beet6 beet mode, ipv6 in ipv6",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What must never happen twice.
func TestPlanIsUnique(t *testing.T) {
	spis, ifIDs, names := map[netlinkx.SPI]bool{}, map[uint32]bool{}, map[string]bool{}
	addrs, keys := map[netip.Addr]bool{}, map[string]bool{}
	once := func(seen bool, what any) {
		t.Helper()
		if seen {
			t.Errorf("%v twice", what)
		}
	}
	for _, tun := range plan(randomKey) {
		if tun.name != "" {
			once(names[tun.name], tun.name)
			once(ifIDs[tun.ifID], tun.ifID)
			names[tun.name], ifIDs[tun.ifID] = true, true
		}
		for _, p := range tun.pairs {
			for from := range p.spi {
				once(spis[p.spi[from]], p.spi[from])
				key := string(p.key[from].Reveal())
				once(keys[key], "a key")
				spis[p.spi[from]], keys[key] = true, true
				if len(key) != (keyBits+saltBits)/8 {
					t.Errorf("key of %d bytes", len(key))
				}
			}
		}
		for _, f := range tun.flows {
			for _, a := range f.addr {
				once(addrs[a], a)
				addrs[a] = true
			}
		}
	}
}

func TestSAs(t *testing.T) {
	for _, dirs := range []bool{false, true} {
		for _, tun := range plan(randomKey) {
			l := tun.end(right, dirs)
			if len(l.SAs) != 2*len(tun.pairs) {
				t.Fatalf("%s: %d SAs for %d pairs", tun.mode, len(l.SAs), len(tun.pairs))
			}
			for _, sa := range l.SAs {
				checkSA(t, tun, sa, dirs)
			}
		}
	}
}

// checkSA checks an SA as it is installed on the right.
func checkSA(t *testing.T, tun *tunnel, sa *netlinkx.SA, dirs bool) {
	t.Helper()
	out := sa.Src == tun.outer[right]
	if !out && sa.Src != tun.outer[left] || sa.Dst == sa.Src {
		t.Errorf("%s from %s", sa, sa.Src)
	}
	wantDir, wantWindow := netlinkx.DirUnset, uint32(replayWindow)
	if dirs {
		wantDir = netlinkx.DirIn
	}
	if dirs && out {
		wantDir, wantWindow = netlinkx.DirOut, 0
	}
	if sa.Dir != wantDir || sa.ReplayWindow != wantWindow {
		t.Errorf("dirs %v, %s %s: dir %q window %d", dirs, tun.mode, sa, sa.Dir, sa.ReplayWindow)
	}
	if sa.Flags&netlinkx.FlagESN == 0 || sa.IfID != tun.ifID || sa.Mode != tun.mode {
		t.Errorf("%s: flags %#x if_id %d mode %s", sa, sa.Flags, sa.IfID, sa.Mode)
	}
	if anyTraffic := sa.Flags&netlinkx.FlagAFUnspec != 0; anyTraffic != (tun.mode == netlinkx.ModeTunnel) {
		t.Errorf("%s mode: either family %v", tun.mode, anyTraffic)
	}
	if tun.mode != netlinkx.ModeTunnel && (!sa.Selector.Src.IsSingleIP() || !sa.Selector.Dst.IsSingleIP()) {
		t.Errorf("%s mode: selector %s", tun.mode, sa.Selector)
	}
}

// The left's outbound policies are the right's inbound ones, and each points to
// an SA of the same if_id and reqid.
func TestPolicies(t *testing.T) {
	for _, tun := range plan(randomKey) {
		a, b := tun.end(left, true), tun.end(right, true)
		for _, p := range a.Policies {
			if p.Dir != netlinkx.PolicyOut || len(p.Templates) == 0 {
				continue
			}
			twin := slices.IndexFunc(b.Policies, func(q *netlinkx.Policy) bool {
				return q.Dir == netlinkx.PolicyIn && q.Selector == p.Selector && q.IfID == p.IfID && q.Templates[0] == p.Templates[0]
			})
			if twin < 0 {
				t.Errorf("%s mode: no inbound twin of %s", tun.mode, p)
			}
			tmpl := p.Templates[0]
			carrier := slices.IndexFunc(a.SAs, func(sa *netlinkx.SA) bool {
				return sa.Src == tmpl.Src && sa.Dst == tmpl.Dst && sa.ReqID == tmpl.ReqID && sa.IfID == p.IfID && sa.Mode == tmpl.Mode
			})
			if carrier < 0 {
				t.Errorf("%s mode: no SA for %s", tun.mode, p)
			}
		}
		dirs := map[netlinkx.PolicyDir]int{}
		for _, p := range a.Policies {
			if len(p.Templates) > 0 {
				dirs[p.Dir]++
			}
		}
		n := len(tun.flows)
		if dirs[netlinkx.PolicyOut] != n || dirs[netlinkx.PolicyIn] != n || tun.mode == netlinkx.ModeTunnel && dirs[netlinkx.PolicyFwd] != n {
			t.Errorf("%s mode: %v policies for %d flows", tun.mode, dirs, n)
		}
	}
}

// Policies without templates let traffic pass in clear: there are none but for
// neighbour discovery, which IPv6 transport mode cannot do without.
func TestNothingElsePassesInClear(t *testing.T) {
	bypasses := 0
	for _, tun := range plan(randomKey) {
		for _, p := range tun.end(left, true).Policies {
			if len(p.Templates) > 0 {
				continue
			}
			bypasses++
			typ := p.Selector.SrcPort
			if tun.mode != netlinkx.ModeTransport || p.Selector.Proto != protoICMPv6 || typ.Mask != 0xffff || typ.Port != 135 && typ.Port != 136 {
				t.Errorf("%s mode: %s lets traffic pass", tun.mode, p)
			}
		}
	}
	if bypasses != 4 {
		t.Errorf("%d policies for neighbour discovery, want 4", bypasses)
	}
}
