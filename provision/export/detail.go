package export

import (
	"fmt"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
)

// detail adds both values to a word that tells what differs, where they say
// more.
func detail(d *provision.Difference, word string) string {
	var here, then any
	switch {
	case d.GotSA != nil:
		here, then = saDetail(d.GotSA, d.WantSA, word)
	case d.GotPolicy != nil && word == "priority":
		return fmt.Sprintf("priority (%d here; the document prefers the narrower)", d.GotPolicy.Priority)
	case d.GotInterface != nil:
		here, then = ifaceDetail(d.GotInterface, d.WantInterface, word)
	}
	if here == nil {
		return word
	}
	return fmt.Sprintf("%s (%v here, %v by the document)", word, here, then)
}

func saDetail(got, want *netlinkx.SA, word string) (here, then any) {
	switch word {
	case "replay-window":
		return got.ReplayWindow, want.ReplayWindow
	case "reqid":
		return got.ReqID, want.ReqID
	case "dir":
		return "not set", want.Dir
	case "flag":
		return flags(got.Flags), flags(want.Flags)
	case "algorithms":
		return suite(got), suite(want)
	case "tfcpad":
		return got.TFCPad, want.TFCPad
	case "offload":
		if got.Offload != nil {
			return "on a device", "in software: it is another device than the underlay, or not alike for both SAs"
		}
	case "encap":
		if got.Encap != nil && want.Encap == nil {
			return fmt.Sprintf("%s %d", got.Encap.Type, got.Encap.DstPort), "none: the kernel receives it only while a process holds the port"
		}
	}
	return nil, nil
}

// flags names flags as `ip xfrm` does.
func flags(f netlinkx.SAFlags) string {
	var names []string
	for _, x := range []struct {
		flag netlinkx.SAFlags
		name string
	}{
		{netlinkx.FlagNoECN, "noecn"}, {netlinkx.FlagDecapDSCP, "decap-dscp"}, {netlinkx.FlagNoPMTUDisc, "nopmtudisc"}, {netlinkx.FlagWildRecv, "wildrecv"},
		{netlinkx.FlagICMP, "icmp"}, {netlinkx.FlagAFUnspec, "af-unspec"}, {netlinkx.FlagESN, "esn"},
	} {
		if f&x.flag != 0 {
			names = append(names, x.name)
			f &^= x.flag
		}
	}
	if f != 0 {
		names = append(names, fmt.Sprintf("%#x", uint8(f)))
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, " ")
}

// suite names the algorithms of an SA with the lengths of their keys, as far as
// the SA has them.
func suite(sa *netlinkx.SA) string {
	var parts []string
	add := func(name string, key netlinkx.Key, icv uint32) {
		part := fmt.Sprintf("%s key %d bits", name, 8*key.Len())
		if icv != 0 {
			part += fmt.Sprintf(" icv %d", icv)
		}
		parts = append(parts, part)
	}
	if sa.AEAD != nil {
		add(sa.AEAD.Name, sa.AEAD.Key, sa.AEAD.ICVBits)
	}
	if sa.Crypt != nil {
		add(sa.Crypt.Name, sa.Crypt.Key, 0)
	}
	switch {
	case sa.AuthTrunc != nil:
		add(sa.AuthTrunc.Name, sa.AuthTrunc.Key, sa.AuthTrunc.ICVBits)
	case sa.Auth != nil:
		add(sa.Auth.Name, sa.Auth.Key, 0)
	}
	return strings.Join(parts, ", ")
}

func ifaceDetail(got, want *provision.Interface, word string) (here, then any) {
	none := func(s string) string {
		if s == "" {
			return "none"
		}
		return s
	}
	switch word {
	case "mtu":
		return got.MTU, want.MTU
	case "dev":
		return none(got.Underlay), none(want.Underlay)
	case "disable_xfrm":
		onOff := map[bool]string{true: "on", false: "off"}
		return onOff[got.NoXFRM], onOff[want.NoXFRM]
	case "if_id":
		return got.IfID, want.IfID
	}
	return nil, nil
}
