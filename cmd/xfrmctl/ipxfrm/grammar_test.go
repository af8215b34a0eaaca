package ipxfrm

import (
	"slices"
	"strings"
	"testing"
)

// allKeywords visits every keyword of the grammar once per list it is in.
func allKeywords(visit func(where string, k *keyword)) {
	list := func(where string, words []keyword) {
		for i := range words {
			visit(where, &words[i])
		}
	}
	for _, object := range []string{"state", "policy", "monitor"} {
		for _, c := range commands(object) {
			list(object+" "+c.name(), c.keywords)
		}
	}
	list("ID", idKeywords)
	list("SELECTOR", selectorWords())
	list("ALGO", algoKeywords)
	list("LIMIT", limitKeywords)
	list("IPTFS-LIST", iptfsKeywords)
	list("TMPL", templateKeywords)
	list("migrate", entryKeywords)
}

// What usage promises must exist: every name in capitals is a kind or a group.
func TestGrammarIsComplete(t *testing.T) {
	allKeywords(func(where string, k *keyword) {
		if k.help == "" || k.parse == nil || strings.ToLower(k.name) != k.name && k.name != "SA" {
			t.Errorf("%s %s: help %q, parse %v", where, k.name, k.help, k.parse != nil)
		}
		if strings.HasSuffix(k.help, ".") {
			t.Errorf("%s %s: help %q is no clause", where, k.name, k.help)
		}
		for _, meta := range strings.Fields(k.values) {
			if meta != strings.ToUpper(meta) || strings.Trim(meta, "[]{}|") == "" {
				continue
			}
			if _, ok := usageGroupOf(meta); !ok && kinds[meta] == nil {
				t.Errorf("%s %s: %s is neither kind nor group", where, k.name, meta)
			}
		}
	})
	for meta, k := range kinds {
		if (len(k.words) == 0) == (k.help == "") {
			t.Errorf("%s has %d words and help %q", meta, len(k.words), k.help)
		}
	}
}

// Keywords take what their usage says: with the values missing a command is
// incomplete, or the keyword has none that must be.
func TestKeywordsWantValues(t *testing.T) {
	for _, object := range []string{"state", "policy", "monitor"} {
		for _, c := range commands(object) {
			for i := range c.keywords {
				k := &c.keywords[i]
				p := newParser(testContext())
				p.command = &c
				p.words, p.pos = []string{k.name}, 1
				if c.start != nil {
					c.start(p)
				}
				err := k.parse(p)
				optional := k.values == "" || strings.HasPrefix(k.values, "[") && strings.Count(k.values, "[") == 2 && strings.HasSuffix(k.values, "]")
				if (err == nil) != optional && k.name != "help" {
					t.Errorf("%s %s %s: %q gives %v", object, c.name(), k.name, k.values, err)
				}
			}
		}
	}
}

func TestUsage(t *testing.T) {
	for _, object := range []string{"", "state", "policy", "monitor"} {
		text := Usage(object)
		if !strings.HasPrefix(text, "Usage: xfrmctl ") || !strings.HasSuffix(text, "\n") {
			t.Errorf("%q: %q", object, text)
		}
		for line := range strings.Lines(text) {
			if len(line) > usageWidth+1 {
				t.Errorf("%q: line of %d: %s", object, len(line), line)
			}
		}
		for _, c := range commands(object) {
			for _, k := range c.keywords {
				if !strings.Contains(text, k.name) {
					t.Errorf("usage of %s lacks %s", object, k.name)
				}
			}
		}
	}
	for _, want := range []string{
		"Usage: xfrmctl state { add | update } ID [ mode MODE ]\n",
		"Usage: xfrmctl state { delete | get } ID [ mark MARK [ mask MASK ] ]\n",
		"ID := [ src ADDR ] [ dst ADDR ] [ proto XFRM-PROTO ] [ spi SPI ]\n",
		"MODE := transport | tunnel | ro | in_trigger | beet | +iptfs\n",
	} {
		if !strings.Contains(Usage("state"), want) {
			t.Errorf("usage of state lacks %q:\n%s", want, Usage("state"))
		}
	}
}

