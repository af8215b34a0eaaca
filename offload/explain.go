package offload

import (
	"slices"
	"strings"
	"syscall"
)

// Explanation is what a refusal of the kernel means.
type Explanation struct {
	Driver string `json:"driver,omitempty"` // "" the kernel's core
	Rule   string `json:"rule,omitempty"`   // id of the rule that says so
	Cause  string `json:"cause"`
	Fix    string `json:"fix"`
}

// Explain finds what a refusal means among the packs: by its text, within the
// driver's own words first, or else by the errno alone. Texts are compared
// without regard to case and to what stands before a colon (the module's name),
// and so that one may continue the other, because kernels change them. ok is
// false when nothing is known.
func Explain(packs map[string]*Pack, driver string, errno syscall.Errno, text string) (x Explanation, ok bool) {
	order := []*Pack{packs[driver], packs[""]}
	if driver == "" {
		order = []*Pack{packs[""]}
		for _, name := range sortedDrivers(packs) {
			order = append(order, packs[name])
		}
	}
	name := errnoName(errno)
	type match = func(*Pack, string, string) (Explanation, bool)
	tries := []struct {
		match match
		text  string
	}{{(*Pack).explain, text}, {(*Pack).explainLoosely, text}}
	if sameText(saysNothing, text) { // up to 6.1 of all drivers: the errno says more
		tries = slices.Insert(tries, 1, tries[0])
		tries[1].text = ""
	}
	for _, try := range tries {
		for _, p := range order {
			if p == nil {
				continue
			}
			if x, ok := try.match(p, name, try.text); ok {
				return x, true
			}
		}
	}
	return Explanation{}, false
}

// saysNothing is the core's text when a driver gave none.
const saysNothing = "Device failed to offload this"

func sortedDrivers(packs map[string]*Pack) []string {
	var names []string
	for n := range packs {
		if n != "" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// explain knows the answer word for word.
func (p *Pack) explain(errno, text string) (Explanation, bool) {
	for _, a := range p.Answers { // one text may begin another
		if a.Text != "" && a.Errno == errno && plainText(a.Text) == plainText(text) {
			return Explanation{Driver: p.Driver, Cause: a.Cause, Fix: a.Fix}, true
		}
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		if text != "" && sameText(r.Text, text) {
			return Explanation{Driver: p.Driver, Rule: r.ID, Cause: r.cause(), Fix: r.Fix}, true
		}
	}
	for _, a := range p.Answers {
		if a.Text == "" && text == "" && a.Errno == errno || a.Text != "" && text != "" && sameText(a.Text, text) && a.Errno == errno {
			return Explanation{Driver: p.Driver, Cause: a.Cause, Fix: a.Fix}, true
		}
	}
	return Explanation{}, false
}

// explainLoosely knows the words with another errno, or an errno that needs no
// words.
func (p *Pack) explainLoosely(errno, text string) (Explanation, bool) {
	for _, a := range p.Answers {
		if text != "" && (a.Text != "" && sameText(a.Text, text) || a.Text == "" && a.Errno == errno && errno != "EINVAL") {
			return Explanation{Driver: p.Driver, Cause: a.Cause, Fix: a.Fix}, true
		}
	}
	return Explanation{}, false
}

// cause says what the rule demands in words.
func (r *Rule) cause() string {
	var want []string
	for _, c := range r.Want {
		want = append(want, c.String())
	}
	s := "the device takes only " + strings.Join(want, ", ")
	if r.Depends != "" {
		s += " (depends on: " + r.Depends + ")"
	}
	return s
}

// sameText compares a text of the kernel's with one that is known.
func sameText(known, said string) bool {
	if known == "" || said == "" {
		return false
	}
	k, s := plainText(known), plainText(said)
	return strings.HasPrefix(s, k) || len(s) >= 20 && strings.HasPrefix(k, s)
}

func plainText(s string) string {
	if module, rest, ok := strings.Cut(s, ": "); ok && !strings.Contains(module, " ") {
		s = rest
	}
	return strings.ToLower(strings.TrimRight(strings.TrimSpace(s), "."))
}

// errnoName returns the name of the errnos that packs use. 0 is "OK": a text
// that came with success.
func errnoName(e syscall.Errno) string {
	switch e {
	case 0:
		return "OK"
	case syscall.EINVAL:
		return "EINVAL"
	case syscall.EOPNOTSUPP, 524: // ENOTSUPP leaks from drivers
		return "EOPNOTSUPP"
	case syscall.ENOSPC:
		return "ENOSPC"
	case syscall.EBUSY:
		return "EBUSY"
	case syscall.ENODEV:
		return "ENODEV"
	case syscall.EACCES:
		return "EACCES"
	}
	return e.Error()
}
