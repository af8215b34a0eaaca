package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"syscall"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// prober tries features in a namespace of its own. Kernels are not judged by
// their version: distributions backport and leave out.
type prober struct {
	ctx   context.Context
	xfrm  *netlinkx.Conn
	links *ifaces.Conn
	found Features
	spi   netlinkx.SPI
	err   error // why it could not go on
}

// Probe implements Engine.
func (k kernel) Probe(ctx context.Context, ns *Namespace) (*Features, error) {
	e, err := k.Open(ctx, ns)
	if errors.Is(err, errors.ErrUnsupported) {
		f := Feature{Name: "IPsec (XFRM)", Detail: answer(err), Option: "CONFIG_XFRM_USER", Modules: []string{"xfrm_user"}}
		return &Features{List: []Feature{f}}, nil
	}
	if err != nil {
		return nil, err
	}
	p := newProber(ctx, e.(*kernelEndpoint))
	p.all()
	if err := e.Close(); p.err == nil {
		p.err = err
	}
	return &p.found, p.err
}

func newProber(ctx context.Context, end *kernelEndpoint) *prober {
	return &prober{ctx: ctx, xfrm: end.xfrm, links: end.links, spi: 0x100}
}

// all tries everything.
func (p *prober) all() {
	p.policy()
	p.xfrmInterface()
	v4 := p.esp("ESP over IPv4", [2]string{"192.0.2.1", "192.0.2.2"}, "CONFIG_INET_ESP", "esp4")
	v6 := p.esp("ESP over IPv6", [2]string{"2001:db8::1", "2001:db8::2"}, "CONFIG_INET6_ESP", "esp6")
	p.cipher(v4, v6)
	if v4 && v6 && len(missing(p.found.List)) == 0 {
		p.details()
	}
}

// tried records a feature. Whatever the kernel answers but success means that
// it is not there; what says nothing about the kernel ends the probe.
func (p *prober) tried(f Feature, err error) bool {
	switch {
	case p.err != nil:
		return false
	case p.ctx.Err() != nil:
		p.err = p.ctx.Err()
		return false
	case errors.Is(err, fs.ErrPermission):
		p.err = &PrivilegeError{Op: "use " + f.Name, Err: err}
		return false
	}
	f.OK = err == nil
	if err != nil {
		f.Detail = answer(err)
	}
	p.found.List = append(p.found.List, f)
	return f.OK
}

func (p *prober) policy() {
	pol := netlinkx.NewPolicy()
	pol.Dir, pol.Action, pol.IfID = netlinkx.PolicyOut, netlinkx.ActionBlock, 1
	pol.Selector = netlinkx.Selector{Src: pfx("192.0.2.1/32"), Dst: pfx("192.0.2.2/32")}
	f := Feature{Name: "IPsec policies", Option: "CONFIG_XFRM_USER", Modules: []string{"xfrm_user"}}
	if p.tried(f, p.xfrm.AddPolicy(p.ctx, pol)) {
		_ = p.xfrm.DeletePolicy(p.ctx, pol.ID()) // goes with the namespace otherwise
	}
}

func (p *prober) xfrmInterface() {
	_, err := p.links.Create(p.ctx, &ifaces.Spec{Name: "probe0", IfID: 1})
	f := Feature{Name: "XFRM interface", Option: "CONFIG_XFRM_INTERFACE", Modules: []string{"xfrm_interface"}}
	p.tried(f, err)
}

// demoSA is an SA as the demo installs it.
func (p *prober) demoSA(addr [2]string, mode netlinkx.Mode) *netlinkx.SA {
	p.spi++
	t := &tunnel{mode: mode, reqID: 1, ifID: 1}
	side := &pair{spi: [2]netlinkx.SPI{p.spi}, key: [2]netlinkx.Key{randomKey()}}
	for i, a := range addr {
		t.outer[i] = netip.MustParseAddr(a)
		if mode == netlinkx.ModeBEET {
			side.host[i] = t.outer[i]
		}
	}
	return t.sa(side, left, right, false)
}

// esp tries ciphers until one tells whether there is ESP: a kernel says that it
// lacks the cipher before it says that it lacks ESP.
func (p *prober) esp(name string, addr [2]string, option, module string) bool {
	f := Feature{Name: name, Option: option, Modules: []string{module}}
	var err error
	for _, set := range ciphers {
		sa := p.demoSA(addr, netlinkx.ModeTunnel)
		sa.AEAD = nil
		set(sa)
		if err = p.add(sa); err == nil || errors.Is(err, syscall.EPROTONOSUPPORT) || errors.Is(err, syscall.EAFNOSUPPORT) {
			break
		}
	}
	return p.tried(f, err)
}

