package ipxfrm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// TestNamesAreThoseOfTheGrammar: what is printed can be typed, and what can be
// typed is printed.
func TestNamesAreThoseOfTheGrammar(t *testing.T) {
	flag := func(names []flagName) func(uint32) string {
		return func(v uint32) string { return strings.Join(jsonFlags(names, v), " ") }
	}
	shown := map[string]func(uint32) string{
		"XFRM-PROTO":   func(v uint32) string { return shownProto(netlinkx.Proto(v)) },
		"MODE":         func(v uint32) string { return shownMode(netlinkx.Mode(v), true) },
		"POLICY-DIR":   func(v uint32) string { return shownPolicyDir(netlinkx.PolicyDir(v)) },
		"PTYPE":        func(v uint32) string { return shownPolicyType(netlinkx.PolicyType(v)) },
		"ACTION":       func(v uint32) string { return shownAction(netlinkx.Action(v)) },
		"DEFAULT":      func(v uint32) string { return textDefault(netlinkx.DefaultAction(v)) },
		"SHARE":        func(v uint32) string { return shownShare(uint8(v)) },
		"ENCAP-TYPE":   func(v uint32) string { return shownEncap(netlinkx.EncapType(v)) },
		"FLAG":         flag(shownSAFlags),
		"EXTRA-FLAG":   flag(shownExtraFlags),
		"POLICY-FLAG":  flag(shownPolicyFlags),
		"MIGRATE-FLAG": flag(shownMigrateFlags),
	}
	for name, show := range shown {
		words := 0
		for _, c := range kinds[name].words {
			if c.quiet {
				continue
			}
			words++
			if got := show(c.v); got != c.name {
				t.Errorf("%s %s is printed as %q", name, c.name, got)
			}
		}
		if words < 2 {
			t.Errorf("%s has %d words", name, words)
		}
	}
}

// TestExtensionsAreThoseOfTheGrammar: the lines of extensions parse back.
func TestExtensionsAreThoseOfTheGrammar(t *testing.T) {
	sa := &netlinkx.SA{
		NATKeepalive: 20, MTimerThresh: 30, ReplayThresh: netlinkx.Some[uint32](2), ETimerThresh: netlinkx.Some[uint32](4),
		IPTFS: netlinkx.IPTFS{
			DropTime: netlinkx.Some[uint32](1), ReorderWindow: netlinkx.Some[uint16](2), DontFrag: true,
			InitDelay: netlinkx.Some[uint32](3), MaxQSize: netlinkx.Some[uint32](4), PktSize: netlinkx.Some[uint32](5),
		},
	}
	text := newTextRecord(nil, &Printer{Extensions: true})
	text.saExtensions(sa)
	words := append(strings.Fields("state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 1 mode iptfs enc aes 0x00"), strings.Fields(string(text.b))...)
	cmd, err := Parse(words, &Context{})
	if err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	got := &netlinkx.SA{
		NATKeepalive: cmd.SA.NATKeepalive, MTimerThresh: cmd.SA.MTimerThresh,
		ReplayThresh: cmd.SA.ReplayThresh, ETimerThresh: cmd.SA.ETimerThresh, IPTFS: cmd.SA.IPTFS,
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", sa) {
		t.Errorf("%s\ngot  %+v\nwant %+v", text.b, got, sa)
	}
}
