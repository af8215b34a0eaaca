package nicoffload

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/offload"
)

const (
	key128 = "0x000102030405060708090a0b0c0d0e0f10111213"
	key256 = "0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223"
)

// testEnv has one device, "nic0", of a driver, and a kernel that can do
// everything.
func testEnv(t *testing.T, driver string, out *bytes.Buffer) *Env {
	yes := offload.Outcome{Known: true, OK: true}
	return &Env{
		Ctx: t.Context(), Stdin: strings.NewReader(""), Stdout: out,
		Parse: func(words []string) (*ipxfrm.Command, error) {
			return ipxfrm.Parse(words, &ipxfrm.Context{Device: func(string) (int32, error) { return 9, nil }})
		},
		Device: func(int32) string { return "nic0" },
		NIC: func(string) *offload.NIC {
			return &offload.NIC{Name: "nic0", Driver: driver, HW: true, HWState: "on"}
		},
		Probe: func([]string) *offload.Kernel {
			return &offload.Kernel{XFRM: yes, ESP4: yes, ESP6: yes, Offload4: yes, Offload6: yes, Interface: yes}
		},
	}
}

// sa is words of an SA; later words replace the placeholders of the first.
type words struct{ proto, mode, reqid, algo, more, typ, dir string }

func (w words) line() string {
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	return strings.Join([]string{
		"state add src 192.0.2.1 dst 192.0.2.2 proto", or(w.proto, "esp"), "spi 0x1000 mode", or(w.mode, "transport"), "reqid", or(w.reqid, "1"),
		or(w.algo, "aead rfc4106(gcm(aes)) "+key128+" 128"), w.more, "offload", w.typ, "dev nic0 dir", or(w.dir, "out"),
	}, " ")
}

const hmac = "auth-trunc hmac(sha256) 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 128"

// violations has, for each rule that an SA can break, an SA that breaks it and
// no other of its driver. Rules that no SA reaches are in unreachable.
var violations = map[string]words{
	"mlx5.mode":         {mode: "beet"},
	"mlx5.encap-crypto": {more: "encap espinudp 4500 4500 0.0.0.0"},
	"mlx5.encap-udp":    {typ: "packet", more: "encap espintcp 4500 4500 0.0.0.0"},
	"mlx5.encap-mode":   {typ: "packet", mode: "tunnel", more: "encap espinudp 4500 4500 0.0.0.0"},
	"mlx5.icv":          {algo: "aead rfc4106(gcm(aes)) " + key128 + " 96"},
	"mlx5.key":          {algo: "aead rfc4106(gcm(aes)) " + key128 + "1415161718191a1b" + " 128"},
	"mlx5.gcm":          {algo: "aead rfc4543(gcm(aes)) " + key128 + " 128"},
	"mlx5.auth":         {algo: "enc cbc(aes) 0x000102030405060708090a0b0c0d0e0f " + hmac},
	"mlx5.selector":     {typ: "packet", more: "sel proto icmp"},
	"mlx5.window":       {typ: "packet", dir: "in", more: "replay-window 1024 flag esn"},
	"mlx5.reqid":        {typ: "packet", reqid: "0"},
	"mlx5.soft-bytes":   {typ: "packet", more: "limit byte-soft 100 limit byte-hard 50"},
	"mlx5.zero-bytes":   {typ: "packet", more: "limit byte-soft 0"},
	"mlx5.soft-packets": {typ: "packet", more: "limit packet-soft 100 limit packet-hard 50"},
	"mlx5.zero-packets": {typ: "packet", more: "limit packet-soft 0"},
	"mlx5.tfc":          {mode: "tunnel", more: "tfcpad 100"},
	"mlx5.proto":        {proto: "ah", algo: hmac},

	"ixgbe.mode": {mode: "tunnel"},
	"ixgbe.icv":  {algo: "aead rfc4106(gcm(aes)) " + key128 + " 96"},
	"ixgbe.key":  {algo: "aead rfc4106(gcm(aes)) " + key256 + " 128"},
	"ixgbe.aead": {algo: "enc cbc(aes) 0x000102030405060708090a0b0c0d0e0f " + hmac},
	"ixgbe.esn":  {dir: "in", more: "replay-window 64 flag esn"},

	"ixgbevf.mode": {dir: "in", mode: "tunnel"},
	"ixgbevf.icv":  {dir: "in", algo: "aead rfc4106(gcm(aes)) " + key128 + " 96"},
	"ixgbevf.key":  {dir: "in", algo: "aead rfc4106(gcm(aes)) " + key256 + " 128"},
	"ixgbevf.aead": {dir: "in", algo: "enc cbc(aes) 0x000102030405060708090a0b0c0d0e0f " + hmac},
	"ixgbevf.esn":  {dir: "in", more: "replay-window 64 flag esn"},
	"ixgbevf.out":  {},
}

