package nicoffload

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"text/tabwriter"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
)

// stepJSON is one SA of the demo: what it was, and where it came to be. Fields
// are only ever added.
type stepJSON struct {
	What string `json:"what"`
	*Placement
}

// demoStep is an SA to show the ladder with.
type demoStep struct {
	what  string
	typ   string // packet, or crypto
	alter func(*netlinkx.SA)
}

func demoSteps() []demoStep {
	tunnel := func(sa *netlinkx.SA) { sa.Mode = netlinkx.ModeTunnel }
	inbound := func(sa *netlinkx.SA) { sa.Dir, sa.Offload.Flags = netlinkx.DirIn, netlinkx.OffloadInbound }
	return []demoStep{
		{"the SA that NICs are made for", "", func(*netlinkx.SA) {}},
		{"the same, inbound", "", inbound},
		{"in tunnel mode, as XFRM interfaces have it", "", tunnel},
		{"of an XFRM interface, outbound", "", func(sa *netlinkx.SA) { tunnel(sa); sa.IfID = 7 }},
		{"of an XFRM interface, inbound", "", func(sa *netlinkx.SA) { tunnel(sa); inbound(sa); sa.IfID = 7 }},
		{"packet offload", "packet", tunnel},
		{"with a key of 256 bits", "", func(sa *netlinkx.SA) { sa.AEAD.Key = netlinkx.NewKey(random(36)) }},
		{"with an ICV of 96 bits", "", func(sa *netlinkx.SA) { sa.AEAD.ICVBits = 96 }},
		{"behind a NAT, in UDP", "", func(sa *netlinkx.SA) {
			sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: 4500, DstPort: 4500, OriginalAddr: netip.IPv4Unspecified()}
		}},
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// Demo shows the ladder on a device: it adds SAs with `offload prefer`, one
// after another, tells where each came to be and why, and removes it. Their
// addresses are those of documentation (RFC 5737), and no policy uses them: no
// traffic is touched.
func Demo(env *Env, dev string) error {
	if env.DryRun {
		return verbs.Errorf("the demo shows what becomes of what it adds: it has no dry run; try: xfrmctl offload explain %s", dev)
	}
	c, err := open(env, nil)
	if err != nil {
		return err
	}
	return errors.Join(c.demo(dev), c.links.Close())
}

func (c *command) demo(dev string) error {
	l, err := c.links.Link(c.env.Ctx, dev)
	if err != nil {
		return err
	}
	conn, err := c.env.Conn()
	if err != nil {
		return err
	}
	steps := []stepJSON{}
	for _, s := range demoSteps() {
		cmd := demoCommand(&s, l.Index)
		p, err := c.place(cmd)
		// of another context: an SA that was added goes, even when the run is cut short
		derr := conn.DeleteSA(context.WithoutCancel(c.env.Ctx), cmd.SA.ID())
		if errors.Is(derr, fs.ErrNotExist) {
			derr = nil
		}
		if err = errors.Join(err, derr); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
		steps = append(steps, stepJSON{s.what, p})
	}
	if c.env.JSON {
		return c.env.Encode(steps)
	}
	return c.printDemo(dev, steps)
}

func demoCommand(s *demoStep, index int32) *ipxfrm.Command {
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	sa.Proto, sa.ReqID, sa.Dir = netlinkx.ProtoESP, 1, netlinkx.DirOut
	sa.SPI = netlinkx.SPI(binary.NativeEndian.Uint32(random(4)) | 0x80000000)
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(random(20)), ICVBits: 128}
	sa.Offload = &netlinkx.Offload{IfIndex: index}
	s.alter(sa)
	return &ipxfrm.Command{SA: sa, Wish: ipxfrm.OffloadPrefer, WishType: s.typ}
}

func (c *command) printDemo(dev string, steps []stepJSON) error {
	fmt.Fprintf(c.env.Stdout, "%s > %s > %s > %s: AES-GCM SAs on %s, one after another\n", offload.RungPacket, offload.RungCrypto, offload.RungSoftware, offload.RungUserspace, dev)
	tw := tabwriter.NewWriter(c.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "SA\tDIR\tRUNG\tON\tWHY NOT A BETTER ONE")
	for _, s := range steps {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", s.What, s.Dir, s.Rung, orNone(s.NIC), orNone(s.Reason))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.env.Stdout, "%d SAs were added and removed\n", len(steps))
	return err
}
