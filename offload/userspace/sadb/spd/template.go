package spd

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// Template is a template in the form in which it is looked up.
type Template struct {
	Want      sad.Want // of a transport-mode template without its addresses
	SPI       netlinkx.SPI
	Tunnel    bool
	Optional  bool
	AnySource bool // a tunnel's source is chosen by route

	auths uint32 // integrity algorithms allowed
	all   bool   // all algorithms are
}

// compile brings a template into that form.
func compile(t *netlinkx.Template, ifID uint32) Template {
	c := Template{
		Want:     sad.Want{ReqID: t.ReqID, IfID: ifID, Family: t.Family, Mode: t.Mode, Proto: t.Proto},
		SPI:      t.SPI,
		auths:    t.AAlgos,
		all:      t.AAlgos&t.EAlgos&t.CAlgos == netlinkx.AllAlgos,
		Tunnel:   rules.Tunnels(t.Mode),
		Optional: t.Optional,
	}
	c.Want.Src = xaddr.Of(t.Src) // inbound, transport mode too
	if c.Tunnel {
		c.Want.Dst = xaddr.Of(t.Dst)
		c.AnySource = c.Want.Src == xaddr.Addr{}
	}
	return c
}

// accept returns the place behind the SA that the template accounts for, from
// at on; -1 if it does not (xfrm_policy_ok).
func (t *Template) accept(path []*sad.SA, at int, ifID uint32) int {
	none := -1
	if t.Optional {
		if t.Want.Mode == netlinkx.ModeTransport {
			return at
		}
		none = at
	}
	for i := at; i < len(path); i++ {
		if t.allows(path[i], ifID) {
			return i + 1
		}
		if path[i].Conf().Mode != netlinkx.ModeTransport {
			break
		}
	}
	return none
}

// allows is xfrm_state_ok.
func (t *Template) allows(sa *sad.SA, ifID uint32) bool {
	c := sa.Conf()
	return c.Proto == t.Want.Proto &&
		(t.SPI == 0 || t.SPI == sa.SPI()) &&
		(t.Want.ReqID == 0 || t.Want.ReqID == c.ReqID) &&
		c.Mode == t.Want.Mode &&
		(t.all || t.auths&sa.AuthBit() != 0 || !t.Want.Proto.HasSPI()) &&
		(c.Mode == netlinkx.ModeTransport || t.Want.Src == xaddr.Addr{} || t.Want.Src == xaddr.Of(c.Src)) &&
		(ifID == 0 || ifID == c.IfID)
}