// alsoBroken are rules that whoever breaks the first must break too.
var alsoBroken = map[string][]string{
	"mlx5.auth":  {"mlx5.gcm"},
	"mlx5.proto": {"core.esp", "mlx5.auth", "mlx5.gcm"},
	"mlx5.tfc":   {"core.tfc"},
}

// unreachable says why no words make an SA for a rule.
var unreachable = map[string]string{
	"mlx5.steering":      "it is about the device's eswitch (see package offload's TestEswitchDecides)",
	"mlx5.eswitch-encap": "it is about the device's eswitch",
	"mlx5.comp":          "IPComp is no ESP: the core refuses it first",
	"ixgbe.comp":         "IPComp is no ESP: the core refuses it first",
	"ixgbevf.comp":       "IPComp is no ESP: the core refuses it first",
	"ixgbe.proto":        "the core refuses what is no ESP first",
	"ixgbevf.proto":      "the core refuses what is no ESP first",
	"ixgbe.type":         "the driver is known to do no packet offload: that link of the chain fails first",
	"ixgbevf.type":       "the driver is known to do no packet offload: that link of the chain fails first",
}

func TestCheckNamesTheRule(t *testing.T) {
	packs, err := offload.Packs()
	if err != nil {
		t.Fatal(err)
	}
	for _, driver := range []string{"mlx5_core", "ixgbe", "ixgbevf"} {
		for _, r := range packs[driver].Rules {
			if r.Object != "sa" || r.Depends != "" || unreachable[r.ID] != "" {
				continue
			}
			w, ok := violations[r.ID]
			if !ok {
				t.Errorf("%s: no SA that violates it", r.ID)
				continue
			}
			t.Run(r.ID, func(t *testing.T) { checkViolation(t, packs, driver, r.ID, w) })
		}
	}
}

func checkViolation(t *testing.T, packs map[string]*offload.Pack, driver, id string, w words) {
	var out bytes.Buffer
	env := testEnv(t, driver, &out)
	err := Run(env, append([]string{"check"}, strings.Fields(w.line())...))
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("%s: %v\n%s", w.line(), err, out.String())
	}
	allowed := map[string]bool{id: true}
	for _, other := range alsoBroken[id] {
		allowed[other] = true
	}
	named := false
	for name := range allowed {
		named = named || strings.Contains(refused.Msg, "(rule "+name+")")
	}
	if !named {
		t.Errorf("the rule is not named: %s", refused.Msg)
	}
	cmd, perr := env.Parse(strings.Fields(w.line()))
	if perr != nil {
		t.Fatal(perr)
	}
	typ := offload.Crypto
	if w.typ == "packet" {
		typ = offload.Packet
	}
	broken := false
	facts := offload.SAFacts(cmd.SA, typ, cmd.SA.Dir)
	for _, v := range append(packs[""].Check("sa", facts), packs[driver].Check("sa", facts)...) {
		broken = broken || v.Rule.ID == id
		if v.Rule.Depends == "" && !allowed[v.Rule.ID] {
			t.Errorf("it also violates %s", v.Rule.ID)
		}
	}
	if !broken {
		t.Errorf("the SA does not violate the rule: %s", w.line())
	}
}

