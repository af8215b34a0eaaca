package interop_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// A suite is a set of algorithms. Each %x is a key of so many bytes.
type suite struct {
	name  string
	words string
	keys  []int
}

var suites = []suite{
	{"gcm", "aead rfc4106(gcm(aes)) 0x%x 128", []int{20}},
	{"gmac", "aead rfc4543(gcm(aes)) 0x%x 128", []int{36}},
	{"chacha", "aead rfc7539esp(chacha20,poly1305) 0x%x 128", []int{36}},
	{"cbc-sha256", "enc cbc(aes) 0x%x auth-trunc hmac(sha256) 0x%x 128", []int{16, 32}},
	{"ctr-sha1", "enc rfc3686(ctr(aes)) 0x%x auth-trunc hmac(sha1) 0x%x 96", []int{20, 20}},
	{"null-sha512", "enc ecb(cipher_null) '' auth-trunc hmac(sha512) 0x%x 256", []int{64}},
}

// fresh returns the suite's words with new keys.
func (s suite) fresh() string {
	keys := make([]any, len(s.keys))
	for i, n := range s.keys {
		b := make([]byte, n)
		rand.Read(b) //nolint:errcheck // never fails
		keys[i] = b
	}
	return fmt.Sprintf(s.words, keys...)
}

// A form is a mode with the families inside and outside.
type form struct {
	name         string
	mode         string
	inner, outer byte // 4 or 6
}

var forms = []form{
	{"tunnel44", "tunnel", 4, 4}, {"tunnel66", "tunnel", 6, 6}, {"tunnel46", "tunnel", 4, 6}, {"tunnel64", "tunnel", 6, 4},
	{"transport4", "transport", 4, 4}, {"transport6", "transport", 6, 6},
	{"beet44", "beet", 4, 4}, {"beet66", "beet", 6, 6},
}

// addresses returns what the two sides are called outside and inside.
func (f form) addresses() (outer, inner [2]string) {
	outer = [2]string{sandbox.A4, sandbox.B4}
	if f.outer == 6 {
		outer = [2]string{sandbox.A6, sandbox.B6}
	}
	switch {
	case f.mode == "transport":
		inner = outer
	case f.mode == "beet" && f.inner == 4:
		inner = [2]string{"10.78.0.1", "10.78.0.2"}
	case f.mode == "beet":
		inner = [2]string{"fd78::1", "fd78::2"}
	case f.inner == 4:
		inner = [2]string{"10.77.0.1", "10.77.0.2"}
	default:
		inner = [2]string{"fd77::1", "fd77::2"}
	}
	return outer, inner
}

// A combination is one row of the matrix.
type combination struct {
	suite suite
	form  form
	udp   bool // encapsulation in UDP
	esn   bool
	flags string // further flags of the SAs
	extra string // further extra flags
}

func (c combination) String() string {
	s := c.suite.name + " " + c.form.name
	if c.udp {
		s += " udp"
	}
	if c.esn {
		s += " esn"
	}
	return strings.TrimSpace(s + " " + c.flags + " " + c.extra)
}

// encapPort is where both sides send and receive encapsulated ESP.
const encapPort = 4500

// batches returns the commands that set up both sides, SAs first; ids says
// which if_id each side uses. spi counts up with each call, so that late
// packets of one row never fit the next.
func (c combination) batches(spi int, ids [2]int) [2]string {
	outer, _ := c.form.addresses()
	keys := [2]string{c.suite.fresh(), c.suite.fresh()}
	var b [2]strings.Builder
	for from := range 2 {
		for side := range 2 {
			fmt.Fprintf(&b[side], "state add %s if_id %d\n", c.sa(outer, from, spi+from, keys[from]), ids[side])
		}
	}
	for side := range 2 {
		for from := range 2 {
			dir := "in"
			if from == side {
				dir = "out"
			}
			fmt.Fprintf(&b[side], "policy add %s if_id %d\n", c.policy(outer, from, dir, ids[side]), ids[side])
		}
	}
	return [2]string{b[0].String(), b[1].String()}
}

// sa returns the words of the SA for packets of one side.
func (c combination) sa(outer [2]string, from, spi int, keys string) string {
	s := fmt.Sprintf("src %s dst %s proto esp spi 0x%x reqid 1 mode %s replay-window 256", outer[from], outer[1-from], spi, c.form.mode)
	var flags []string
	if c.esn {
		flags = append(flags, "esn")
	}
	if c.flags != "" {
		flags = append(flags, c.flags)
	}
	if c.form.inner != c.form.outer {
		flags = append(flags, "af-unspec") // the SA's selector is of the outer family otherwise
	}
	if flags != nil {
		s += " flag " + strings.Join(flags, " flag ")
	}
	if c.extra != "" {
		s += " extra-flag " + c.extra
	}
	s += " " + keys
	if c.udp {
		none := "0.0.0.0"
		if c.form.outer == 6 {
			none = "::"
		}
		s += fmt.Sprintf(" encap espinudp %d %d %s", encapPort, encapPort, none)
	}
	if c.form.mode == "beet" {
		s += " sel " + c.selector(from)
	}
	return s
}

// selector names what packets of one side look like inside.
func (c combination) selector(from int) string {
	_, inner := c.form.addresses()
	bits := map[byte]int{4: 32, 6: 128}[c.form.inner]
	s := fmt.Sprintf("src %s/%d dst %s/%d", inner[from], bits, inner[1-from], bits)
	return s
}

func (c combination) policy(outer [2]string, from int, dir string, ifID int) string {
	selector := c.selector(from)
	if c.form.mode == "transport" {
		selector += " proto udp" // or neighbour discovery would need itself
		if ifID == 0 {
			// not what encapsulated packets are. Behind a device they are not
			// seen, but fragments are, which have no ports
			selector += fmt.Sprintf(" sport %d dport %d", port, port)
		}
	}
	return fmt.Sprintf("%s dir %s tmpl src %s dst %s proto esp reqid 1 mode %s", selector, dir, outer[from], outer[1-from], c.form.mode)
}

func TestFreshKeys(t *testing.T) {
	for _, s := range suites {
		words := s.fresh()
		hexes := 0
		for w := range strings.FieldsSeq(words) {
			if key, ok := strings.CutPrefix(w, "0x"); ok {
				b, err := hex.DecodeString(key)
				if err != nil || len(b) != s.keys[hexes] {
					t.Errorf("%s: key %d of %q", s.name, hexes, words)
				}
				hexes++
			}
		}
		if hexes != len(s.keys) || s.fresh() == words {
			t.Errorf("%s: %q", s.name, words)
		}
	}
}
