package verbs

import (
	"errors"
	"strings"
	"testing"
)

func table() *Table[int] {
	return &Table[int]{Program: "xfrmctl thing", Verbs: []Verb[int]{
		{"show", "[ DEV ]", "print it", func(int) error { return nil }},
		{"snapshot", "", strings.Repeat("many words ", 20), func(int) error { return errors.New("snapshot ran") }},
		{"help", "", "print this", nil},
	}, Tail: "DEV := a device\n"}
}

func TestFind(t *testing.T) {
	for _, tt := range []struct{ word, want, hint string }{
		{"show", "show", ""}, {"s", "show", ""}, {"sn", "snapshot", ""},
		{"", "", ""}, {"shwo", "", `did you mean "show"?`}, {"elephant", "", ""},
	} {
		v, err := table().Find(tt.word)
		var e *Error
		switch {
		case tt.want != "" && (err != nil || v.Name != tt.want):
			t.Errorf("%q: %v, %v, want %s", tt.word, v, err, tt.want)
		case tt.want == "" && (!errors.As(err, &e) || e.Hint != tt.hint):
			t.Errorf("%q: %v, want an error with hint %q", tt.word, err, tt.hint)
		}
	}
	if !table().Is("s", "show") || table().Is("s", "snapshot") || table().Is("x", "show") {
		t.Error("Is: abbreviations go to the first verb, unknown words to none")
	}
}

func TestUsage(t *testing.T) {
	u := table().Usage()
	for _, want := range []string{"Usage: xfrmctl thing show [ DEV ]\n", "       xfrmctl thing snapshot\n", "           print it\n", "DEV := a device\n"} {
		if !strings.Contains(u, want) {
			t.Errorf("usage lacks %q:\n%s", want, u)
		}
	}
	for line := range strings.Lines(u) {
		if len(line) > 120 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
}

func TestManSection(t *testing.T) {
	s := table().ManSection("thing")
	if len(s.Terms) != 2 || s.Terms[0].Term != "show [ DEV ]" || s.Terms[0].Text != "Print it." {
		t.Errorf("%+v", s)
	}
}

func TestChoose(t *testing.T) {
	var out strings.Builder
	for _, tt := range []struct{ words, verb, rest string }{{"", "show", ""}, {"snap a b", "snapshot", "a b"}, {"help", "", ""}} {
		out.Reset()
		v, rest, err := table().Choose(strings.Fields(tt.words), &out)
		if err != nil || (v == nil) != (tt.verb == "") || v != nil && v.Name != tt.verb || strings.Join(rest, " ") != tt.rest {
			t.Errorf("%q: %v, %q, %v", tt.words, v, rest, err)
		}
		if (out.Len() > 0) != (tt.words == "help") {
			t.Errorf("%q printed %q", tt.words, out.String())
		}
	}
	if _, _, err := table().Choose([]string{"shwo"}, &out); err == nil {
		t.Error("an unknown verb is chosen")
	}
}
