package ipxfrm

import (
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func TestStateFilterMatch(t *testing.T) {
	sa := &netlinkx.SA{
		Src: netip.MustParseAddr("10.1.2.3"), Dst: netip.MustParseAddr("10.9.0.1"), Family: netlinkx.FamilyIPv4,
		Proto: netlinkx.ProtoESP, SPI: 5, Mode: netlinkx.ModeTunnel, ReqID: 7, Flags: netlinkx.FlagESN,
		IfID: 3, Mark: netlinkx.Mark{Value: 0x15, Mask: 0xff}, Dir: netlinkx.DirIn,
		Offload: &netlinkx.Offload{IfIndex: 1, Flags: netlinkx.OffloadPacket},
	}
	for words, want := range map[string]bool{
		"":                                    true,
		"nokeys":                              true,
		"src 10.1.0.0/16":                     true,
		"src 10.1.2.3":                        true,
		"src 10.1.2.2":                        false,
		"src 10.2.0.0/16":                     false,
		"src 99.0.0.0/0":                      true,
		"dst 10.8.0.0/15":                     true,
		"dst fd00::/0":                        false,
		"proto esp":                           true,
		"proto ah":                            false,
		"proto ipsec-any":                     false,
		"spi 5":                               true,
		"spi 0":                               false,
		"mode tunnel":                         true,
		"mode transport":                      false,
		"reqid 7":                             true,
		"reqid 0":                             false,
		"flag esn":                            true,
		"flag noecn esn":                      true,
		"flag noecn":                          false,
		"flag 0x0":                            false,
		"if_id 3":                             true,
		"if_id 0":                             false,
		"mark 0x15":                           true,
		"mark 5":                              false,
		"mark 5 mask 0xf":                     true,
		"mark 0 mask 0":                       true,
		"dir in":                              true,
		"dir out":                             false,
		"offload":                             true,
		"offload packet":                      true,
		"offload crypto":                      false,
		"offload dev lo":                      true,
		"offload nokeys":                      true,
		"proto esp if_id 4":                   false,
		"mode tunnel spi 4":                   false,
		"reqid 7 proto esp":                   true,
		"offload packet if_id 3 dst 10.9.0.1": true,
	} {
		line := "state list"
		if words != "" {
			line += " " + words
		}
		if got := mustParse(t, line).StateFilter.Match(sa); got != want {
			t.Errorf("%q: got %v, want %v", words, got, want)
		}
	}
	for family, want := range map[netlinkx.Family]bool{0: true, netlinkx.FamilyIPv4: true, netlinkx.FamilyIPv6: false, familyBridge: false} {
		cmd, err := Parse([]string{"state"}, &Context{Family: family})
		if err != nil || cmd.StateFilter.Match(sa) != want {
			t.Errorf("family %s: %v, want match %v", family, err, want)
		}
	}
	plain := &netlinkx.SA{Family: netlinkx.FamilyIPv4, Proto: netlinkx.ProtoESP}
	for words, want := range map[string]bool{"offload": false, "mark 0": true, "if_id 0": true, "dir in": false, "src 0.0.0.0": true} {
		if got := mustParse(t, "state deleteall "+words).StateFilter.Match(plain); got != want {
			t.Errorf("plain SA, %q: got %v, want %v", words, got, want)
		}
	}
}

func TestPolicyFilterMatch(t *testing.T) {
	pol := &netlinkx.Policy{
		Selector: netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.1.0.0/24"), Dst: netip.MustParsePrefix("10.2.0.0/16"),
			Proto: 47, SrcPort: netlinkx.PortMatch{Port: 1, Mask: 0xffff}, DstPort: netlinkx.PortMatch{Port: 2, Mask: 0xffff}, IfIndex: 1},
		Dir: netlinkx.PolicyOut, Index: 9, Action: netlinkx.ActionBlock, Priority: 4, Flags: netlinkx.PolicyICMP,
		Type: netlinkx.Some(netlinkx.PolicySub), IfID: 3, Mark: netlinkx.Mark{Value: 5, Mask: 0xff},
	}
	for words, want := range map[string]bool{
		"":                          true,
		"nosock":                    true,
		"src 10.0.0.0/7":            true,
		"src 10.1.0.9/31":           false,
		"src 10.1.0.0":              true,
		"dst 10.2.0.0/8 dev lo":     true,
		"dev none":                  false,
		"proto gre":                 true,
		"proto any":                 false,
		"proto gre key 2":           true, // the upper half of a key is not compared
		"proto gre key 0x70002":     true,
		"proto gre key 3":           false,
		"dir out":                   true,
		"dir in":                    false,
		"index 9":                   true,
		"index 0":                   false,
		"ptype sub":                 true,
		"ptype main":                false,
		"action block":              true,
		"action allow":              false,
		"priority 4":                true,
		"priority 0":                false,
		"flag localok icmp":         true,
		"flag localok":              false,
		"if_id 3":                   true,
		"if_id 0":                   false,
		"mark 5":                    true,
		"mark 4 mask 4":             true,
		"mark 0":                    false,
		"offload":                   false,
		"dst fd00::/8":              false,
		"priority 4 src 11.0.0.0/8": false,
	} {
		line := "policy list"
		if words != "" {
			line += " " + words
		}
		if got := mustParse(t, line).PolicyFilter.Match(pol); got != want {
			t.Errorf("%q: got %v, want %v", words, got, want)
		}
	}
}

func TestPolicyFilterPorts(t *testing.T) {
	pol := &netlinkx.Policy{Selector: netlinkx.Selector{Family: netlinkx.FamilyIPv4, Proto: 17, DstPort: netlinkx.PortMatch{Port: 53, Mask: 0xffff}}}
	for words, want := range map[string]bool{"sport 0": true, "dport 53": true, "dport 0": false, "sport 53": false, "proto udp sport 0 dport 53": true} {
		if got := mustParse(t, "policy list "+words).PolicyFilter.Match(pol); got != want {
			t.Errorf("%q: got %v, want %v", words, got, want)
		}
	}
}

// Per-socket policies have directions of their own; any dir hides them.
func TestPolicyFilterSockets(t *testing.T) {
	socket := &netlinkx.Policy{Dir: netlinkx.SocketDirOffset + netlinkx.PolicyOut}
	for words, want := range map[string]bool{"policy list": true, "policy list dir out": false, "policy list nosock": false, "policy list ptype main": true} {
		if got := mustParse(t, words).PolicyFilter.Match(socket); got != want {
			t.Errorf("%q: got %v, want %v", words, got, want)
		}
	}
}
