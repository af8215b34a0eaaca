package ipxfrm

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// sameValues compares netlinkx values, keys by what they hold.
var sameValues = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(netlinkx.Key.Equal),
}

// mustParse parses a line that is right.
func mustParse(t *testing.T, line string) *Command {
	t.Helper()
	cmd, err := parseLine(line, testContext())
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return cmd
}

// espSA is what `state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 enc a k`
// gives.
func espSA() *netlinkx.SA {
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	sa.Proto, sa.SPI, sa.Family = netlinkx.ProtoESP, 0x100, netlinkx.FamilyIPv4
	sa.Crypt = &netlinkx.Algo{Name: "a", Key: netlinkx.NewKey([]byte("k"))}
	return sa
}

func TestParseSA(t *testing.T) {
	const all = 1<<32 - 1
	prefix := netip.MustParsePrefix
	for words, change := range map[string]func(sa *netlinkx.SA){
		"":                              func(*netlinkx.SA) {},
		"mode t":                        func(*netlinkx.SA) {},
		"mode tu":                       func(sa *netlinkx.SA) { sa.Mode = netlinkx.ModeTunnel },
		"mode b":                        func(sa *netlinkx.SA) { sa.Mode = netlinkx.ModeBEET },
		"mode iptfs":                    func(sa *netlinkx.SA) { sa.Mode = netlinkx.ModeIPTFS },
		"mode tunnel mode transport":    func(*netlinkx.SA) {},
		"mark 5":                        func(sa *netlinkx.SA) { sa.Mark = netlinkx.Mark{Value: 5, Mask: all} },
		"mark 0":                        func(sa *netlinkx.SA) { sa.Mark = netlinkx.Mark{Mask: all} },
		"mark 5 mask 0xff":              func(sa *netlinkx.SA) { sa.Mark = netlinkx.Mark{Value: 5, Mask: 0xff} },
		"mark 5 mask 0":                 func(*netlinkx.SA) {},
		"reqid 1 reqid 2":               func(sa *netlinkx.SA) { sa.ReqID = 2 },
		"seq 5":                         func(sa *netlinkx.SA) { sa.Seq = toNetwork(5) },
		"replay-window 32":              func(sa *netlinkx.SA) { sa.ReplayWindow = 32 },
		"replay-seq 3 replay-seq-hi 1":  func(sa *netlinkx.SA) { sa.Replay = &netlinkx.ReplayState{Seq: 3} },
		"replay-seq-hi 1 replay-oseq 0": func(*netlinkx.SA) {},
		"flag noecn esn dir out":        func(sa *netlinkx.SA) { sa.Flags, sa.Dir, sa.ReplayESN = 129, netlinkx.DirOut, &netlinkx.ReplayESN{} },
		"flag noecn flag icmp":          func(sa *netlinkx.SA) { sa.Flags = 17 },
		"flag noecn flag 0x2":           func(sa *netlinkx.SA) { sa.Flags = 2 },
		"flag mode tunnel":              func(sa *netlinkx.SA) { sa.Mode = netlinkx.ModeTunnel },
		"extra-flag oseq-may-wrap":      func(sa *netlinkx.SA) { sa.ExtraFlags = netlinkx.ExtraOSeqMayWrap },
		"limit time-soft -1":            func(sa *netlinkx.SA) { sa.Limits.SoftAdd = netlinkx.Inf },
		"limit byte-hard 5 limit packet-soft 6": func(sa *netlinkx.SA) {
			sa.Limits.HardBytes, sa.Limits.SoftPackets = 5, 6
		},
		"limit time-hard 1 limit time-use-soft 2 limit time-use-hard 3 limit byte-soft 4 limit packet-hard 5": func(sa *netlinkx.SA) {
			sa.Limits = netlinkx.Limits{HardAdd: 1, SoftUse: 2, HardUse: 3, SoftBytes: 4, HardPackets: 5, HardBytes: netlinkx.Inf, SoftPackets: netlinkx.Inf}
		},
		"replay-window 33 replay-seq 1 replay-oseq 2 replay-seq-hi 3 replay-oseq-hi 4": func(sa *netlinkx.SA) {
			sa.ReplayWindow = 33
			sa.ReplayESN = &netlinkx.ReplayESN{Seq: 1, OSeq: 2, SeqHi: 3, OSeqHi: 4, BitmapLen: 2}
		},
		"encap espinudp 4500 4501 1.2.3.4": func(sa *netlinkx.SA) {
			sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: 4500, DstPort: 4501, OriginalAddr: netip.MustParseAddr("1.2.3.4")}
		},
		"encap espintcp 1 2 any": func(sa *netlinkx.SA) {
			sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinTCP, SrcPort: 1, DstPort: 2}
		},
		"ctx a:b": func(sa *netlinkx.SA) { sa.SecCtx = &netlinkx.SecCtx{DOI: 1, Alg: 1, Context: "a:b"} },
		"offload dev lo dir in": func(sa *netlinkx.SA) {
			sa.Dir, sa.Offload = netlinkx.DirIn, &netlinkx.Offload{IfIndex: 1, Flags: netlinkx.OffloadInbound}
		},
		"dir in offload packet dev lo dir out": func(sa *netlinkx.SA) {
			sa.Dir, sa.Offload = netlinkx.DirOut, &netlinkx.Offload{IfIndex: 1, Flags: netlinkx.OffloadPacket}
		},
		"offload crypto dev lo dir out dir in": func(sa *netlinkx.SA) {
			sa.Dir, sa.Offload = netlinkx.DirIn, &netlinkx.Offload{IfIndex: 1, Flags: netlinkx.OffloadInbound}
		},
		"output-mark 5":        func(sa *netlinkx.SA) { sa.OutputMark = netlinkx.Mark{Value: 5} },
		"output-mark 5 mask 7": func(sa *netlinkx.SA) { sa.OutputMark = netlinkx.Mark{Value: 5, Mask: 7} },
		"output-mark 0 mask 7": func(*netlinkx.SA) {},
		"if_id 7":              func(sa *netlinkx.SA) { sa.IfID = 7 },
		"tfcpad 1400":          func(sa *netlinkx.SA) { sa.TFCPad = 1400 },
		"pcpu-num 0":           func(sa *netlinkx.SA) { sa.PCPU = netlinkx.Some[uint32](0) },
		"pcpu-num 0xffffffff":  func(*netlinkx.SA) {},
		"nat-keepalive 20":     func(sa *netlinkx.SA) { sa.NATKeepalive = 20 },
		"mapping-thresh 10":    func(sa *netlinkx.SA) { sa.MTimerThresh = 10 },
		"replay-thresh 0":      func(sa *netlinkx.SA) { sa.ReplayThresh = netlinkx.Some[uint32](0) },
		"etimer-thresh 9":      func(sa *netlinkx.SA) { sa.ETimerThresh = netlinkx.Some[uint32](9) },
		"auth-trunc h k 96": func(sa *netlinkx.SA) {
			sa.AuthTrunc = &netlinkx.AuthTrunc{Name: "h", Key: netlinkx.NewKey([]byte("k")), ICVBits: 96}
		},
		"auth h ''":                func(sa *netlinkx.SA) { sa.Auth = &netlinkx.Algo{Name: "h"} },
		"auth " + long(70) + " 0x": func(sa *netlinkx.SA) { sa.Auth = &netlinkx.Algo{Name: long(63), Key: netlinkx.NewKey([]byte("0x"))} },
		"iptfs drop-time 1 reorder-window 2 reqid 3": func(sa *netlinkx.SA) {
			sa.IPTFS, sa.ReqID = netlinkx.IPTFS{DropTime: netlinkx.Some[uint32](1), ReorderWindow: netlinkx.Some[uint16](2)}, 3
		},
		"iptfs dont-frag init-delay 1 max-queue-size 2 pkt-size 0": func(sa *netlinkx.SA) {
			sa.IPTFS = netlinkx.IPTFS{DontFrag: true, InitDelay: netlinkx.Some[uint32](1), MaxQSize: netlinkx.Some[uint32](2), PktSize: netlinkx.Some[uint32](0)}
		},
		"sel src fd00::/8 proto icmp type 0 code 1 dev lo": func(sa *netlinkx.SA) {
			sa.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv6, Src: prefix("fd00::/8"), Proto: 1, IfIndex: 1,
				SrcPort: netlinkx.PortMatch{Mask: 0xffff}, DstPort: netlinkx.PortMatch{Port: 1, Mask: 0xffff}}
		},
		"sel dst 1.2.3.4/24 sport 0 dport 53": func(sa *netlinkx.SA) {
			sa.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Dst: prefix("1.2.3.4/24"), DstPort: netlinkx.PortMatch{Port: 53, Mask: 0xffff}}
		},
		"sel proto gre key 1.2.3.4": func(sa *netlinkx.SA) {
			sa.Selector = netlinkx.Selector{Proto: 47, SrcPort: netlinkx.PortMatch{Port: 0x102, Mask: 0xffff}, DstPort: netlinkx.PortMatch{Port: 0x304, Mask: 0xffff}}
		},
		"sel mode tunnel": func(sa *netlinkx.SA) { sa.Mode = netlinkx.ModeTunnel },
	} {
		want := espSA()
		change(want)
		line := strings.TrimSpace("state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 enc a k " + words)
		if diff := cmp.Diff(want, mustParse(t, line).SA, sameValues); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", words, diff)
		}
	}
}

