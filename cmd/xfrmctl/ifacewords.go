package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// ifaceRequest is what the words of an iface command say.
type ifaceRequest struct {
	verb   *ifaceVerb
	spec   ifaces.Spec
	change ifaces.Change
	netns  string // as written
	filter ifaceFilter

	kind    bool // `type xfrm` was said
	options bool // an option of the kind was said
	auto    bool // mtu auto
	sa      ifaceSA
}

// ifaceFilter narrows a list.
type ifaceFilter struct {
	up   bool
	ifID netlinkx.Opt[uint32]
}

// ifaceWord is a keyword of a verb.
type ifaceWord struct {
	name   string
	value  string // what follows it, as usage shows it; "" nothing
	help   string
	abbrev bool // any beginning of the name will do, as `ip` has it for these
	set    func(r *ifaceRequest, args []string) (rest []string, err error)
}

// ifaceVerb is a command of iface. Verbs match by prefix, the first wins.
type ifaceVerb struct {
	names   []string
	help    string
	named   bool // the name of an interface must follow
	words   []ifaceWord
	check   func(r *ifaceRequest) error
	run     func(e *env, c *ifaces.Conn, r *ifaceRequest) error
	operand string // a word after the name that is no keyword
}

// ifaceVerbs is in the order in which `ip link` compares, ours last.
func ifaceVerbs() []ifaceVerb {
	return []ifaceVerb{
		{names: []string{"add"}, help: "create an XFRM interface", named: true, words: ifaceAddWords(), check: (*ifaceRequest).checkAdd, run: (*env).ifaceAdd},
		{names: []string{"set", "change"}, help: "change an XFRM interface", named: true, words: ifaceSetWords(), check: (*ifaceRequest).checkSet, run: (*env).ifaceSet},
		{names: []string{"delete"}, help: "delete an XFRM interface; a device of another kind is refused", named: true, words: ifaceKindWords(), run: (*env).ifaceDelete},
		{names: []string{"show", "list", "lst"}, help: "list XFRM interfaces", words: ifaceShowWords(), run: (*env).ifaceShow},
		{names: []string{"move"}, help: "move an XFRM interface to another network namespace, its addresses and state with it; its SAs and policies stay those of the namespace it was made in", named: true, operand: "NETNS", words: ifaceMoveWords(), check: (*ifaceRequest).checkMove, run: (*env).ifaceMove},
		{names: []string{"adopt"}, help: "check that an existing interface is as described; exit code 1 and the differences when it is not", named: true, words: ifaceAdoptWords(), check: (*ifaceRequest).checkAdopt, run: (*env).ifaceAdopt},
		{names: []string{"help"}, help: "print this"},
	}
}

func findIfaceVerb(word string) *ifaceVerb {
	verbs := ifaceVerbs()
	for i := range verbs {
		for _, n := range verbs[i].names {
			if isPrefix(word, n) {
				return &verbs[i]
			}
		}
	}
	return nil
}

func parseIface(args []string) (*ifaceRequest, error) {
	word := "show"
	if len(args) > 0 {
		word, args = args[0], args[1:]
	}
	v := findIfaceVerb(word)
	if v == nil {
		var names []string
		for _, v := range ifaceVerbs() {
			names = append(names, v.names...)
		}
		err := &exitError{code: exitArgument, msg: fmt.Sprintf("command %q is unknown, try \"xfrmctl iface help\"", word)}
		if near := ipxfrm.Nearest(word, names); near != "" {
			err.hint = fmt.Sprintf("did you mean %q?", near)
		}
		return nil, err
	}
	r := &ifaceRequest{verb: v}
	if v.run == nil {
		return r, nil
	}
	if err := r.parse(args); err != nil {
		return nil, err
	}
	if v.named && r.spec.Name == "" {
		return nil, argError("iface %s: the name of an interface is required", v.names[0])
	}
	if n := len(r.spec.Name); n > maxName && v.names[0] == "add" {
		return nil, argError("iface add: name %q has %d bytes, and a device's name has at most %d", r.spec.Name, n, maxName)
	}
	if v.check != nil {
		return r, v.check(r)
	}
	return r, nil
}

// maxName is IFNAMSIZ without the NUL at the end.
const maxName = 15

func (r *ifaceRequest) parse(args []string) error {
	for len(args) > 0 {
		rest, err := r.next(args)
		if err != nil {
			return err
		}
		args = rest
	}
	return nil
}

// next takes one keyword with its values, or the name.
func (r *ifaceRequest) next(args []string) ([]string, error) {
	word := args[0]
	// Before the name, dev and name stand for it, as in `ip link add dev NAME`.
	if r.spec.Name == "" && (word == "dev" || word == "name") {
		if len(args) < 2 {
			return nil, incomplete(word)
		}
		r.spec.Name = args[1]
		return args[2:], nil
	}
	if w := findIfaceWord(r.verb.words, word, r.spec.Name != ""); w != nil {
		if w.value != "" && len(args) < 2 {
			return nil, incomplete(word)
		}
		return w.set(r, args[1:])
	}
	switch {
	case r.spec.Name == "":
		r.spec.Name = word
	case r.verb.operand != "" && r.netns == "":
		r.netns = word
	default:
		return nil, r.unknown(word)
	}
	return args[1:], nil
}

// findIfaceWord looks a keyword up; abbreviated ones only where no name may
// stand, or an interface could not be called "d".
func findIfaceWord(words []ifaceWord, word string, abbreviated bool) *ifaceWord {
	for i := range words {
		if w := &words[i]; w.name == word || abbreviated && w.abbrev && isPrefix(word, w.name) {
			return w
		}
	}
	return nil
}

func (r *ifaceRequest) unknown(word string) error {
	var names []string
	for _, w := range r.verb.words {
		names = append(names, w.name)
	}
	err := &exitError{code: exitArgument, msg: fmt.Sprintf("iface %s: unknown word %q", r.verb.names[0], word)}
	if r.kind {
		err.code = exitCheck // as `ip` has it for an option that the kind does not know
	}
	if near := ipxfrm.Nearest(word, names); near != "" {
		err.hint = fmt.Sprintf("did you mean %q?", near)
	}
	return err
}

func incomplete(word string) error {
	return argError("command line is not complete: a value must follow %q", word)
}

func wrong(value, reason string) error { return argError("argument %q is wrong: %s", value, reason) }

// once refuses a second value.
func once(set bool, word, value string) error {
	if set {
		return argError("duplicate %q: %q is the second value", word, value)
	}
	return nil
}

// parseCount reads a number in the forms of C: decimal, 0x, 0 for octal.
func parseCount(s string, bits int) (uint64, error) {
	if strings.ContainsRune(s, '_') {
		return 0, strconv.ErrSyntax // Go's own form
	}
	return strconv.ParseUint(s, 0, bits)
}

// parseInterfaceAddress reads an address with its prefix length, which is that
// of a single host when it is left out.
func parseInterfaceAddress(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, &exitError{code: exitCheck, msg: fmt.Sprintf("%q is not an address with a prefix length", s)}
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}
