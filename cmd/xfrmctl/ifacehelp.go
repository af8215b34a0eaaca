package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/ifaces"
)

// ifaceUsage returns the words of all verbs.
func ifaceUsage() string {
	var b strings.Builder
	for i, v := range ifaceVerbs() {
		lead := "Usage: "
		if i > 0 {
			lead = "       "
		}
		b.WriteString(wrapTerms(lead+"xfrmctl iface "+ifaceNames(&v), ifaceTerms(&v)))
	}
	return b.String()
}

func ifaceNames(v *ifaceVerb) string {
	if len(v.names) == 1 {
		return v.names[0]
	}
	return "{ " + strings.Join(v.names, " | ") + " }"
}

func ifaceTerms(v *ifaceVerb) []string {
	var terms []string
	switch {
	case v.named:
		terms = append(terms, "NAME")
	case v.run != nil:
		terms = append(terms, "[ NAME ]")
	}
	if v.operand != "" {
		terms = append(terms, v.operand)
	}
	for _, w := range v.words {
		if w.help != "" {
			terms = append(terms, "[ "+strings.TrimSpace(w.name+" "+w.value)+" ]")
		}
	}
	return terms
}

// wrapTerms breaks a usage line between terms.
func wrapTerms(head string, terms []string) string {
	const width, indent = 100, "               "
	var b strings.Builder
	line := head
	for _, t := range terms {
		if len(line)+1+len(t) > width {
			b.WriteString(line + "\n")
			line = indent + t
			continue
		}
		line += " " + t
	}
	return b.String() + line + "\n"
}

// ifaceComplete returns what the last of the words after "iface" may become.
func ifaceComplete(words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	var out []string
	for _, w := range ifaceCandidates(words[:len(words)-1]) {
		if strings.HasPrefix(w, last) {
			out = append(out, w)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func ifaceCandidates(before []string) []string {
	var out []string
	if len(before) == 0 {
		for _, v := range ifaceVerbs() {
			out = append(out, v.names...)
		}
		return out
	}
	v := findIfaceVerb(before[0])
	if v == nil {
		return nil
	}
	prev := before[len(before)-1]
	if w := findIfaceWord(v.words, prev, true); w != nil && w.value != "" && len(before) > 2 {
		return ifaceValues(w)
	}
	if len(before) > 3 && before[len(before)-2] == "addr" && v.names[0] == "set" {
		return nil // an address
	}
	if v.named && len(before) == 1 {
		return nil // a name: the program knows which words, not which devices
	}
	for _, w := range v.words {
		if w.help != "" {
			out = append(out, w.name)
		}
	}
	return out
}

// ifaceValues returns the values of a keyword that are words.
func ifaceValues(w *ifaceWord) []string {
	switch w.name {
	case "type":
		return []string{ifaces.Kind}
	case "mtu":
		return []string{"auto"}
	case "cipher":
		return ifaces.Ciphers()
	case "auth":
		return ifaces.AuthAlgorithms()
	case "mode":
		return []string{"tunnel", "transport", "beet"}
	case "encap":
		return []string{"espinudp", "espintcp"}
	case "family":
		return []string{"inet", "inet6"}
	case "addr":
		if strings.HasPrefix(w.value, "{") {
			return []string{"add", "del"}
		}
	}
	return nil
}

// ifaceManSections returns what the manual says of the words of iface.
func ifaceManSections() []ipxfrm.ManSection {
	var out []ipxfrm.ManSection
	for _, v := range ifaceVerbs() {
		if v.run == nil {
			continue
		}
		s := ipxfrm.ManSection{
			Title: "iface " + v.names[0],
			Text: []string{
				fmt.Sprintf("xfrmctl iface %s %s", ifaceNames(&v), strings.Join(ifaceTerms(&v), " ")),
				strings.ToUpper(v.help[:1]) + v.help[1:] + ".",
			},
		}
		for _, w := range v.words {
			if w.help != "" {
				s.Terms = append(s.Terms, ipxfrm.ManTerm{Term: strings.TrimSpace(w.name + " " + w.value), Text: strings.ToUpper(w.help[:1]) + w.help[1:] + "."})
			}
		}
		out = append(out, s)
	}
	return out
}