func long(n int) string { return strings.Repeat("n", n) }

// The words of an ID and the order of groups change nothing.
func TestParseOrder(t *testing.T) {
	want := espSA()
	want.Mode = netlinkx.ModeTunnel
	for _, line := range []string{
		"state add mode tunnel enc a k spi 0x100 proto esp dst 10.0.0.2 src 10.0.0.1",
		"sa a enc a k dst 10.0.0.2/8 src 10.0.0.9 src 10.0.0.1 proto esp spi 256 mode tunnel",
		"s u dst 10.0.0.2 src 10.0.0.1 proto esp spi 0400 enc a 0x6b mode tun",
	} {
		if diff := cmp.Diff(want, mustParse(t, line).SA, sameValues); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", line, diff)
		}
	}
}

func TestParseKeyWords(t *testing.T) {
	for word, want := range map[string]string{
		"0x0102":    "\x01\x02",
		"0x102":     "\x01\x02",
		"0x":        "0x",
		"0X0102":    "0X0102",
		"0102":      "0102",
		"''":        "",
		"0x+f":      "\x0f",
		"text":      "text",
		"@file":     "from @file",
		"@-":        "from @-",
		"env:NAME":  "from env:NAME",
		"environ":   "environ",
		"0xFFfeAb0": "\x0f\xff\xea\xb0",
	} {
		c := testContext()
		c.Key = func(w string) ([]byte, error) { return []byte("from " + w), nil }
		cmd, err := parseLine("state add proto esp enc a "+word, c)
		if err != nil {
			t.Errorf("%s: %v", word, err)
			continue
		}
		if got := string(cmd.SA.Crypt.Key.Reveal()); got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
		if onArgv := !strings.HasPrefix(want, "from ") && want != ""; cmd.KeyOnArgv != onArgv {
			t.Errorf("%s: key on argv: %v", word, cmd.KeyOnArgv)
		}
	}
}