// TestCheckPasses: the same SA without the violation.
func TestCheckPasses(t *testing.T) {
	for driver, w := range map[string]words{"mlx5_core": {}, "ixgbe": {}, "ixgbevf": {dir: "in"}} {
		var out bytes.Buffer
		if err := Run(testEnv(t, driver, &out), append([]string{"check"}, strings.Fields(w.line())...)); err != nil {
			t.Errorf("%s: %v", driver, err)
		}
	}
}

func TestCheckFile(t *testing.T) {
	var out bytes.Buffer
	env := testEnv(t, "ixgbe", &out)
	env.Stdin = strings.NewReader("# SAs\n" + words{}.line() + "\n\n" + words{mode: "tunnel"}.line() + "\n")
	err := Run(env, []string{"check", "-"})
	if err == nil || !strings.HasPrefix(err.Error(), "-:4: ") || !strings.Contains(err.Error(), "ixgbe.mode") {
		t.Errorf("error %v, want the rule at -:4", err)
	}
	env.Stdin = strings.NewReader("state add src nonsense\n")
	if err := Run(env, []string{"check", "-"}); err == nil || !strings.HasPrefix(err.Error(), "-:1: ") {
		t.Errorf("error %v, want one at -:1", err)
	}
}

func TestCheckPolicy(t *testing.T) {
	for _, tt := range []struct{ driver, words, rule string }{
		{"mlx5_core", "dir out", ""},
		{"mlx5_core", "dir fwd", "mlx5.policy-fwd"},
		{"mlx5_core", "dir out ptype sub", "mlx5.policy-type"},
		{"mlx5_core", "dir out proto icmp", "mlx5.policy-selector"},
		{"mlx5_core", "dir out priority 0xffffffff", "mlx5.policy-priority-max"},
		{"ixgbe", "dir out", "does no packet offload"},
	} {
		sel := ""
		if tt.words == "dir out proto icmp" {
			tt.words, sel = "dir out", " proto icmp"
		}
		var out bytes.Buffer
		line := "policy add src 10.0.0.0/24 dst 10.0.1.0/24" + sel + " " + tt.words + " offload packet dev nic0 tmpl proto esp reqid 1 mode transport"
		err := Run(testEnv(t, tt.driver, &out), append([]string{"check"}, strings.Fields(line)...))
		if (err == nil) != (tt.rule == "") || err != nil && !strings.Contains(err.Error(), tt.rule) {
			t.Errorf("%s on %s: %v, want rule %q", line, tt.driver, err, tt.rule)
		}
	}
}

func TestComplete(t *testing.T) {
	devices := func() []string { return []string{"nic0"} }
	for _, tt := range []struct{ words, has, lacks string }{
		{"s", "selftest", "nic0"}, {"show n", "nic0", "show"}, {"drain n", "nic0", "save"}, {"drain nic0 s", "save", "nic0"},
		{"explain n", "nic0", "show"}, {"explain s", "src", "show"}, {"verify src 192.0.2.1 d", "dst", "nic0"},
		{"selftest n", "nic0", "to"}, {"selftest nic0 t", "to", "nic0"}, {"check state add s", "src", "nic0"},
	} {
		got := Complete(strings.Fields(tt.words), devices)
		if !slices.Contains(got, tt.has) || slices.Contains(got, tt.lacks) {
			t.Errorf("%q: %v, want %q in it and not %q", tt.words, got, tt.has, tt.lacks)
		}
	}
	if got := Complete(strings.Fields("selftest nic0 to 1"), devices); got != nil {
		t.Errorf("an address completes to %v", got)
	}
}
