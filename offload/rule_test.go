package offload

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func packs(t *testing.T) map[string]*Pack {
	t.Helper()
	p, err := Packs()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// plainSA is one that every NIC takes.
func plainSA() *netlinkx.SA {
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	sa.Proto, sa.SPI, sa.ReqID = netlinkx.ProtoESP, 0x1000, 7
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 128}
	return sa
}

// plainPolicy is one that mlx5 takes.
func plainPolicy() *netlinkx.Policy {
	p := netlinkx.NewPolicy()
	p.Dir = netlinkx.PolicyOut
	p.Selector.Src, p.Selector.Dst = netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("10.0.1.0/24")
	p.Templates = []netlinkx.Template{{ReqID: 7, Proto: netlinkx.ProtoESP}}
	return p
}

// refusals are violations that do not depend on what cannot be seen.
func refusals(vs []Violation) []string {
	var ids []string
	for _, v := range vs {
		if v.Rule.Depends == "" {
			ids = append(ids, v.Rule.ID)
		}
	}
	return ids
}

func TestPlainSAIsTaken(t *testing.T) {
	for driver, p := range packs(t) {
		for typ := range p.Types {
			if driver == "bonding" && typ == Packet {
				continue
			}
			dir := netlinkx.DirOut
			if driver == "ixgbevf" {
				dir = netlinkx.DirIn
			}
			if ids := refusals(p.Check("sa", SAFacts(plainSA(), typ, dir))); len(ids) > 0 {
				t.Errorf("%s, %s: refused by %v", driver, typ, ids)
			}
		}
	}
	if ids := refusals(packs(t)["mlx5_core"].Check("policy", PolicyFacts(plainPolicy()))); len(ids) > 0 {
		t.Errorf("mlx5 policy: refused by %v", ids)
	}
}

// TestEveryRuleCanBeBroken makes the facts of an object that is as a rule
// wants its subjects to be, breaks the rule's demand, and expects the rule.
func TestEveryRuleCanBeBroken(t *testing.T) {
	for driver, p := range packs(t) {
		for _, r := range p.Rules {
			for _, broken := range r.Want {
				f := SAFacts(plainSA(), Crypto, netlinkx.DirOut)
				if r.Object == "policy" {
					f = PolicyFacts(plainPolicy())
				}
				for _, c := range r.When {
					satisfy(f, c)
				}
				good := maps.Clone(f)
				for _, c := range r.Want {
					satisfy(good, c)
				}
				violate(f, broken)
				if ids := p.ids(r.Object, f); !slices.Contains(ids, r.ID) {
					t.Errorf("%s: rule %s is not broken by %s (%v)", driver, r.ID, have(broken.Fact, f), ids)
				}
				if ids := p.ids(r.Object, good); slices.Contains(ids, r.ID) {
					t.Errorf("%s: rule %s is broken by what it wants", driver, r.ID)
				}
			}
		}
	}
}

func (p *Pack) ids(object string, f Facts) []string {
	var ids []string
	for _, v := range p.Check(object, f) {
		ids = append(ids, v.Rule.ID)
	}
	return ids
}

func satisfy(f Facts, c Condition) {
	switch {
	case c.In != nil:
		f[c.Fact] = c.In[0]
	case c.Not != nil && slices.Contains(c.Not, f[c.Fact]):
		f[c.Fact] = "1"
	case c.Max != nil:
		f[c.Fact] = number(*c.Max)
	}
}

func violate(f Facts, c Condition) {
	switch {
	case c.In != nil:
		f[c.Fact] = "9999"
	case c.Not != nil:
		f[c.Fact] = c.Not[0]
	case c.Max != nil:
		f[c.Fact] = number(*c.Max + 1)
	}
}

// TestFactsAreKnown holds the packs to facts that exist and, where a fact has
// few values, to values that it can have.
func TestFactsAreKnown(t *testing.T) {
	known := SAFacts(plainSA(), Crypto, netlinkx.DirOut)
	maps.Copy(known, PolicyFacts(plainPolicy()))
	(&Eswitch{"legacy", "none", "dmfs"}).add(known)
	values := map[string][]string{
		FactType: {"crypto", "packet"}, FactDir: {"in", "out", "fwd"}, FactMode: {"transport", "tunnel", "beet", "iptfs"},
		FactESN: {"yes", "no"}, FactEncap: {"none", "udp", "tcp"}, FactSelAddr: {"any", "given"}, FactProto: {"esp", "ah", "comp"},
		FactLimits: {"ok", "bytes", "packets", "bytes+packets"}, FactPType: {"main", "sub"}, FactFamily: {"4", "6"},
	}
	for driver, p := range packs(t) {
		for _, r := range p.Rules {
			for _, c := range slices.Concat(r.When, r.Want) {
				if _, ok := known[c.Fact]; !ok {
					t.Errorf("%s: rule %s: no fact %q", driver, r.ID, c.Fact)
				}
				for _, v := range slices.Concat(c.In, c.Not) {
					if vs := values[c.Fact]; vs != nil && !slices.Contains(vs, v) {
						t.Errorf("%s: rule %s: %s is never %q", driver, r.ID, c.Fact, v)
					}
				}
			}
		}
	}
}

func TestParsePackRefuses(t *testing.T) {
	rule := func(s string) string { return `{"driver":"x","rules":[` + s + `]}` }
	tests := []struct{ name, doc, says string }{
		{"no json", "{", "EOF"},
		{"unknown field", `{"driver":"x","speed":1}`, "unknown field"},
		{"no id", rule(`{"object":"sa"}`), "id is missing"},
		{"object", rule(`{"id":"a","object":"link"}`), "neither sa nor policy"},
		{"no fix", rule(`{"id":"a","object":"sa","want":[{"fact":"mode","in":["tunnel"]}],"errno":"EINVAL","source":"x"}`), "are needed"},
		{"two comparisons", rule(`{"id":"a","object":"sa","want":[{"fact":"mode","in":["tunnel"],"not":["beet"]}],"errno":"EINVAL","source":"x","fix":"y"}`), "one comparison"},
		{"no comparison", rule(`{"id":"a","object":"sa","want":[{"fact":"mode"}],"errno":"EINVAL","source":"x","fix":"y"}`), "one comparison"},
		{"answer", `{"driver":"x","answers":[{"errno":"EINVAL"}]}`, "are needed"},
	}
	for _, tt := range tests {
		if p, err := ParsePack([]byte(tt.doc)); p != nil || err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, %v, want an error that says %q", tt.name, p, err, tt.says)
		}
	}
}
