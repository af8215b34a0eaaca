package gro

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/gsogro"
)

func TestParseChange(t *testing.T) {
	tests := []struct {
		words string
		want  gsogro.Change
		fails string
	}{
		{"", gsogro.Change{}, "nothing to set"},
		{"rx-gro", gsogro.Change{}, `a value must follow "rx-gro"`},
		{"rx-gro yes", gsogro.Change{}, `rx-gro is on or off, not "yes"`},
		{"gso_max_size on", gsogro.Change{}, `gso_max_size takes a number, not "on"`},
		{"gso_max_size -1", gsogro.Change{}, "takes a number"},
		{"rx-gro on tx-generic-segmentation off gso_max_size 0x10 threaded 1", gsogro.Change{
			Features: map[string]bool{"rx-gro": true, "tx-generic-segmentation": false},
			Numbers:  map[string]uint64{"gso_max_size": 16, "threaded": 1},
		}, ""},
	}
	for _, tt := range tests {
		got, err := parseChange(strings.Fields(tt.words))
		if tt.fails != "" {
			var words *verbs.Error
			if !errors.As(err, &words) || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("%q: error %v, want one that says %q", tt.words, err, tt.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.words, err)
		} else if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%q:\n%s", tt.words, d)
		}
	}
}

func TestUnknownVerb(t *testing.T) {
	err := Run(&Env{}, []string{"shwo"})
	var words *verbs.Error
	if !errors.As(err, &words) || words.Hint != `did you mean "show"?` {
		t.Errorf("error %#v, want a hint at show", err)
	}
}

func TestComplete(t *testing.T) {
	devices := func() []string { return []string{"v7"} }
	tests := []struct {
		words string
		has   string
		lacks string
	}{
		{"s", "snapshot", "on"},
		{"set v0 rx", "rx-gro", "on"},
		{"set v", "v7", "on"},
		{"snapshot v6 v", "v7", "on"},
		{"auto v0 r", "run", "v7"},
		{"explain s", "src", "v7"},
		{"set v0 rx-gro o", "on", "rx-gro"},
		{"set v0 rx-gro on gso", "gso_max_size", "off"},
	}
	for _, tt := range tests {
		got := Complete(strings.Fields(tt.words), devices)
		if !slices.Contains(got, tt.has) || slices.Contains(got, tt.lacks) {
			t.Errorf("%q: %v, want %q in it and not %q", tt.words, got, tt.has, tt.lacks)
		}
	}
	if got := Complete(strings.Fields("set v0 gso_max_size 1"), devices); got != nil {
		t.Errorf("a number completes to %v", got)
	}
}

func TestHint(t *testing.T) {
	r := &gsogro.RefusedError{Refusals: []gsogro.Refusal{{Name: "rx-gro", Have: "off"}, {Name: "tx-tcp-segmentaton", Have: "unknown"}}}
	if h := Hint(r); h != `did you mean "tx-tcp-segmentation"?` {
		t.Errorf("hint %q", h)
	}
	if h := Hint(&gsogro.RefusedError{Refusals: r.Refusals[:1]}); h != "" {
		t.Errorf("hint %q for a name that is known", h)
	}
	var e *verbs.Error
	if _, err := parseChange([]string{"gso_max_siz", "1000"}); !errors.As(err, &e) || e.Hint != `did you mean "gso_max_size"?` {
		t.Errorf("error %#v", err)
	}
}
