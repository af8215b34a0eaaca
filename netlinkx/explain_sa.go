package netlinkx

import (
	"fmt"
	"syscall"
)

// What is wrong with the form of an SA (verify_newsa_info of
// net/xfrm/xfrm_user.c, __xfrm_init_state of xfrm_state.c, and the protocols'
// own init functions).
var saRules = []rule{
	{errno: syscall.EPROTONOSUPPORT, words: "type not found", say: sayNoType},
	{errno: syscall.EPROTONOSUPPORT, words: "mode not found", say: sayNoMode},
	{errno: syscall.EPROTONOSUPPORT, words: "only tunnel modes", say: sayFamilyChange},
	{msgs: writeSA, errno: syscall.EPROTONOSUPPORT, bare: true, say: func(f *failure) string { return join(sayFamilyChange(f), sayNoType(f)) }},
	{words: "unsupported protocol", hint: "SAs are of protocol esp, ah, comp, hao or route2"},
	{words: "missing required attribute for ah", hint: "ah needs an integrity algorithm: auth-trunc NAME KEY BITS"},
	{words: "requires a state with an auth algorithm", hint: "ah needs an integrity algorithm: auth-trunc NAME KEY BITS"},
	{words: "invalid attributes for ah", hint: "ah takes an integrity algorithm alone: no aead, enc, comp or tfcpad"},
	{words: "ah not compatible encapsulation", hint: "a nat rewrites addresses that ah protects, so there is no udp encapsulation of ah: use esp"},
	{words: "invalid attribute for esp comp", hint: "compression is an sa of its own (proto comp) below the esp sa"},
	{words: "missing required attribute for esp", hint: "esp needs an aead, or a cipher (enc) with an integrity algorithm (auth-trunc)"},
	{words: "invalid attribute combination for esp", hint: "an aead encrypts and protects: leave out enc, auth and auth-trunc"},
	{words: "aead or crypt must be provided", hint: "esp without encryption still names a cipher: enc 'ecb(cipher_null)' ''"},
	{words: "tfc padding can only tunnel", hint: "tfcpad needs mode tunnel (RFC 4303 section 2.7)"},
	{words: "excessive tfc", hint: "tfcpad is at most 65535 bytes"},
	{words: "missing required attribute for comp", hint: "ipcomp needs a compression algorithm: comp deflate"},
	{words: "missing required compression", hint: "ipcomp needs a compression algorithm: comp deflate"},
	{words: "invalid attributes for comp", hint: "ipcomp takes a compression algorithm alone: no aead, enc, auth or tfcpad"},
	{words: "spi is too large for comp", hint: "an ipcomp spi is a 16-bit cpi: at most 0xffff"},
	{words: "ipcomp not compatible encapsulation", hint: "put encap on the esp sa above the ipcomp sa"},
	{words: "mode for ipcomp", hint: "ipcomp takes mode transport or tunnel"},
	{words: "failed to initialize the associated state", say: sayIPCompHelper},
	{words: "coaddr for dstopts/routing", hint: "mobile ipv6 SAs need coa ADDR, the care-of address"},
	{words: "dstopts/routing", hint: "mobile ipv6 SAs take no algorithms, encapsulation or padding"},
	{words: "spi must be 0", hint: "mobile ipv6 SAs have spi 0 and mode ro"},
	{words: "mode must be xfrm_mode_routeoptimization", hint: "mobile ipv6 SAs have spi 0 and mode ro"},
	{words: "tunnel can only be used with tunnel mode", hint: "ip-in-ip SAs have mode tunnel"},
	{words: "tunnel not compatible encapsulation", hint: "ip-in-ip SAs have no encap: put it on the esp sa"},
	{msgs: writeSA, words: "attribute length", say: sayAlgoLength},
	{words: "security context length", hint: "the security context's declared length differs from the attribute's"},
	{words: "invalid algorithm attribute type", hint: "the kernel copied an algorithm it does not know how to copy: a fault of the kernel"},
	{words: "unsupported mode", say: sayNoMode},
	{words: "unsupported encapsulation type", say: sayEncapType},
	{words: "mtimer_thresh output", hint: "only inbound SAs see the peer's address change: leave out mtimer_thresh, or dir out"},
	{words: "mtimer_thresh", hint: "mtimer_thresh limits events about the peer's nat mapping: it needs encap"},
	{words: "nat keepalive outbound", hint: "keepalives are sent by outbound SAs: add dir out"},
	{words: "nat keepalive encapsulation", hint: "keepalives go through the nat's mapping: they need encap espinudp"},
	{words: "ip-tfs mode only supported with esp", hint: "mode iptfs needs proto esp (RFC 9347)"},
	{words: "ip-tfs mode requires", hint: "an sa of mode iptfs says its direction: dir in or dir out"},
	{words: "ip-tfs options", hint: "the iptfs attributes need mode iptfs"},
	{words: "ip-tfs set for output sa", hint: "drop time and reorder window are the receiver's: they belong to dir in"},
	{words: "ip-tfs set for input sa", hint: "dont-frag, init delay, max queue size and packet size are the sender's: they belong to dir out"},
	{words: "packet size iptfs", hint: "the iptfs packet size counts the outer packet: 0 for the path mtu, or more than the headers of ip, esp and iptfs"},
	{words: "cannot alloc reorder window", hint: "no memory for the iptfs reorder window: make it smaller"},
	{words: "sa_pcpu only supported with sa_dir", hint: "a per-cpu sa says its direction: dir in or dir out"},
	{words: "pcpu number too big", say: sayPCPU},
	{words: "invalid attribute sa_dir", hint: "only an sa's add, update and allocspi carry a direction: this message takes none"},
	{words: "invalid attribute sa_pcpu", hint: "only an sa's add, update and allocspi, and acquire, carry a cpu: this message takes none"},
	{msgs: writeSA, words: "address family in selector", hint: "the selector's family must be inet or inet6, or absent"},
	{msgs: writeSA, words: "prefix length in selector", hint: "a selector's prefix is at most 32 bits long for inet, 128 for inet6; do both prefixes have the selector's family?"},
	{words: "invalid address family", hint: "the family of an sa is inet or inet6, that of its addresses"},
}

