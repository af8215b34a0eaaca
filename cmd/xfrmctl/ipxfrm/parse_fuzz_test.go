package ipxfrm

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// longHex is what a key in hex looks like, even a short one.
var longHex = regexp.MustCompile(`[0-9a-zA-Z]*[0-9a-fA-F]{17}`)

// FuzzParse: any words give a command or an *Error, never both; the error has
// a text and one of two codes, and shows nothing that looks like a key; what
// was parsed can be encoded.
func FuzzParse(f *testing.F) {
	for _, test := range refused {
		f.Add(test.line, uint16(0))
	}
	for _, test := range golden {
		f.Add(test.line, uint16(netlinkx.FamilyIPv4))
	}
	f.Add("state add src fd00::1 proto esp enc a 0x00112233445566778899aabbccddeeff 0x00112233445566778899aabbccddeeff", uint16(10))
	f.Add("state migrate dst 10.0.0.2 proto esp spi 5 new-dst fd00::2 encap none flag update-sel", uint16(0))
	f.Add("state ae set proto esp replay-window 64 replay-bitmap 1,2 bytes 3", uint16(0))
	f.Add("policy migrate src 10.0.0.0/8 dir out from src ::1 dst ::2 proto esp to src 1.1.1.1 dst 2.2.2.2", uint16(17))
	f.Fuzz(func(t *testing.T, line string, family uint16) {
		c := testContext()
		c.Family = netlinkx.Family(family)
		words := strings.Split(line, " ")
		cmd, err := Parse(words, c)
		if (cmd == nil) == (err == nil) {
			t.Fatalf("got %v and %v", cmd, err)
		}
		Complete(words)
		if err != nil {
			checkError(t, err)
			return
		}
		for _, w := range cmd.Warnings {
			if longHex.MatchString(w) || strings.Contains(w, "\n") {
				t.Errorf("warning %q", w)
			}
		}
		encode(t, cmd)
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Text == "" || e.Code != 1 && e.Code != 255 {
		t.Fatalf("got %#v", err)
	}
	if longHex.MatchString(e.Text) || longHex.MatchString(e.Suggest) {
		t.Errorf("shows a key: %q", e.Text)
	}
}

// encode encodes what a command sends. Filters and monitors send nothing of
// their own.
func encode(t *testing.T, c *Command) {
	t.Helper()
	var r netlinkx.Request
	switch {
	case c.SA != nil:
		r = netlinkx.AddSA(c.SA)
	case c.Range != nil:
		r = netlinkx.AllocSPI(c.Range)
	case c.Policy != nil:
		r = netlinkx.AddPolicy(c.Policy)
	case c.Migrate != nil:
		r = netlinkx.MigratePolicy(c.Migrate)
	case c.MigrateState != nil:
		r = netlinkx.MigrateSA(c.MigrateState)
	case c.AE != nil:
		r = netlinkx.SetAE(c.AE)
	case c.Object == "policy" && (c.Verb == "get" || c.Verb == "delete"):
		r = netlinkx.GetPolicy(&c.PolicyID)
	default:
		return
	}
	if _, err := netlinkx.AppendRequest(nil, r, 1, 0); err != nil {
		t.Errorf("%s %s: %v", c.Object, c.Verb, err)
	}
}

func BenchmarkParse(b *testing.B) {
	words := strings.Fields("state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128 replay-window 32 if_id 7")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(words, nil); err != nil {
			b.Fatal(err)
		}
	}
}
