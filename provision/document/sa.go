package document

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// defaultWindow is the anti-replay window, in packets: enough for what cores
// and queues reorder at 10 Gbit/s.
const defaultWindow = 1024

// sa returns the SA from one node to another, or nil when something is wrong
// with its key.
func (e *end) sa(ctx context.Context, from, to *Node) *netlinkx.SA {
	sa, t := netlinkx.NewSA(), e.t
	sa.Src, sa.Dst, sa.Proto, sa.ReqID, sa.IfID = from.Endpoint.V, to.Endpoint.V, netlinkx.ProtoESP, e.reqID, e.ifID
	sa.Mode = netlinkx.ModeTransport
	if t.tunnelMode() {
		// either family may be inside
		sa.Mode, sa.Flags = netlinkx.ModeTunnel, netlinkx.FlagAFUnspec
	}
	if t.ESN.V {
		sa.Flags |= netlinkx.FlagESN
	}
	sa.Dir = netlinkx.DirOut
	if to == e.self {
		sa.Dir, sa.ReplayWindow = netlinkx.DirIn, t.Window.V
	} else {
		sa.TFCPad = t.TFCPad.V
	}
	if sa.Dir == netlinkx.DirIn {
		sa.Mark, sa.OutputMark = netlinkx.Mark(t.Mark.In.V), netlinkx.Mark(t.Output.In.V)
	} else {
		sa.Mark, sa.OutputMark = netlinkx.Mark(t.Mark.Out.V), netlinkx.Mark(t.Output.Out.V)
	}
	if t.EncapPort.Set {
		port := uint16(t.EncapPort.V)
		sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: port, DstPort: port}
	}
	sa.Limits = t.Limits.limits()
	if !e.key(ctx, sa, from, to) {
		return nil
	}
	return sa
}

func (l *Limits) limits() netlinkx.Limits {
	out := netlinkx.Unlimited()
	for _, x := range []struct {
		v  Value[uint64]
		to *uint64
	}{
		{l.SoftBytes, &out.SoftBytes}, {l.HardBytes, &out.HardBytes}, {l.SoftPackets, &out.SoftPackets},
		{l.HardPackets, &out.HardPackets}, {l.SoftSeconds, &out.SoftAdd}, {l.HardSeconds, &out.HardAdd},
	} {
		if x.v.Set {
			*x.to = x.v.V
		}
	}
	return out
}

// parameters are what an SA cannot change: with another of them it has another
// key and SPI, at both ends, so that the new pair stands beside the old one.
func (e *end) parameters(sa *netlinkx.SA) string {
	t := fmt.Sprintf("%s %s %s %v %s esn %v window %d tfc %d encap %v reqid %d", sa.Src, sa.Dst, sa.Proto, sa.Mode,
		e.t.suite().Name, e.t.ESN.V, e.t.Window.V, e.t.TFCPad.V, e.t.EncapPort.Set, e.reqID)
	if m := e.t.Mark; m.In.Set || m.Out.Set { // which has an SA of its own beside the old one
		t += fmt.Sprintf(" mark %v %v", m.In.V, m.Out.V)
	}
	return t
}

// key gives an SA its algorithms, key and SPI.
func (e *end) key(ctx context.Context, sa *netlinkx.SA, from, to *Node) bool {
	material, ok := e.material(ctx, sa, from, to)
	if !ok {
		return false
	}
	suite := e.t.suite()
	suite.Describe(sa)
	if sa.AEAD != nil {
		sa.AEAD.Key = netlinkx.NewKey(material)
	} else {
		sa.Crypt.Key, sa.AuthTrunc.Key = netlinkx.NewKey(material[:suite.Key]), netlinkx.NewKey(material[suite.Key:])
	}
	direction := from.Name + "-to-" + to.Name
	if v := e.t.SPI[direction]; v.Set {
		sa.SPI = netlinkx.SPI(v.V)
		return true
	}
	spi, err := spiOf(material, e.derivation(sa, from, to))
	if err != nil {
		e.problem(err.Error(), e.t.Keys.at)
		return false
	}
	sa.SPI = spi
	return true
}

// material returns the key bytes of the suite, from where the document says.
func (e *end) material(ctx context.Context, sa *netlinkx.SA, from, to *Node) ([]byte, bool) {
	k, n := &e.t.Keys, e.t.suite().KeyLen()
	if e.in.NoKeys {
		return make([]byte, n), true
	}
	if !k.Derive.Set {
		v := k.Static[from.Name+"-to-"+to.Name]
		ref, err := keys.OfEpoch(v.V, e.epoch)
		var b []byte
		if err == nil {
			b, err = e.in.Keys.Read(ctx, ref)
		}
		if err == nil && len(b) != n {
			err = fmt.Errorf("key %s has %d bytes; %s takes %d", ref, len(b), e.t.suite().Name, n)
		}
		if err != nil {
			e.problem(err.Error(), v.at)
		}
		return b, err == nil
	}
	root, err := e.in.Keys.Read(ctx, k.Derive.V)
	if err != nil {
		e.problem(err.Error(), k.Derive.at)
		return nil, false
	}
	d := e.derivation(sa, from, to)
	if e.t.suite().AEAD != "" && !e.boots(d, from, to) {
		return nil, false
	}
	b, err := keys.Derive(root, "sa", d, n)
	if err != nil {
		e.problem(fmt.Sprintf("key %s: %v", k.Derive.V, err), k.Derive.at)
	}
	return b, err == nil
}

// derivation: of a key from a file only the SPI is derived, and a file that
// comes again shall have the SPI that it had.
func (e *end) derivation(sa *netlinkx.SA, from, to *Node) *keys.Derivation {
	d := &keys.Derivation{Tunnel: e.t.Name.V, From: from.Name, To: to.Name, Epoch: 1, Parameters: e.parameters(sa)}
	if e.t.Keys.Derive.Set {
		d.Epoch = e.epoch
	}
	return d
}

// boots adds the boot identifiers of both nodes, with which counters that begin
// anew after a restart never meet an old key.
func (e *end) boots(d *keys.Derivation, from, to *Node) (ok bool) {
	id := func(n *Node) string {
		v := e.in.BootIDs[n.Name]
		if v == "" {
			v = n.BootID.V
		}
		switch {
		case n == e.self && v == "":
			return e.in.BootID
		case n == e.self && v != e.in.BootID:
			e.problem("boot_id of "+n.Name+" is not that of this boot: with it the keys of an earlier boot would be used again; it is in /proc/sys/kernel/random/boot_id", n.BootID.at, e.t.Keys.at)
			return ""
		case v == "":
			e.problem("boot_id of "+n.Name+" is not known: keys of "+e.t.suite().Name+" are derived from those of both nodes, so that a restart never repeats (key, IV); give it in nodes, or with --boot-id", e.t.Keys.at)
		}
		return v
	}
	d.FromBoot, d.ToBoot = id(from), id(to)
	return d.FromBoot != "" && d.ToBoot != ""
}

// spiOf derives the SPI from the key, so that a new key has a new SPI, and both
// ends agree. It tells nothing about the key. SPIs below 256 are reserved
// (RFC 4303 section 2.1).
func spiOf(material []byte, d *keys.Derivation) (netlinkx.SPI, error) {
	padded := append(append([]byte(nil), material...), make([]byte, keys.MinRoot)...)
	b, err := keys.Derive(padded, "spi", d, 4)
	if err != nil {
		return 0, err
	}
	spi := netlinkx.SPI(binary.BigEndian.Uint32(b))
	if spi < 256 {
		spi |= 1 << 8
	}
	return spi, nil
}
