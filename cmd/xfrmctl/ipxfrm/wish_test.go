package ipxfrm

import (
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func TestOffloadWish(t *testing.T) {
	const sa = "state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 1 aead rfc4106(gcm(aes)) 0x00 128 "
	tests := []struct {
		words string
		wish  OffloadWish
		typ   string
		flags netlinkx.OffloadFlags
		dev   bool
	}{
		{"offload dev lo dir in", "", "", netlinkx.OffloadInbound, true},
		{"offload auto dir in", OffloadAuto, "", netlinkx.OffloadInbound, false},
		{"dir out offload auto", OffloadAuto, "", 0, false},
		{"offload auto packet dir out", OffloadAuto, "packet", netlinkx.OffloadPacket, false},
		{"offload auto crypto dev lo dir out", OffloadAuto, "crypto", 0, true},
		{"offload auto dev lo dir out", OffloadAuto, "", 0, true},
		{"offload require dev lo dir out", OffloadRequire, "", 0, true},
		{"offload prefer packet dev lo dir in", OffloadPrefer, "packet", netlinkx.OffloadInbound | netlinkx.OffloadPacket, true},
	}
	for _, tt := range tests {
		cmd := mustParse(t, sa+tt.words)
		o := cmd.SA.Offload
		if cmd.Wish != tt.wish || cmd.WishType != tt.typ || o == nil || o.Flags != tt.flags || (o.IfIndex != 0) != tt.dev {
			t.Errorf("%q: wish %q type %q offload %+v", tt.words, cmd.Wish, cmd.WishType, o)
		}
	}
	for words, says := range map[string]string{
		sa + "offload auto":                   "needs a direction",
		sa + "offload require dir out":        "Missing dev keyword",
		sa + "offload require packet dir out": "Missing dev keyword",
		sa + "offload prefer dev lo":          "not complete",
		sa + "offload always dev lo dir out":  "Missing dev keyword",
		strings.Replace(sa, "add", "update", 1) + "offload require dev lo dir out": "is for \"state add\"",
	} {
		if _, err := Parse(strings.Fields(words), testContext()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error that says %q", words, err, says)
		}
	}
}