// ciphers are common ones, any of which tells whether there is ESP.
var ciphers = []func(*netlinkx.SA){
	func(sa *netlinkx.SA) {
		sa.AEAD = &netlinkx.AEAD{Name: algorithm, Key: randomKey(), ICVBits: icvBits}
	},
	func(sa *netlinkx.SA) {
		sa.Crypt = &netlinkx.Algo{Name: "cbc(aes)", Key: randomBytes(16)}
		sa.AuthTrunc = &netlinkx.AuthTrunc{Name: "hmac(sha256)", Key: randomBytes(32), ICVBits: 128}
	},
	func(sa *netlinkx.SA) {
		sa.Crypt = &netlinkx.Algo{Name: "ecb(cipher_null)"}
		sa.AuthTrunc = &netlinkx.AuthTrunc{Name: "hmac(sha1)", Key: randomBytes(20), ICVBits: 96}
	},
}

// add installs an SA and removes it.
func (p *prober) add(sa *netlinkx.SA) error {
	if err := p.xfrm.AddSA(p.ctx, sa); err != nil {
		return err
	}
	return p.xfrm.DeleteSA(p.ctx, sa.ID())
}

// cipher tries the algorithm of the demo. Without ESP the kernel looks the name
// up, but does not get as far as using it.
func (p *prober) cipher(v4, v6 bool) {
	addr := [2]string{"192.0.2.1", "192.0.2.2"}
	if !v4 && v6 {
		addr = [2]string{"2001:db8::1", "2001:db8::2"}
	}
	err := p.add(p.demoSA(addr, netlinkx.ModeTunnel))
	f := Feature{
		Name:    "algorithm " + algorithm,
		Option:  "CONFIG_CRYPTO_GCM, CONFIG_CRYPTO_AES, CONFIG_CRYPTO_SEQIV",
		Modules: []string{"gcm", "aes", "seqiv"},
	}
	if !v4 && !v6 && errors.Is(err, syscall.EPROTONOSUPPORT) {
		f.Detail = "the name is known; it cannot be tried without ESP"
		err = nil
	}
	p.tried(f, err)
}

// details tries what needs ESP, and reads back what kernels may ignore.
func (p *prober) details() {
	p.readBack()
	for _, mode := range []netlinkx.Mode{netlinkx.ModeTunnel, netlinkx.ModeTransport, netlinkx.ModeBEET} {
		p.mode(mode, [2]string{"192.0.2.1", "192.0.2.2"}, "IPv4", "CONFIG_INET_XFRM_MODE_", "xfrm4_mode_")
		p.mode(mode, [2]string{"2001:db8::1", "2001:db8::2"}, "IPv6", "CONFIG_INET6_XFRM_MODE_", "xfrm6_mode_")
	}
}

// mode tries a mode. Since Linux 5.2 they are part of XFRM itself.
func (p *prober) mode(m netlinkx.Mode, addr [2]string, ip, option, module string) {
	words := map[netlinkx.Mode]string{netlinkx.ModeTunnel: "TUNNEL", netlinkx.ModeTransport: "TRANSPORT", netlinkx.ModeBEET: "BEET"}
	f := Feature{Name: fmt.Sprintf("%s mode over %s", m, ip), Option: option + words[m], Modules: []string{module + m.String()}}
	p.tried(f, p.add(p.demoSA(addr, m)))
}

func (p *prober) readBack() {
	sa := p.demoSA([2]string{"192.0.2.1", "192.0.2.2"}, netlinkx.ModeTunnel)
	sa.Dir = netlinkx.DirIn
	f := Feature{Name: fmt.Sprintf("ESN with a replay window of %d", replayWindow), Option: "CONFIG_XFRM (Linux 2.6.39)"}
	err := p.xfrm.AddSA(p.ctx, sa)
	if err != nil {
		p.tried(f, err)
		return
	}
	have, err := p.xfrm.GetSA(p.ctx, sa.ID())
	if err == nil && (have.ReplayWindow != replayWindow || have.Flags&netlinkx.FlagESN == 0) {
		err = fmt.Errorf("reads back as window %d, flags %#x", have.ReplayWindow, uint8(have.Flags))
	}
	if p.tried(f, err) {
		p.found.SADir = have.Dir == netlinkx.DirIn
	}
}

// answer is what the kernel said, without what was asked.
func answer(err error) string {
	var e *netlinkx.Error
	if !errors.As(err, &e) || e.Errno == 0 {
		return err.Error()
	}
	if e.Text == "" {
		return e.Errno.Error()
	}
	return e.Errno.Error() + ": " + e.Text
}

func randomKey() netlinkx.Key { return randomBytes((keyBits + saltBits) / 8) }

func randomBytes(n int) netlinkx.Key {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return netlinkx.NewKey(b)
}
