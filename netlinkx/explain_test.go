package netlinkx

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

// hintCase is one refusal and words that its hint must hold, in their order.
type hintCase struct {
	name  string
	req   Request
	errno syscall.Errno
	text  string
	attr  string
	want  []string
}

var (
	addr4a, addr4b = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	addr6a, addr6b = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
)

// testSA is an ESP SA that a kernel takes, changed by the edits.
func testSA(edits ...func(*SA)) *SA {
	sa := NewSA()
	sa.Src, sa.Dst, sa.SPI, sa.Proto = addr4a, addr4b, 0x1000, ProtoESP
	sa.AEAD = &AEAD{Name: "rfc4106(gcm(aes))", Key: NewKey(make([]byte, 20)), ICVBits: 128}
	for _, e := range edits {
		e(sa)
	}
	return sa
}

// pair replaces the AEAD by a cipher and an integrity algorithm.
func pair(cipher string, key int, auth string, icv uint32) func(*SA) {
	return func(sa *SA) {
		sa.AEAD = nil
		sa.Crypt = &Algo{Name: cipher, Key: NewKey(make([]byte, key))}
		sa.AuthTrunc = &AuthTrunc{Name: auth, Key: NewKey(make([]byte, 32)), ICVBits: icv}
	}
}

func aead(name string, key int, icv uint32) func(*SA) {
	return func(sa *SA) { sa.AEAD = &AEAD{Name: name, Key: NewKey(make([]byte, key)), ICVBits: icv} }
}

func ipv6(sa *SA) { sa.Src, sa.Dst = addr6a, addr6b }

func offloaded(flags OffloadFlags) func(*SA) {
	return func(sa *SA) { sa.Offload = &Offload{IfIndex: 7, Flags: flags} }
}

func testPolicy(edits ...func(*Policy)) *Policy {
	p := NewPolicy()
	p.Dir = PolicyOut
	p.Selector = Selector{Src: netip.MustParsePrefix("10.1.0.0/24"), Dst: netip.MustParsePrefix("10.2.0.0/24")}
	t := NewTemplate()
	t.Src, t.Dst, t.Proto, t.Mode = addr4a, addr4b, ProtoESP, ModeTunnel
	p.Templates = []Template{t}
	for _, e := range edits {
		e(p)
	}
	return p
}

func policyID(edits ...func(*PolicyID)) *PolicyID {
	id := testPolicy().ID()
	for _, e := range edits {
		e(&id)
	}
	return &id
}

func said(edits ...func(*SAID)) *SAID {
	id := testSA().ID()
	for _, e := range edits {
		e(&id)
	}
	return &id
}

func TestExplain(t *testing.T) {
	answered := map[*rule]bool{}
	for _, table := range [][]hintCase{algoCases, offloadCases, saCases, replayCases, identityCases, policyCases, migrateCases, generalCases} {
		for _, tt := range table {
			t.Run(tt.name, func(t *testing.T) {
				f := tt.failure()
				got := f.explain()
				if !inOrder(got, strings.Join(tt.want, " ")) || len(tt.want) == 0 {
					t.Errorf("hint:\n%s\nwants in this order: %q", got, tt.want)
				}
				if strings.ContainsAny(got, "\n\t") || strings.TrimSpace(got) != got {
					t.Errorf("hint is not one clean line: %q", got)
				}
				answered[f.answeringRule()] = true
			})
		}
	}
	for i, table := range ruleTables() {
		for j := range table {
			if !answered[&table[j]] {
				t.Errorf("no test reaches rule %d of table %d: %q %q", j, i, table[j].words, table[j].hint)
			}
		}
	}
}

// failure is the case on a 32-bit machine, where every rule can be reached.
func (tt hintCase) failure() *failure {
	return &failure{op: tt.req.op, typ: tt.req.typ, errno: tt.errno, text: strings.ToLower(tt.text), attr: tt.attr, obj: tt.req.body, wordBits: 32}
}

