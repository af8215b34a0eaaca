package netlinkx

import (
	"math/bits"
	"slices"
	"strings"
	"syscall"
)

// failure is a refused request as the rules see it.
type failure struct {
	op       string
	typ      MsgType
	errno    syscall.Errno
	text     string // lower case
	attr     string
	obj      body
	wordBits int // of this program: 32-bit ones need a translator in the kernel
}

// rule gives the hint for some failures. The first that matches answers. Texts
// change between kernel releases, so a rule names only words of a text and
// their order; a rule without words takes failures with and without text.
type rule struct {
	msgs  []MsgType     // nil: any
	errno syscall.Errno // 0: any
	words string        // lower case, that occur in the text in this order
	bare  bool          // only without a text
	hint  string
	say   func(*failure) string // in place of hint; "" passes to the next rule
}

// explain says in one line what the kernel compared, what is missing and what
// to run next, or "" when there is nothing to say. It depends on its arguments
// alone.
func explain(op string, typ MsgType, errno syscall.Errno, text, attr string, obj body) string {
	f := &failure{op: op, typ: typ, errno: errno, text: strings.ToLower(text), attr: attr, obj: obj, wordBits: bits.UintSize}
	return f.explain()
}

func (f *failure) explain() string {
	for _, table := range ruleTables() {
		for i := range table {
			if s := table[i].answer(f); s != "" {
				return s
			}
		}
	}
	return ""
}

// ruleTables returns the rules, special ones first.
func ruleTables() [][]rule {
	return [][]rule{offloadRules, algoRules, replayRules, policyRules, saRules, saIdentityRules, migrateRules, otherRules, generalRules}
}

func (r *rule) answer(f *failure) string {
	if !r.matches(f) {
		return ""
	}
	if r.say != nil {
		return r.say(f)
	}
	return r.hint
}

func (r *rule) matches(f *failure) bool {
	if r.errno != 0 && r.errno != f.errno || r.bare && f.text != "" {
		return false
	}
	if r.msgs != nil && !slices.Contains(r.msgs, f.typ) {
		return false
	}
	return inOrder(f.text, r.words)
}

// inOrder reports whether the words occur in text in their order.
func inOrder(text, words string) bool {
	for _, w := range strings.Fields(words) {
		_, rest, ok := strings.Cut(text, w)
		if !ok {
			return false
		}
		text = rest
	}
	return true
}

// Messages that share rules.
var (
	writeSA     = []MsgType{MsgNewSA, MsgUpdSA}
	writePolicy = []MsgType{MsgNewPolicy, MsgUpdPolicy}
	bothMigrate = []MsgType{MsgMigrate, MsgMigrateState}
	aboutPolicy = []MsgType{MsgNewPolicy, MsgUpdPolicy, MsgDelPolicy, MsgGetPolicy, MsgPolExpire, MsgMigrate}
)

// sa returns the SA that the request carries; nil for other requests.
func (f *failure) sa() *SA {
	switch o := f.obj.(type) {
	case *SA:
		return o
	case *SPIRange:
		return &o.SA
	case expireSA:
		return &o.SA
	}
	return nil
}

// said returns what names the SA that the request is about.
func (f *failure) said() (SAID, bool) {
	switch o := f.obj.(type) {
	case *SAID:
		return *o, true
	case setAE:
		return o.ID.SA, true
	case *AEID:
		return o.SA, true
	case *MigrateState:
		return o.SA, true
	}
	if sa := f.sa(); sa != nil {
		return sa.ID(), true
	}
	return SAID{}, false
}

// policyID returns what names the policy that the request is about.
func (f *failure) policyID() (PolicyID, bool) {
	switch o := f.obj.(type) {
	case *Policy:
		return o.ID(), true
	case *PolicyID:
		return *o, true
	case *Migrate:
		return o.Policy, true
	case *ExpirePolicy:
		return o.Policy.ID(), true
	}
	return PolicyID{}, false
}

// offload returns the offload request of an SA or policy, nil without one.
func (f *failure) offload() *Offload {
	switch o := f.obj.(type) {
	case *Policy:
		return o.Offload
	case *Migrate:
		return o.Offload
	case *MigrateState:
		return o.Offload
	}
	if sa := f.sa(); sa != nil {
		return sa.Offload
	}
	return nil
}

// join makes one line of the parts that are not empty.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}