func TestComplete(t *testing.T) {
	for line, want := range map[string]string{
		"":                                       "help monitor policy sa state",
		"st":                                     "state",
		"state fl":                               "flush",
		"state a":                                "add ae allocspi",
		"state de":                               "delall delete deleteall",
		"state ae ":                              "get set",
		"state ae s":                             "set",
		"state migrate new":                      "new-dst new-mark new-reqid new-sel new-src",
		"state add m":                            "mapping-thresh mark mode",
		"state add mode ":                        "beet in_trigger iptfs ro transport tunnel",
		"state add mode tunnel re":               "replay-oseq replay-oseq-hi replay-seq replay-seq-hi replay-thresh replay-window reqid",
		"state add src ":                         "",
		"state add src 10.0.0.1 s":               "spi src",
		"state add proto c":                      "comp",
		"state add mark 5 mas":                   "mask",
		"state add mark 5 mask 1 m":              "mapping-thresh mark mode",
		"state add flag noecn a":                 "aead af-unspec align4 auth auth-trunc",
		"state add limit byte":                   "byte-hard byte-soft",
		"state add offload ":                     "auto crypto dev packet prefer require",
		"state add offload packet ":              "dev",
		"state add encap espinudp":               "espinudp espinudp-nonike",
		"state add iptfs d":                      "dont-frag drop-time",
		"state add aead rfc4":                    "rfc4106(gcm(aes)) rfc4309(ccm(aes)) rfc4543(gcm(aes))",
		"state add enc cbc(a":                    "cbc(aes)",
		"state add auth xc":                      "xcbc(aes)",
		"state add comp ":                        "deflate lzjh lzs",
		"state add aead rfc4106(gcm(aes)) ":      "@ env:",
		"state add aead rfc4106(gcm(aes)) k ":    "128 64 96",
		"state add auth-trunc hmac(sha256) k 1":  "128 192",
		"state add auth-trunc hmac(sha256) k 96": "96",
		"state add sel proto t":                  "tcp",
		"state add nonsense ":                    "",
		"state add mode nonsense ":               "",
		"state list no":                          "nokeys",
		"policy add tmpl ":                       "auth-mask comp-mask dst enc-mask level mode proto reqid share spi src",
		"policy add tmpl level ":                 "required use",
		"policy add dir ":                        "fwd in out",
		"policy setdefault in ":                  "accept block",
		"policy migrate from proto esp ":         "dst proto spi src",
		"policy flush ":                          "ptype",
		"policy flush ptype ":                    "main sub",
		"policy count ":                          "",
		"monitor m":                              "mapping migrate",
		"nonsense ":                              "",
	} {
		if got := strings.Join(Complete(strings.Split(line, " ")), " "); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
	if got := Complete(nil); !slices.Contains(got, "state") {
		t.Errorf("no words: got %q", got)
	}
}

// Whatever completion offers for a command's first word parses as far as that
// word.
func TestCompleteOffersWhatParses(t *testing.T) {
	for _, command := range []string{"state add", "state list", "state allocspi", "policy add", "policy list", "policy get", "state ae set", "policy migrate", "monitor"} {
		offered := Complete(append(strings.Fields(command), ""))
		if len(offered) == 0 {
			t.Errorf("%s: nothing offered", command)
		}
		for _, w := range offered {
			_, err := parseLine(command+" "+w, testContext())
			if err != nil && strings.Contains(err.Error(), "unknown") {
				t.Errorf("%s %s: %v", command, w, err)
			}
		}
	}
}

func TestManSections(t *testing.T) {
	sections := ManSections()
	find := func(title string) *ManSection {
		for i := range sections {
			if sections[i].Title == title {
				return &sections[i]
			}
		}
		t.Errorf("no section %s", title)
		return &ManSection{}
	}
	has := func(s *ManSection, term string) bool {
		return slices.ContainsFunc(s.Terms, func(m ManTerm) bool { return m.Term == term && m.Text != "" })
	}
	if s := find("state add, update"); len(s.Text) != 2 || !has(s, "mark MARK [ mask MASK ]") || !has(s, "iptfs IPTFS-LIST") {
		t.Errorf("%+v", s)
	}
	if s := find("monitor"); !has(s, "acquire") {
		t.Errorf("%+v", s)
	}
	if s := find("UPSPEC"); !has(s, "sport PORT") {
		t.Errorf("%+v", s)
	}
	if s := find("VALUES"); !has(s, "MODE") || !has(s, "ALGO-KEYMAT") {
		t.Errorf("%+v", s)
	}
	allKeywords(func(where string, k *keyword) {
		found := slices.ContainsFunc(sections, func(s ManSection) bool {
			return slices.ContainsFunc(s.Terms, func(m ManTerm) bool { return m.Term == k.name || strings.HasPrefix(m.Term, k.name+" ") })
		})
		if !found {
			t.Errorf("%s %s is not in the manual", where, k.name)
		}
	})
}
