package offload

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Pack is what one driver accepts and answers: a file of rules/.
type Pack struct {
	// Driver is what `ethtool -i` prints: "mlx5_core".
	Driver string `json:"driver"`
	Title  string `json:"title"`
	// Types that the driver can do at all, and since which kernel.
	Types map[Type]string `json:"types"`
	// Verified says how the rules were checked: "source", or "run" with what.
	Verified string `json:"verified"`
	// Slots are the SAs that fit; 0: no fixed number.
	Slots    map[string]int `json:"slots,omitempty"`
	Rules    []Rule         `json:"rules"`
	Answers  []Answer       `json:"answers"`
	Counters []string       `json:"counters,omitempty"` // of ethtool -S
	Notes    []string       `json:"notes,omitempty"`
}

// Rule is one demand of a driver, or of the kernel's core for all drivers.
type Rule struct {
	ID     string `json:"id"`
	Object string `json:"object"` // sa, policy
	// When says which objects the rule is about: all conditions hold. What
	// must be so of them is Want.
	When []Condition `json:"when,omitempty"`
	Want []Condition `json:"want"`
	// Errno and Text are the kernel's answer to an object that breaks the rule;
	// Errno "silent" means success, in software.
	Errno string `json:"errno"`
	Text  string `json:"text,omitempty"`
	// Kernels is the range that has the rule, mainline numbers: "6.16-", "-6.10";
	// "" all. It is told, never compared: distributions backport.
	Kernels string `json:"kernels,omitempty"`
	// Probe names what Probe tries to find out whether the running kernel has the
	// rule: a key of Kernel.Accepts; "" nothing.
	Probe string `json:"probe,omitempty"`
	// Depends names what the rule depends on that the SA does not show:
	// firmware, eswitch mode. Such a rule is a warning, not a refusal.
	Depends string `json:"depends,omitempty"`
	Source  string `json:"source"`
	Fix     string `json:"fix"`
}

// Answer is what the kernel says about a state of the device, not of an SA's
// form, and what it means.
type Answer struct {
	Errno string `json:"errno"`
	Text  string `json:"text,omitempty"`
	Cause string `json:"cause"`
	Fix   string `json:"fix"`
}

// Condition compares a fact with values. Exactly one of the comparisons is
// given.
type Condition struct {
	Fact string   `json:"fact"`
	In   []string `json:"in,omitempty"`
	Not  []string `json:"not,omitempty"`
	Max  *uint64  `json:"max,omitempty"`
}

// holds reports whether the condition is true. Of a fact that is absent it is
// only true that it is none of some values.
func (c Condition) holds(f Facts) bool {
	v, ok := f[c.Fact]
	switch {
	case c.In != nil:
		return ok && slices.Contains(c.In, v)
	case c.Not != nil:
		return !slices.Contains(c.Not, v)
	}
	n, err := strconv.ParseUint(v, 10, 64)
	return ok && err == nil && c.Max != nil && n <= *c.Max
}

// String says what the condition demands.
func (c Condition) String() string {
	switch {
	case c.In != nil:
		return c.Fact + " " + strings.Join(c.In, " or ")
	case c.Not != nil:
		return c.Fact + " not " + strings.Join(c.Not, " or ")
	case c.Max != nil:
		return fmt.Sprintf("%s at most %d", c.Fact, *c.Max)
	}
	return c.Fact
}

func all(cs []Condition, f Facts) bool {
	return !slices.ContainsFunc(cs, func(c Condition) bool { return !c.holds(f) })
}

// Violation is a rule that an object breaks.
type Violation struct {
	Driver string `json:"driver"`
	Rule   *Rule  `json:"rule"`
	// Have is the offending fact: "icv_bits is 96".
	Have string `json:"have"`
}

// String returns one line: what is wrong, and what to do.
func (v Violation) String() string {
	return fmt.Sprintf("%s: %s (rule %s, %s)", v.Have, v.Rule.Fix, v.Rule.ID, v.Rule.Source)
}

// Check returns the rules of the pack that an object breaks, in the order in
// which the driver looks. object is "sa" or "policy".
func (p *Pack) Check(object string, f Facts) []Violation {
	var out []Violation
	for i := range p.Rules {
		r := &p.Rules[i]
		if r.Object != object || !all(r.When, f) {
			continue
		}
		for _, c := range r.Want {
			if !c.holds(f) {
				out = append(out, Violation{Driver: p.Driver, Rule: r, Have: have(c.Fact, f)})
				break
			}
		}
	}
	return out
}

func have(fact string, f Facts) string {
	v, ok := f[fact]
	if !ok {
		return "no " + fact
	}
	return fact + " is " + v
}

//go:embed rules/*.json
var ruleFiles embed.FS

// Packs reads the rule packs that are built in, by driver; "" is the kernel's
// core, whose rules are for all devices. The result is the caller's.
func Packs() (map[string]*Pack, error) {
	names, err := fs.Glob(ruleFiles, "rules/*.json")
	if err != nil {
		return nil, err
	}
	out := map[string]*Pack{}
	for _, name := range names {
		b, err := ruleFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		p, err := ParsePack(b)
		if err != nil {
			return nil, fmt.Errorf("rules %s: %w", path.Base(name), err)
		}
		out[p.Driver] = p
	}
	return out, nil
}

// ParsePack reads a pack and checks that it says what a pack must.
func ParsePack(b []byte) (*Pack, error) {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	p := &Pack{}
	if err := dec.Decode(p); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, r := range p.Rules {
		switch {
		case r.ID == "" || seen[r.ID]:
			return nil, fmt.Errorf("rule %q: its id is missing or not its own", r.ID)
		case r.Object != "sa" && r.Object != "policy":
			return nil, fmt.Errorf("rule %s: object %q is neither sa nor policy", r.ID, r.Object)
		case len(r.Want) == 0 || r.Errno == "" || r.Fix == "" || r.Source == "":
			return nil, fmt.Errorf("rule %s: want, errno, fix and source are needed", r.ID)
		}
		seen[r.ID] = true
		for _, c := range slices.Concat(r.When, r.Want) {
			if n := len(c.In) + len(c.Not); c.Fact == "" || (n == 0) == (c.Max == nil) || len(c.In) > 0 && len(c.Not) > 0 {
				return nil, fmt.Errorf("rule %s: a condition needs a fact and one comparison", r.ID)
			}
		}
	}
	for _, a := range p.Answers {
		if a.Errno == "" || a.Cause == "" || a.Fix == "" {
			return nil, fmt.Errorf("answer %q: errno, cause and fix are needed", a.Text)
		}
	}
	return p, nil
}
