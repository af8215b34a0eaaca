package ipxfrm

import (
	"strconv"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// flagName names a bit. Tables are in the order in which ip prints.
type flagName struct {
	bit  uint32
	name string
}

var shownSAFlags = []flagName{
	{uint32(netlinkx.FlagNoECN), "noecn"},
	{uint32(netlinkx.FlagDecapDSCP), "decap-dscp"},
	{uint32(netlinkx.FlagNoPMTUDisc), "nopmtudisc"},
	{uint32(netlinkx.FlagWildRecv), "wildrecv"},
	{uint32(netlinkx.FlagICMP), "icmp"},
	{uint32(netlinkx.FlagAFUnspec), "af-unspec"},
	{uint32(netlinkx.FlagAlign4), "align4"},
	{uint32(netlinkx.FlagESN), "esn"},
}

var shownExtraFlags = []flagName{
	{uint32(netlinkx.ExtraDontEncapDSCP), "dont-encap-dscp"},
	{uint32(netlinkx.ExtraOSeqMayWrap), "oseq-may-wrap"},
}

// shownPolicyFlags ends in the one that ip does not know.
var shownPolicyFlags = []flagName{
	{uint32(netlinkx.PolicyLocalOK), "localok"},
	{uint32(netlinkx.PolicyICMP), "icmp"},
	{uint32(netlinkx.PolicyCPUAcquire), "cpu-acquire"},
}

// shownProto names the protocol of an SA or template.
func shownProto(p netlinkx.Proto) string {
	switch p {
	case netlinkx.ProtoESP:
		return "esp"
	case netlinkx.ProtoAH:
		return "ah"
	case netlinkx.ProtoComp:
		return "comp"
	case netlinkx.ProtoRoute2:
		return "route2"
	case netlinkx.ProtoHAO:
		return "hao"
	case netlinkx.ProtoIPsecAny:
		return "ipsec-any"
	}
	return shownNumber(uint8(p))
}

// shownMode names a mode; ip has no word for IP-TFS.
func shownMode(m netlinkx.Mode, extensions bool) string {
	switch m {
	case netlinkx.ModeTransport:
		return "transport"
	case netlinkx.ModeTunnel:
		return "tunnel"
	case netlinkx.ModeRO:
		return "ro"
	case netlinkx.ModeInTrigger:
		return "in_trigger"
	case netlinkx.ModeBEET:
		return "beet"
	case netlinkx.ModeIPTFS:
		if extensions {
			return "iptfs"
		}
	}
	return shownNumber(uint8(m))
}

// shownShare names the share field of policies and templates (XFRM_SHARE_*).
func shownShare(s uint8) string {
	switch s {
	case 0:
		return "any"
	case 1:
		return "session"
	case 2:
		return "user"
	case 3:
		return "unique"
	}
	return shownNumber(s)
}

// shownPolicyType names a policy type.
func shownPolicyType(t netlinkx.PolicyType) string {
	switch t {
	case netlinkx.PolicyMain:
		return "main"
	case netlinkx.PolicySub:
		return "sub"
	}
	return shownNumber(uint8(t))
}

// shownPolicyDir names a direction without saying whether it is a socket's.
func shownPolicyDir(d netlinkx.PolicyDir) string {
	if d.Socket() {
		d -= netlinkx.SocketDirOffset
	}
	switch d {
	case netlinkx.PolicyIn:
		return "in"
	case netlinkx.PolicyOut:
		return "out"
	case netlinkx.PolicyFwd:
		return "fwd"
	}
	return shownNumber(uint8(d))
}

// shownAction names a policy's action.
func shownAction(a netlinkx.Action) string {
	switch a {
	case netlinkx.ActionAllow:
		return "allow"
	case netlinkx.ActionBlock:
		return "block"
	}
	return shownNumber(uint8(a))
}

// shownEncap names a kind of encapsulation.
func shownEncap(t netlinkx.EncapType) string {
	switch t {
	case netlinkx.EncapESPinUDPNonIKE:
		return "espinudp-nonike"
	case netlinkx.EncapESPinUDP:
		return "espinudp"
	case netlinkx.EncapESPinTCP:
		return "espintcp"
	}
	return strconv.Itoa(int(t))
}

// shownNumber prints what has no name. It allocates nothing below 100.
func shownNumber(v uint8) string { return strconv.Itoa(int(v)) }