func TestParseKeyErrors(t *testing.T) {
	c := testContext()
	c.Key = func(w string) ([]byte, error) {
		if w == "@long" {
			return make([]byte, 513), nil
		}
		return nil, os.ErrNotExist
	}
	for line, want := range map[string]*Error{
		"enc a 0x" + strings.Repeat("0", 1024):        nil,
		"enc a 0x" + strings.Repeat("0", 1025):        {255, "Error: argument \"<hidden>\" is wrong: ALGO-KEYMAT value makes buffer overflow\n", ""},
		"enc a " + strings.Repeat("k", 512):           nil,
		"enc a " + strings.Repeat("k", 513):           {255, "Error: argument \"<hidden>\" is wrong: ALGO-KEYMAT value makes buffer overflow\n", ""},
		"enc a 0xsecret":                              {255, "Error: argument \"<hidden>\" is wrong: ALGO-KEYMAT value is invalid", ""},
		"enc a @none":                                 {1, "Error: file does not exist", ""},
		"enc a @long":                                 {255, "Error: argument \"@long\" is wrong: ALGO-KEYMAT value makes buffer overflow\n", ""},
		"auth-trunc hmac(sha256) 128 topsecret":       {255, "Error: argument \"<hidden>\" is wrong: ALGO-TRUNC-LEN value is invalid", ""},
		"auth-trunc hmac(sha256) 128 reqid":           {255, "Error: argument \"reqid\" is wrong: ALGO-TRUNC-LEN value is invalid", ""},
		"enc cbc aes topsecret":                       {255, "Error: argument \"<hidden>\" is wrong: unknown", ""},
		"enc cbc aes src 10.0.0.1":                    {255, "Error: argument \"src\" is wrong: unknown", ""},
		"enc cbc aes modee":                           {255, "Error: argument \"modee\" is wrong: unknown", "mode"},
		"enc cbc aes reqid 0x0011223344556677889":     {255, "Error: argument \"<hidden>\" is wrong: REQID value is invalid", ""},
		"enc cbc aes reqid 1 00112233445566778":       {255, "Error: argument \"<hidden>\" is wrong: unknown", ""},
		"enc cbc aes reqid 1 key=0x11223344556677889": {255, "Error: argument \"<hidden>\" is wrong: unknown", ""},
	} {
		_, err := parseLine("state add proto esp "+line, c)
		var got *Error
		errors.As(err, &got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.60s: (-want +got)\n%s", line, diff)
		}
	}
	if _, err := parseLine("state add proto esp enc a @file", nil); err == nil {
		t.Error("a key file without a reader: no error")
	}
}

