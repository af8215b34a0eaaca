package main

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// kernelCan asks the kernel whether it does what a command is about, and
// returns its answer in words. Both questions are requests that no kernel carries
// out, and that fail in different ways; nothing is changed by them. What
// says nothing of the kernel, such as a missing privilege, counts as yes: the
// kernel then says itself what is wrong.
func (e *env) kernelCan(s subject) (bool, string) {
	if e.probeKernel != nil {
		return e.probeKernel(s)
	}
	can, why := e.kernelHasESP()
	if !can || s == aboutIPsec {
		return can, why // an interface without ESP carries nothing
	}
	return e.kernelHasInterfaces()
}

// withoutESP gives the refusal of an ESP SA another hint when the kernel does no
// ESP at all: it looks for the cipher first, and then no cipher is there either
// (ESP is what selects them), so that its own words lead nowhere.
func (e *env) withoutESP(cmd *ipxfrm.Command, err error) error {
	var kernel *netlinkx.Error
	if cmd.SA == nil || cmd.SA.Proto != netlinkx.ProtoESP || !errors.As(err, &kernel) ||
		!errors.Is(kernel.Errno, syscall.ENOSYS) && !errors.Is(kernel.Errno, syscall.EPROTONOSUPPORT) {
		return err
	}
	if by, _ := e.engineFor(aboutIPsec); by == nil || by.path != "" {
		return err
	}
	if can, _ := e.kernelCan(aboutIPsec); !can {
		kernel.Hint = "this kernel does no ESP, whatever the algorithm: load module esp4 or esp6, or run the userspace engine: xfrmctl esp"
	}
	return err
}

// kernelHasESP sends SAs that ESP refuses for their encapsulation. The kernel
// looks for the cipher first, then for ESP, which loads its module, and then has
// ESP look at the SA (__xfrm_init_state of net/xfrm/xfrm_state.c).
func (e *env) kernelHasESP() (bool, string) {
	c, err := netlinkx.Dial(&netlinkx.Config{NetNS: e.netns})
	if errors.Is(err, errors.ErrUnsupported) {
		return false, "this kernel has no XFRM"
	}
	if err != nil {
		return true, fmt.Sprintf("it could not be asked for ESP: %v", err)
	}
	defer c.Close()
	for _, addrs := range [][2]string{{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8::2"}} {
		for _, set := range probeCiphers {
			sa := probeSA(addrs)
			set(sa)
			err := c.AddSA(e.ctx, sa)
			if err == nil { // no kernel is known to
				_ = c.DeleteSA(e.ctx, sa.ID())
			}
			if errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.ENOENT) {
				continue // of the cipher
			}
			if errors.Is(err, syscall.EPROTONOSUPPORT) || errors.Is(err, syscall.EAFNOSUPPORT) {
				break
			}
			return true, "it does ESP"
		}
	}
	return false, "this kernel does no ESP"
}

// probeSA is one that ESP refuses.
func probeSA(addrs [2]string) *netlinkx.SA {
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = netip.MustParseAddr(addrs[0]), netip.MustParseAddr(addrs[1])
	sa.Proto, sa.SPI, sa.Mode = netlinkx.ProtoESP, 0xfffffff0, netlinkx.ModeTunnel
	sa.ReplayWindow = 32
	sa.Encap = &netlinkx.Encap{Type: 0xff, SrcPort: 4500, DstPort: 4500}
	return sa
}

// probeCiphers are common ones; their keys protect nothing.
var probeCiphers = []func(*netlinkx.SA){
	func(sa *netlinkx.SA) {
		sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 128}
	},
	func(sa *netlinkx.SA) {
		sa.Crypt = &netlinkx.Algo{Name: "cbc(aes)", Key: netlinkx.NewKey(make([]byte, 16))}
		sa.AuthTrunc = &netlinkx.AuthTrunc{Name: "hmac(sha256)", Key: netlinkx.NewKey(make([]byte, 32)), ICVBits: 128}
	},
	func(sa *netlinkx.SA) {
		sa.Crypt = &netlinkx.Algo{Name: "ecb(cipher_null)"}
		sa.AuthTrunc = &netlinkx.AuthTrunc{Name: "hmac(sha1)", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 96}
	},
}

// kernelHasInterfaces asks for an interface with a name that no device may have
// and more queues than any. The kernel looks for the kind first (rtnl_newlink of
// net/core/rtnetlink.c).
func (e *env) kernelHasInterfaces() (bool, string) {
	conn, err := e.dialLinks()
	if err != nil {
		return true, fmt.Sprintf("it could not be asked for XFRM interfaces: %v", err)
	}
	defer conn.Close()
	kind, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: unix.IFLA_INFO_KIND, Data: []byte("xfrm\x00")}})
	if err != nil {
		return true, err.Error()
	}
	attrs, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.IFLA_IFNAME, Data: []byte("no/name\x00")},
		{Type: unix.IFLA_NUM_TX_QUEUES, Data: []byte{0xff, 0xff, 0xff, 0x7f}},
		{Type: unix.NLA_F_NESTED | unix.IFLA_LINKINFO, Data: kind},
	})
	if err != nil {
		return true, err.Error()
	}
	_, err = conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_NEWLINK, Flags: netlink.Request | netlink.Acknowledge | netlink.Create | netlink.Excl},
		Data:   append(make([]byte, unix.SizeofIfInfomsg), attrs...),
	})
	if errors.Is(linkError(err), unix.EOPNOTSUPP) {
		return false, "this kernel has no XFRM interfaces"
	}
	return true, "it has XFRM interfaces"
}