// answeringRule returns the rule that gives the hint.
func (f *failure) answeringRule() *rule {
	for _, table := range ruleTables() {
		for i := range table {
			if table[i].answer(f) != "" {
				return &table[i]
			}
		}
	}
	return nil
}

// TestExplainNoObject: a request of another body than its message's gets a
// hint or none, but nothing breaks.
func TestExplainNoObject(t *testing.T) {
	for _, table := range [][]hintCase{algoCases, offloadCases, saCases, replayCases, identityCases, policyCases, migrateCases, generalCases} {
		for _, tt := range table {
			for _, b := range []body{nil, infoRequest("x"), &Defaults{}, &SA{}, &SAID{}, &Policy{}, &PolicyID{}, &MigrateState{}, &Migrate{}, &AE{}, &SPIRange{}} {
				if s := explain(tt.req.op, tt.req.typ, tt.errno, tt.text, tt.attr, b); strings.Contains(s, "%!") {
					t.Errorf("%s with %T: %q", tt.name, b, s)
				}
			}
		}
	}
}

// TestExplainShowsNoKey: hints look at keys' lengths and show nothing of them.
func TestExplainShowsNoKey(t *testing.T) {
	secret := NewKey([]byte("secretsecretsecret"))
	sa := testSA(func(sa *SA) {
		sa.AEAD = &AEAD{Name: "rfc4106(gcm(aes))", Key: secret, ICVBits: 100}
		sa.Crypt = &Algo{Name: "cbc(aes)", Key: secret}
		sa.AuthTrunc = &AuthTrunc{Name: "xcbc(aes)", Key: secret, ICVBits: 1000}
	})
	for _, errno := range []syscall.Errno{syscall.EINVAL, syscall.ENOSYS, syscall.ENOENT, syscall.EEXIST} {
		e := newError(AddSA(sa), nil, ackInfo{errno: errno})
		if e.Hint == "" {
			t.Errorf("%v: no hint", errno)
		}
		for _, leak := range []string{"secret", "73656372"} {
			if strings.Contains(e.Hint+e.Error(), leak) {
				t.Errorf("%v: the error shows the key: %+v", errno, e)
			}
		}
	}
}

func TestExplain32Bit(t *testing.T) {
	f := &failure{typ: MsgGetSA, errno: syscall.EOPNOTSUPP, obj: said(), wordBits: 32}
	if got := f.explain(); !strings.Contains(got, "64-bit build") {
		t.Errorf("32-bit program: %q", got)
	}
	f.wordBits = 64
	if got := f.explain(); strings.Contains(got, "64-bit build") {
		t.Errorf("64-bit program: %q", got)
	}
}

func TestInOrder(t *testing.T) {
	tests := []struct {
		text, words string
		want        bool
	}{
		{"", "", true},
		{"anything", "", true},
		{"", "a", false},
		{"mtimer_thresh attribute can only be set on encap states", "mtimer_thresh encap", true},
		{"mtimer_thresh requires encapsulation", "mtimer_thresh encap", true},
		{"encap needs mtimer_thresh", "mtimer_thresh encap", false},
	}
	for _, tt := range tests {
		if got := inOrder(tt.text, tt.words); got != tt.want {
			t.Errorf("inOrder(%q, %q) = %v", tt.text, tt.words, got)
		}
	}
}

func TestSAFaults(t *testing.T) {
	if s := saFaults(testSA()); s != "" {
		t.Errorf("good sa: %q", s)
	}
	for _, tt := range faultCases {
		t.Run(tt.name, func(t *testing.T) {
			got := saFaults(tt.sa)
			if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("got %q, want %q in it", got, tt.want)
			}
		})
	}
	for _, row := range saFaultTable {
		if hintFor(row.text, testSA()) == "" {
			t.Errorf("no rule has the hint for %q", row.text)
		}
		hit := false
		for _, tt := range faultCases {
			hit = hit || row.broken(tt.sa)
		}
		if !hit {
			t.Errorf("no test breaks the rule %q", row.text)
		}
	}
}
