package datapath

import (
	"bytes"
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// TestDirect sends plain ESP to a neighbour by a packet socket.
func TestDirect(t *testing.T) {
	p := sandbox.NewPair(t)
	_, mac, _ := strings.Cut(p.B.MustRun(t, sandbox.IP(), "-o", "link", "show", sandbox.Wire), "link/ether ")
	mac = strings.Fields(mac)[0]
	for _, v6 := range []bool{false, true} {
		from, to := addresses(v6)
		if !sandbox.Await(func() bool { // makes the neighbour known
			_, err := p.A.Run("ping", "-c", "1", "-W", "2", to.In(family(v6)).String())
			return err == nil
		}) {
			t.Fatalf("v6 %t: the neighbour does not answer", v6)
		}
		var hop outer.Hop
		err := p.A.Do(func() error {
			r, err := outer.OpenRoutes()
			if err != nil {
				return err
			}
			defer r.Close()
			if hop, err = r.Hop(from.In(family(v6)), to.In(family(v6)), 0, 0); err != nil {
				return err
			}
			for _, stranger := range []netip.Addr{to.In(family(v6)).Next().Next(), from.In(family(v6))} {
				if h, err := r.Hop(from.In(family(v6)), stranger, 0, 0); !errors.Is(err, outer.ErrNoHop) {
					t.Errorf("the way to %s: %+v (%v), want none", stranger, h, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := hardware(hop.MAC); got != mac {
			t.Errorf("v6 %t: neighbour %s, want %s", v6, got, mac)
		}
		var direct *outer.Direct
		if err := p.A.Do(func() (err error) { direct, err = outer.OpenDirect(); return err }); err != nil {
			t.Fatal(err)
		}
		defer direct.Close()
		a := open(t, p.A, outer.Config{Key: outer.Key{V6: v6}, Direct: direct})
		b := open(t, p.B, outer.Config{Key: outer.Key{V6: v6}})
		var sent outer.Sent
		var want [][]byte
		for i := range 150 { // direct and not, in turns of 50
			pkt := espPacket(v6, from, to, uint32(0x1000+i), 100+i)
			r := outer.Run{Buf: pkt, Segment: len(pkt), Packets: 1, Src: from, Dst: to, DF: true}
			if i/50 != 1 {
				r.Hop = &hop
			}
			a.Send(&r, &sent)
			want = append(want, pkt)
		}
		a.Flush(&sent)
		if sent.Packets != 150 {
			t.Errorf("v6 %t: sent %+v, want 150 packets", v6, sent)
		}
		got, _, _ := datagrams(t, b, 150)
		if len(got) != 150 {
			t.Fatalf("v6 %t: %d packets arrived, want 150", v6, len(got))
		}
		for i := range got {
			g, w := got[i], want[i][40:]
			if !v6 {
				g, w = g[20:], want[i][20:]
			}
			if !bytes.Equal(g, w) {
				t.Fatalf("v6 %t: packet %d is not what was sent", v6, i)
			}
		}
	}
}

func hardware(mac [6]byte) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i, x := range mac {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteByte(digits[x>>4])
		b.WriteByte(digits[x&15])
	}
	return b.String()
}

// TestFiltered: packet sockets are for where no firewall wants to look.
func TestFiltered(t *testing.T) {
	ns := sandbox.New(t)
	filtered := func() bool {
		t.Helper()
		var is bool
		err := ns.Do(func() (err error) {
			is, err = outer.Filtered()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	if filtered() {
		t.Error("a firewall in a new namespace")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("needs nft: whether chains of nftables are seen was not tested")
	}
	if out, err := ns.Run("nft", "add", "table", "inet", "t"); err != nil {
		t.Skipf("needs nftables (CONFIG_NF_TABLES_INET): whether its chains are seen was not tested: %s", out)
	}
	ns.MustRun(t, "nft", "add", "chain", "inet", "t", "in", "{ type filter hook input priority 0; }")
	if filtered() {
		t.Error("a chain in input does not see what is sent")
	}
	ns.MustRun(t, "nft", "add", "chain", "inet", "t", "out", "{ type filter hook output priority 0; }")
	if !filtered() {
		t.Error("a chain in output was not found")
	}
}
