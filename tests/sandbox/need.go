package sandbox

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// NeedXFRM skips where the kernel has no XFRM interfaces, or no ESP with
// AES-GCM; lost says what was not looked at then.
func (n *NS) NeedXFRM(t testing.TB, lost string) {
	t.Helper()
	if _, err := n.Run(IP(), "link", "add", "probe0", "type", "xfrm", "if_id", "77"); err != nil {
		t.Skip("needs links of kind xfrm (CONFIG_XFRM_INTERFACE, module xfrm_interface); " + lost)
	}
	n.MustRun(t, IP(), "link", "del", "probe0")
	n.probe(t, lost)
}

// NeedDirection is NeedXFRM that also skips where SAs have no direction, which
// older kernels ignore.
func (n *NS) NeedDirection(t testing.TB, lost string) {
	t.Helper()
	n.NeedXFRM(t, lost)
	if n.probe(t, lost).Dir != netlinkx.DirOut {
		t.Skip("needs the direction of SAs (Linux 6.10); " + lost)
	}
}

// probe makes an outbound SA, takes it away, and returns what was there.
func (n *NS) probe(t testing.TB, lost string) *netlinkx.SA {
	t.Helper()
	c, err := netlinkx.Dial(&netlinkx.Config{NetNS: netlinkx.NetNSFD(n.FD())})
	if err != nil {
		t.Skipf("needs XFRM (CONFIG_XFRM_USER): %v; %s", err, lost)
	}
	defer c.Close()
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst, sa.Proto, sa.SPI, sa.Dir = netip.MustParseAddr(A4), netip.MustParseAddr(B4), netlinkx.ProtoESP, 0x999, netlinkx.DirOut
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 128}
	if err := c.AddSA(context.Background(), sa); err != nil {
		t.Skipf("needs ESP with AES-GCM: %v; %s", err, lost)
	}
	got, err := c.GetSA(context.Background(), sa.ID())
	if err := errors.Join(err, c.DeleteSA(context.Background(), sa.ID())); err != nil {
		t.Fatal(err)
	}
	return got
}
