package ipxfrm

import (
	"errors"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// testContext knows the loopback device, which is number 1.
func testContext() *Context {
	return &Context{Device: func(name string) (int32, error) {
		if name == "lo" {
			return 1, nil
		}
		return 0, errors.New("no such device")
	}}
}

// parseLine parses words separated by blanks. Two single quotes are the empty word.
func parseLine(line string, c *Context) (*Command, error) {
	words := strings.Split(line, " ")
	for i := range words {
		if words[i] == "''" {
			words[i] = ""
		}
	}
	return Parse(words, c)
}

// refused are lines with the exit code and text of iproute2 7.3, which names
// itself in two of them.
var refused = []struct {
	line string
	code int
	text string
}{
	{"state add", 1, "Not enough information: ID is required"},
	{"state add foo", 255, `Error: argument "XFRM-PROTO" is required`},
	{"state add mode tunnel", 1, "Not enough information: ID is required"},
	{"state add mode", 255, `Command line is not complete. Try option "help"`},
	{"state add mode foo", 255, `Error: argument "foo" is wrong: MODE value is invalid`},
	{"state add src 10.0.0.1", 255, `Error: argument "XFRM-PROTO" is required`},
	{"state add src 10.0.0.1 dst fd00::1 proto esp", 255, `Error: argument "esp" is wrong: the same address family is required between values after "src" and "dst"`},
	{"state add src any proto esp", 255, `Error: argument "any" is wrong: value after "src" has an unrecognized address family`},
	{"state add src 10.0.0.256", 1, `Error: any valid prefix is expected rather than "10.0.0.256".`},
	{"state add proto tcp", 255, `Error: argument "tcp" is wrong: XFRM-PROTO value is invalid`},
	{"state add proto ESP", 255, `Error: argument "ESP" is wrong: XFRM-PROTO value is invalid`},
	{"state add src 10.0.0.1 proto esp spi x", 255, `Error: argument "x" is wrong: SPI value is invalid`},
	{"state add src 10.0.0.1 proto esp mode tunnel dst 10.0.0.2", 255, `Error: argument "dst" is wrong: unknown`},
	{"state add proto esp spi 1 foo", 255, `Error: argument "foo" is wrong: unknown`},
	{"state add proto comp spi 0x10000", 1, `SPI value is too large with XFRM-PROTO value "comp"`},
	{"state add proto hao spi 1", 1, `"spi" is invalid with XFRM-PROTO value "hao"`},
	{"state add proto esp", 1, `ALGO-TYPE value "enc" or "aead" is required with XFRM-PROTO value "esp"`},
	{"state add proto esp enc a b comp deflate", 1, `ALGO-TYPE value "comp" is invalid with XFRM-PROTO value "esp"`},
	{"state add proto esp comp deflate", 1, `ALGO-TYPE value "comp" is invalid with XFRM-PROTO value "esp"`},
	{"state add proto esp enc a b mode ro", 1, `MODE value is invalid with XFRM-PROTO value "esp"`},
	{"state add proto ah enc a b", 1, `ALGO-TYPE values "enc", "aead", and "comp" are invalid with XFRM-PROTO value "ah"`},
	{"state add proto ah", 1, `ALGO-TYPE value "auth" or "auth-trunc" is required with XFRM-PROTO value "ah"`},
	{"state add proto ah auth a b mode beet", 1, `MODE value is invalid with XFRM-PROTO value "ah"`},
	{"state add proto comp auth a b", 1, `ALGO-TYPE values "enc", "auth", "auth-trunc", and "aead" are invalid with XFRM-PROTO value "comp"`},
	{"state add proto comp", 1, `ALGO-TYPE value "comp" is required with XFRM-PROTO value "comp"`},
	{"state add proto hao enc a b", 1, `ALGO is invalid with XFRM-PROTO value "hao"`},
	{"state add proto hao", 1, `"mode" is required with XFRM-PROTO value "hao"`},
	{"state add proto hao mode tunnel", 1, `MODE value is invalid with XFRM-PROTO value "hao"`},
	{"state add proto hao mode ro", 1, `"coa" is required with XFRM-PROTO value "hao"`},
	{"state add proto esp enc a b coa 10.0.0.1", 1, `"coa" is invalid with XFRM-PROTO value "esp"`},
	{"state add proto ipsec-any enc a b", 1, `ALGO is invalid with XFRM-PROTO value "ipsec-any"`},
	{"state add coa 10.0.0.1 coa 10.0.0.2", 255, `Error: duplicate "coa": "coa" is the second value.`},
	{"state add coa any", 255, `Error: argument "any" is wrong: value after "coa" has an unrecognized address family`},
	{"state add ctx a ctx b", 255, `Error: duplicate "ctx": "ctx" is the second value.`},
	{"state add enc", 255, `Error: argument "ALGO-NAME" is required`},
	{"state add enc a", 255, `Error: argument "ALGO-KEYMAT" is required`},
	{"state add auth-trunc a b", 255, `Error: argument "ALGO-TRUNC-LEN" is required`},
	{"state add aead a b", 255, `Error: argument "ALGO-ICV-LEN" is required`},
	{"state add aead a b 1x", 255, `Error: argument "1x" is wrong: ALGO-ICV-LEN value is invalid`},
	{"state add enc a b enc c d", 255, `Error: duplicate "ALGO-TYPE": "enc" is the second value.`},
	{"state add enc a b aead c d 128", 255, `Error: duplicate "ALGO-TYPE": "aead" is the second value.`},
	{"state add auth a b auth-trunc c d 96", 255, `Error: duplicate "ALGO-TYPE": "auth-trunc" is the second value.`},
	{"state add comp a comp b", 255, `Error: duplicate "ALGO-TYPE": "comp" is the second value.`},
	{"state add mark", 255, `Command line is not complete. Try option "help"`},
	{"state add mark x", 255, "Error: argument \"x\" is wrong: MARK value is invalid\n"},
	{"state add mark 1 mask", 255, `Command line is not complete. Try option "help"`},
	{"state add mark 1 mask x", 255, "Error: argument \"x\" is wrong: MASK value is invalid\n"},
	{"state add reqid 4294967296", 255, `Error: argument "4294967296" is wrong: REQID value is invalid`},
	{"state add reqid -1", 255, `Error: argument "-1" is wrong: REQID value is invalid`},
	{"state add seq 1K", 255, `Error: argument "1K" is wrong: SEQ value is invalid`},
	{"state add replay-window x", 255, `Error: argument "x" is wrong: value after "replay-window" is invalid`},
	{"state add proto esp enc a b replay-window 4097", 255, "Error: replay-window (4097) > XFRMA_REPLAY_ESN_MAX (4096)."},
	{"state add proto esp enc a b flag esn", 255, "Error: esn flag set without replay-window."},
	{"state add flag", 255, `Command line is not complete. Try option "help"`},
	{"state add flag foo", 255, `Error: argument "XFRM-PROTO" is required`},
	{"state add flag 0x100", 255, `Error: argument "0x100" is wrong: FLAG value is invalid`},
	{"state add extra-flag 0xz", 255, `Error: argument "0xz" is wrong: "EXTRA-FLAG" is invalid`},
	{"state add limit foo 1", 255, `Error: argument "foo" is wrong: LIMIT value is invalid`},
	{"state add limit time-soft x", 255, `Error: argument "x" is wrong: value after "time-soft" is invalid`},
	{"state add limit byte-hard", 255, `Command line is not complete. Try option "help"`},
	{"state add encap udp 1 2 0.0.0.0", 255, `Error: argument "udp" is wrong: ENCAP-TYPE value is invalid`},
	{"state add encap espinudp x 2 0.0.0.0", 255, `Error: argument "x" is wrong: SPORT value after "encap" is invalid`},
	{"state add encap espinudp 1 65536 0.0.0.0", 255, `Error: argument "65536" is wrong: DPORT value after "encap" is invalid`},
	{"state add encap espinudp 1 2 10.0.0.1/8", 1, `Error: any valid address is expected rather than "10.0.0.1/8".`},
	{"state add offload", 255, `Command line is not complete. Try option "help"`},
	{"state add offload dev", 255, `Command line is not complete. Try option "help"`},
	{"state add offload dev nosuchdev0", 255, `Error: argument "nosuchdev0" is wrong: Invalid device name`},
	{"state add offload crypto packet dev lo", 255, `Error: argument "packet" is wrong: Missing dev keyword`},
	{"state add offload dev lo", 255, `Command line is not complete. Try option "help"`},
	{"state add offload dev lo in", 255, `Error: argument "in" is wrong: Missing DIR keyword`},
	{"state add offload dev lo dir fwd", 255, `Error: argument "fwd" is wrong: DIR value is not "in" or "out"`},
	{"state add output-mark x", 255, `Error: argument "x" is wrong: value after "output-mark" is invalid`},
	{"state add output-mark 1 mask x", 255, "Error: argument \"x\" is wrong: mask value is invalid\n"},
	{"state add if_id x", 255, `Error: argument "x" is wrong: value after "if_id" is invalid`},
	{"state add tfcpad x", 255, `Error: argument "x" is wrong: value after "tfcpad" is invalid`},
	{"state add dir fwd", 255, `Error: argument "fwd" is wrong: DIR value is not "in" or "out"`},
	{"state add pcpu-num x", 255, `Error: argument "x" is wrong: value after "pcpu-num" is invalid`},
	{"state add sel", 255, `Command line is not complete. Try option "help"`},
	{"state add sel foo", 255, `Error: argument "XFRM-PROTO" is required`},
	{"state add sel src any", 255, `Error: argument "any" is wrong: value after "src" has an unrecognized address family`},
	{"state add sel proto foo", 255, `Error: argument "foo" is wrong: PROTO value is invalid`},
	{"state add sel sport 65536 proto tcp", 255, `Error: argument "65536" is wrong: value after "sport" is invalid`},
	{"state add sel proto icmp sport 1", 1, `"sport" and "dport" are invalid with PROTO value "icmp"`},
	{"state add sel type 1", 1, `"type" and "code" are invalid with PROTO value "ip"`},
	{"state add sel proto icmp type 256", 255, `Error: argument "256" is wrong: value after "type" is invalid`},
	{"state add sel proto tcp key 1", 1, `"key" is invalid with PROTO value "tcp"`},
	{"state add sel proto gre key x", 255, `value after "key" is invalid`},
	{"state add sel proto gre key 1.x", 1, `Error: an IP address is expected rather than "1.x"`},
	{"state add sel dev nosuchdev0", 255, `Error: argument "nosuchdev0" is wrong: DEV value is invalid`},
	{"state add sel proto tcp dst 10.0.0.1 sport 80", 255, `Error: argument "XFRM-PROTO" is required`},
	{"state allocspi", 1, "Not enough information: ID is required"},
	{"state allocspi proto esp spi 1", 1, `"spi" is invalid`},
	{"state allocspi proto esp min 1", 1, `"max" is missing`},
	{"state allocspi proto esp max 1", 1, `"min" is missing`},
	{"state allocspi proto esp min 2 max 1", 1, `value after "min" is larger than value after "max"`},
	{"state allocspi min 1 min 2", 255, `Error: duplicate "min": "min" is the second value.`},
	{"state allocspi proto esp flag esn", 255, `Error: argument "flag" is wrong: unknown`},
	{"state get proto esp reqid 1", 255, `Error: argument "reqid" is wrong: unknown`},
	{"state get src 10.0.0.1", 255, `Error: argument "XFRM-PROTO" is required`},
	{"state list foo", 255, `Error: argument "foo" is wrong: unknown`},
	{"state list src 10.0.0.1 foo", 255, `Error: argument "foo" is wrong: unknown`},
	{"state list src 10.0.0.1 mode tunnel dst 10.0.0.1", 255, `Error: argument "dst" is wrong: unknown`},
	{"state flush foo", 255, `Error: argument "foo" is wrong: unknown`},
	{"state flush proto", 255, `Command line is not complete. Try option "help"`},
	{"state flush proto tcp", 255, `Error: argument "tcp" is wrong: XFRM-PROTO value is invalid`},
	{"state flush proto esp proto ah", 255, `Error: duplicate "proto": "proto" is the second value.`},
	{"state foo", 255, `Command "foo" is unknown, try "xfrmctl state help".`},
	{"state x y", 255, `Command "x" is unknown, try "xfrmctl state help".`},
	{"policy add", 1, "Not enough information: DIR is required."},
	{"policy add dir", 255, `Command line is not complete. Try option "help"`},
	{"policy add dir foo", 255, `Error: argument "foo" is wrong: DIR value is invalid`},
	{"policy add dir in dir out", 255, `Error: duplicate "dir": "dir" is the second value.`},
	{"policy add dir in foo", 255, `Error: duplicate "unknown": "foo" is the second value.`},
	{"policy add foo dir in", 255, `Error: duplicate "unknown": "foo" is the second value.`},
	{"policy add dir in src 10.0.0.0/24 priority 1 dst 10.0.0.0/24", 255, `Error: duplicate "unknown": "dst" is the second value.`},
	{"policy add dir in ptype x", 255, `Error: argument "x" is wrong: PTYPE value is invalid`},
	{"policy add dir in ptype main ptype sub", 255, `Error: duplicate "ptype": "ptype" is the second value.`},
	{"policy add dir in action x", 255, "Error: argument \"x\" is wrong: ACTION value is invalid\n"},
	{"policy add dir in priority x", 255, `Error: argument "x" is wrong: PRIORITY value is invalid`},
	{"policy add dir in index x", 255, `Error: argument "x" is wrong: INDEX value is invalid`},
	{"policy add dir in ctx a ctx b", 255, `Error: duplicate "ctx": "ctx" is the second value.`},
	{"policy add dir in flag foo", 255, `Error: duplicate "unknown": "foo" is the second value.`},
	{"policy add dir in if_id x", 255, `Error: argument "x" is wrong: IF_ID value is invalid`},
	{"policy add dir in offload crypto dev lo", 255, `Error: argument "crypto" is wrong: Invalid offload mode`},
	{"policy add dir in offload packet lo", 255, `Error: argument "lo" is wrong: Missing dev keyword`},
	{"policy add dir in offload packet dev nosuchdev0", 255, `Error: argument "nosuchdev0" is wrong: Invalid device name`},
	{"policy add dir in tmpl", 255, `Command line is not complete. Try option "help"`},
	{"policy add tmpl reqid 1 dir in", 255, `Error: argument "XFRM-PROTO" is required`},
	{"policy add dir in tmpl src 10.0.0.1 mode tunnel proto esp", 255, `Error: argument "XFRM-PROTO" is required`},
	{"policy add dir in tmpl proto esp mode tunnel spi 1", 255, `Error: duplicate "unknown": "spi" is the second value.`},
	{"policy add dir in tmpl proto esp level x", 255, "Error: argument \"x\" is wrong: LEVEL value is invalid\n"},
	{"policy add dir out tmpl src fd00::1 dst fd00::2 proto esp src 10.0.0.0/24", 255, `Error: argument "10.0.0.0/24" is wrong: the same address family is required between values after "src" and "dst"`},
	{"policy get", 1, "Not enough information: DIR is required."},
	{"policy get dir in", 1, "Not enough information: either SELECTOR or INDEX is required."},
	{"policy get dir in index 1 src 10.0.0.0/24", 255, `Error: either "SELECTOR" is duplicate, or "INDEX" is garbage.`},
	{"policy get dir in index 1 index 2", 255, `Error: duplicate "index": "index" is the second value.`},
	{"policy get dir in foo", 255, `Error: argument "foo" is wrong: unknown`},
	{"policy get dir in priority 1", 255, `Error: argument "priority" is wrong: unknown`},
	{"policy list foo", 255, `Error: argument "foo" is wrong: unknown`},
	{"policy list action x", 255, "Error: argument \"x\" is wrong: ACTION value is invalid\n"},
	{"policy list tmpl proto esp", 255, `Error: argument "tmpl" is wrong: unknown`},
	{"policy flush ptype x", 255, `Error: argument "x" is wrong: PTYPE value is invalid`},
	{"policy flush foo", 255, `Error: argument "foo" is wrong: unknown`},
	{"policy set hthresh4 33 1", 255, `Error: argument "33" is wrong: hthresh4 LBITS value is invalid`},
	{"policy set hthresh4 1 x", 255, `Error: argument "x" is wrong: hthresh4 RBITS value is invalid`},
	{"policy set hthresh6 129 1", 255, `Error: argument "129" is wrong: hthresh6 LBITS value is invalid`},
	{"policy set hthresh4 1 1 hthresh4 2 2", 255, `Error: duplicate "hthresh4": "hthresh4" is the second value.`},
	{"policy set foo", 255, `Error: argument "foo" is wrong: unknown`},
	{"policy setdefault foo accept", 255, `Error: argument "foo" is wrong: unknown direction`},
	{"policy setdefault in foo", 255, `Error: argument "foo" is wrong: in policy value is invalid`},
	{"policy setdefault out unspec", 255, `Error: argument "unspec" is wrong: out policy value is invalid`},
	{"policy setdefault in block in accept", 255, `Error: duplicate "in": "in" is the second value.`},
	{"policy foo", 255, `Command "foo" is unknown, try "xfrmctl policy help".`},
	{"monitor foo", 255, `Argument "foo" is unknown, try "xfrmctl monitor help".`},
	{"monitor sa", 255, `Argument "sa" is unknown, try "xfrmctl monitor help".`},
	{"monitor file", 255, `Command line is not complete. Try option "help"`},
}

func TestParseErrors(t *testing.T) {
	for _, test := range refused {
		cmd, err := parseLine(test.line, testContext())
		var e *Error
		if cmd != nil || !errors.As(err, &e) {
			t.Errorf("%s: got %v, %v, want an *Error alone", test.line, cmd, err)
			continue
		}
		if e.Code != test.code || e.Text != test.text {
			t.Errorf("%s:\n got %d %q\nwant %d %q", test.line, e.Code, e.Text, test.code, test.text)
		}
	}
}

// Addresses that -4, -6 and -0 leave no room for, as iproute2 7.3 refuses them.
func TestParseErrorsOfFamily(t *testing.T) {
	for _, test := range []struct {
		family netlinkx.Family
		line   string
		code   int
		text   string
	}{
		{netlinkx.FamilyIPv6, "state get dst 10.0.0.2 proto esp", 1, `Error: inet6 prefix is expected rather than "10.0.0.2".`},
		{netlinkx.FamilyIPv4, "policy get dir in dst ::", 1, `Error: inet prefix is expected rather than "::".`},
		{familyPacket, "state list src 10.0.0.1", 1, `Error: "10.0.0.1" may be inet prefix, but it is not allowed in this context.`},
		{familyBridge, "state list src 10.0.0.1", 1, `Error: bridge prefix is expected rather than "10.0.0.1".`},
	} {
		_, err := parseLine(test.line, &Context{Family: test.family})
		var e *Error
		if !errors.As(err, &e) || e.Code != test.code || e.Text != test.text {
			t.Errorf("%s: got %+v, want %d %s", test.line, e, test.code, test.text)
		}
	}
}

func TestParseUsage(t *testing.T) {
	for line, start := range map[string]string{
		"":               "Usage: xfrmctl OBJECT",
		"help":           "Usage: xfrmctl OBJECT",
		"nonsense":       "Usage: xfrmctl OBJECT",
		"state help":     "Usage: xfrmctl state { add | update }",
		"s h":            "Usage: xfrmctl state { add | update }",
		"policy h":       "Usage: xfrmctl policy { add | update }",
		"monitor help":   "Usage: xfrmctl monitor",
		"monitor SA h":   "Usage: xfrmctl monitor",
		"monitor help x": "Usage: xfrmctl monitor",
	} {
		_, err := parseLine(line, nil)
		var e *Error
		if !errors.As(err, &e) || e.Code != 255 || !strings.HasPrefix(e.Text, start) {
			t.Errorf("%q: got %+v, want 255 and %s", line, e, start)
		}
	}
	if _, err := Parse(nil, nil); err == nil {
		t.Error("no words: no error")
	}
}

func TestParseSuggests(t *testing.T) {
	for line, want := range map[string]string{
		"stat":                  "", // an abbreviation
		"polcy":                 "policy",
		"state ad":              "", // an abbreviation
		"state lsit":            "list",
		"state ae":              "ae get",
		"policy stedefault":     "setdefault",
		"state add mdoe tunnel": "mode",
		"state add proto esp spi 1 replay-windw 3": "replay-window",
		"state add proto eps":                      "esp",
		"state add mode tunel":                     "tunnel",
		"state add limit byte-hrad 1":              "byte-hard",
		"state list proto esp if-id 1":             "if_id",
		"policy add dir in src 10.0.0.0/8 priorty": "priority",
		"policy add dir in action alow":            "allow",
		"policy add dir in tmpl porto esp":         "proto",
		"policy list proto tpc":                    "tcp",
		"monitor aquire":                           "acquire",
		"state add zzzzzzzzzzz":                    "",
		"state add iptfs drop-tme 3":               "drop-time",
	} {
		_, err := parseLine(line, nil)
		var e *Error
		got := ""
		if errors.As(err, &e) {
			got = e.Suggest
		}
		if got != want {
			t.Errorf("%s: suggests %q, want %q", line, got, want)
		}
	}
}
