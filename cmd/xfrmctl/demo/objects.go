package demo

import (
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// The algorithm of all SAs: AES-256-GCM (RFC 4106) with a 16-byte ICV, and
// extended sequence numbers with a window that suits fast links.
const (
	algorithm    = "rfc4106(gcm(aes))"
	keyBits      = 256
	saltBits     = 32
	icvBits      = 128
	replayWindow = 1024
)

// IPv6 neighbour discovery (RFC 4861 section 4).
const (
	protoICMPv6           = 58
	neighbourSolicitation = 135
	neighbourAdvert       = 136
)

// end returns the tunnel as one side sets it up. dirs: SAs may have a
// direction.
func (t *tunnel) end(side int, dirs bool) *Link {
	l := &Link{Name: t.name, IfID: t.ifID, Mode: t.mode, Underlay: veth}
	for _, p := range t.pairs {
		for from := range p.spi {
			l.SAs = append(l.SAs, t.sa(p, from, side, dirs))
		}
	}
	for _, f := range t.flows {
		if t.name != "" && t.mode != netlinkx.ModeTransport { // which has those of the wire
			l.Addresses = append(l.Addresses, netip.PrefixFrom(f.addr[side], f.bits))
		}
		l.Policies = append(l.Policies, t.policies(f, side)...)
	}
	return l
}

// sa returns the SA for what side from sends, as it is installed on side at.
func (t *tunnel) sa(p *pair, from, at int, dirs bool) *netlinkx.SA {
	to := 1 - from
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = t.outer[from], t.outer[to]
	sa.Proto, sa.SPI, sa.Mode = netlinkx.ProtoESP, p.spi[from], t.mode
	sa.ReqID, sa.IfID = t.reqID, t.ifID
	sa.AEAD = &netlinkx.AEAD{Name: algorithm, Key: p.key[from], ICVBits: icvBits}
	sa.Flags = netlinkx.FlagESN
	if p.host[from].IsValid() {
		sa.Selector = netlinkx.Selector{Src: host(p.host[from]), Dst: host(p.host[to])}
	} else {
		// else the kernel takes the SA for traffic of the outer family alone
		sa.Flags |= netlinkx.FlagAFUnspec
	}
	setReplay(sa, at == from, dirs)
	return sa
}

// setReplay sets direction and window. An outbound SA has no window, but a
// kernel that knows no direction refuses ESN without one.
func setReplay(sa *netlinkx.SA, out, dirs bool) {
	sa.ReplayWindow = replayWindow
	switch {
	case dirs && out:
		sa.Dir, sa.ReplayWindow = netlinkx.DirOut, 0
	case dirs:
		sa.Dir = netlinkx.DirIn
	}
}

// policies returns those of a flow: out, in and, where a subnet may be behind
// the interface, forwarded.
func (t *tunnel) policies(f *flow, side int) []*netlinkx.Policy {
	peer := 1 - side
	out := []*netlinkx.Policy{
		t.policy(f, netlinkx.PolicyOut, side, peer),
		t.policy(f, netlinkx.PolicyIn, peer, side),
	}
	if t.mode == netlinkx.ModeTunnel {
		out = append(out, t.policy(f, netlinkx.PolicyFwd, peer, side))
	}
	if t.mode == netlinkx.ModeTransport && t.name == "" && f.addr[side].Is6() {
		out = append(out, neighbourDiscovery()...)
	}
	return out
}

func (t *tunnel) policy(f *flow, dir netlinkx.PolicyDir, from, to int) *netlinkx.Policy {
	p := netlinkx.NewPolicy()
	p.Dir, p.IfID, p.Priority = dir, t.ifID, 1000
	p.Selector = netlinkx.Selector{Src: f.net[from], Dst: f.net[to]}
	tmpl := netlinkx.NewTemplate()
	tmpl.Proto, tmpl.Mode, tmpl.ReqID = netlinkx.ProtoESP, t.mode, t.reqID
	tmpl.Src, tmpl.Dst = t.outer[from], t.outer[to]
	p.Templates = []netlinkx.Template{tmpl}
	return p
}

// neighbourDiscovery returns policies that let neighbour discovery pass in
// clear. In transport mode it has the very addresses that are protected, and
// would need itself to find the peer.
func neighbourDiscovery() []*netlinkx.Policy {
	var out []*netlinkx.Policy
	anywhere := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	for _, typ := range []uint16{neighbourSolicitation, neighbourAdvert} {
		for _, dir := range []netlinkx.PolicyDir{netlinkx.PolicyOut, netlinkx.PolicyIn} {
			p := netlinkx.NewPolicy()
			p.Dir, p.Action, p.Priority = dir, netlinkx.ActionAllow, 100
			p.Selector = netlinkx.Selector{
				Src: anywhere, Dst: anywhere, Proto: protoICMPv6,
				SrcPort: netlinkx.PortMatch{Port: typ, Mask: 0xffff},
			}
			out = append(out, p)
		}
	}
	return out
}