// typeModules names the module and the option behind a protocol.
var typeModules = map[Proto]struct{ module, option string }{
	ProtoESP:  {"esp", "ESP"},
	ProtoAH:   {"ah", "AH"},
	ProtoComp: {"ipcomp", "IPCOMP"},
}

func sayNoType(f *failure) string {
	id, ok := f.said()
	if !ok {
		return ""
	}
	n := ipVersion(id)
	m, ok := typeModules[id.Proto]
	switch {
	case (id.Proto == ProtoHAO || id.Proto == ProtoRoute2) && n == 6:
		return "this kernel has no mobile ipv6 (CONFIG_IPV6_MIP6), or may not load its module; run: modprobe mip6"
	case !ok:
		return fmt.Sprintf("this kernel has no protocol %s for ipv%d", id.Proto, n)
	}
	module := fmt.Sprintf("%s%d", m.module, n)
	if module == "ipcomp4" {
		module = "ipcomp"
	}
	return fmt.Sprintf("this kernel has no %s for ipv%d (CONFIG_INET%s_%s), or may not load its module; run: modprobe %s", id.Proto, n, six(n), m.option, module)
}

func sayNoMode(f *failure) string {
	sa := f.sa()
	if sa == nil {
		return ""
	}
	switch sa.Mode {
	case ModeIPTFS:
		return "mode iptfs needs linux 6.14 with CONFIG_XFRM_IPTFS; run: modprobe xfrm_iptfs"
	case ModeRO:
		return "mode ro is for mobile ipv6 SAs alone (proto hao or route2, family inet6)"
	case ModeInTrigger:
		return "the kernel has no SAs of mode in_trigger"
	}
	return fmt.Sprintf("this kernel has no mode %s for ipv%d: modes are transport, tunnel, beet and, since 6.14, iptfs", sa.Mode, ipVersion(sa.ID()))
}

func sayFamilyChange(f *failure) string {
	sa := f.sa()
	if sa == nil || sa.Mode == ModeTunnel || sa.Mode == ModeBEET || sa.Mode == ModeIPTFS {
		return ""
	}
	inner := familyOf(sa.Selector.Family, sa.Selector.Dst.Addr(), sa.Selector.Src.Addr())
	outer := orIPv4(familyOf(sa.Family, sa.Dst, sa.Src))
	if inner == FamilyUnspec || inner == outer {
		return ""
	}
	return fmt.Sprintf("mode %s keeps the packet's family: the selector is %s, the addresses are %s; use mode tunnel or beet", sa.Mode, inner, outer)
}

func sayIPCompHelper(f *failure) string {
	id, _ := f.said()
	n := ipVersion(id)
	return fmt.Sprintf("an ipcomp tunnel makes an ip-in-ip sa of its own, which needs xfrm%d_tunnel; run: modprobe xfrm%d_tunnel", n, n)
}

// sayAlgoLength: a declared length differs from the attribute's, which this
// package does not send, or an attribute's length is not the kernel's.
func sayAlgoLength(f *failure) string {
	if f.attr != "" {
		return "this kernel wants another length of " + f.attr + " than linux 7.2 does"
	}
	return "an attribute's length differs from what this kernel wants or from the key length declared in it"
}

func sayEncapType(f *failure) string {
	e := (*Encap)(nil)
	if sa := f.sa(); sa != nil {
		e = sa.Encap
	} else if m, ok := f.obj.(*MigrateState); ok {
		e = m.Encap
	}
	switch {
	case e == nil:
	case e.Type == EncapESPinTCP:
		return "this kernel has no esp in tcp (CONFIG_INET_ESPINTCP, CONFIG_INET6_ESPINTCP): use espinudp"
	case e.Type == EncapESPinUDPNonIKE:
		return "espinudp-nonike was removed in linux 6.10: use espinudp"
	}
	return "encapsulations are espinudp and, with CONFIG_INET_ESPINTCP, espintcp"
}

func sayPCPU(f *failure) string {
	n := ""
	if sa := f.sa(); sa != nil && sa.PCPU.Valid {
		n = fmt.Sprintf(" %d", sa.PCPU.V)
	}
	return fmt.Sprintf("cpu%s is not one of this machine's; run: cat /sys/devices/system/cpu/possible", n)
}