func TestParseWarnings(t *testing.T) {
	for line, want := range map[string][]string{
		"state add proto esp spi 256 enc a k auth h k dir out":                       nil,
		"state add proto esp spi 256 aead a k 128 replay-window 0":                   nil,
		"state add proto esp spi 256 aead a k 128":                                   {"anti-replay is off"},
		"state add proto ah spi 256 auth h k":                                        {"anti-replay is off"},
		"state update proto esp spi 256 aead a k 128":                                nil,
		"state add proto comp spi 5 comp deflate":                                    nil,
		"state add proto esp spi 255 aead a k 128 dir out":                           {"spi 0x000000ff is reserved"},
		"state add proto esp aead a k 128 dir out":                                   {"spi 0 is no SPI"},
		"state add proto esp spi 256 enc a k dir out":                                {"enc without auth"},
		"state add proto ah spi 256 auth hmac(sha256) k dir out":                     {"96 bits"},
		"state add proto ah spi 256 auth sha256 k dir out":                           {"96 bits"},
		"state add proto ah spi 256 auth-trunc sha256 k 128 dir out":                 nil,
		"state add proto ah spi 256 auth h 0x123 dir out":                            {"the key of auth has an odd number"},
		"state add proto ah spi 256 auth h 0X12 dir out":                             {"the key of auth begins with 0X"},
		"state add proto ah spi 256 auth h 00112233445566778899aabbccddeeff dir out": {"the key of auth is all hex digits"},
		"state add proto esp spi 256 enc e 0x auth h k dir out":                      {"the key of enc is taken as the two letters"},
	} {
		got := mustParse(t, line).Warnings
		if len(got) != len(want) {
			t.Errorf("%s: got %q, want %q", line, got, want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s: got %q, want %q", line, got[i], want[i])
			}
		}
	}
}
