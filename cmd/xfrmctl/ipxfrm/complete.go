package ipxfrm

import (
	"slices"
	"strings"
)

// Complete returns what the last of the words after `ip xfrm` may become:
// objects, commands, keywords, and the values that are fixed words. It asks
// for no keys and devices. nil means that any word may stand there, or that
// there is an error before it.
func Complete(args []string) []string {
	if len(args) == 0 {
		args = []string{""}
	}
	before, last := args[:len(args)-1], args[len(args)-1]
	var out []string
	for _, w := range candidates(before) {
		if strings.HasPrefix(w, last) {
			out = append(out, w)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// candidates parses the words and returns what may follow them.
func candidates(words []string) []string {
	if len(words) == 0 {
		return objectNames()
	}
	p := newParser(&Context{
		Device: func(string) (int32, error) { return 1, nil },
		Key:    func(string) ([]byte, error) { return nil, nil },
	})
	p.completing = true
	if err := p.findCommand(words); err != nil {
		return subcommands(words)
	}
	err := p.body()
	if err != nil && p.more() {
		return nil
	}
	if len(p.words) == 0 && p.command.object != "monitor" {
		return firstWords(commandNames(p.command.object))
	}
	return p.expected
}

// firstWords cuts names that are two words: a shell that was given both would
// take them for one.
func firstWords(names []string) []string {
	for i, n := range names {
		names[i], _, _ = strings.Cut(n, " ")
	}
	return names
}

// subcommands returns the second words of commands that have two, after the
// first one.
func subcommands(words []string) []string {
	if len(words) != 2 {
		return nil
	}
	var out []string
	for _, name := range commandNames(findObject(words[0])) {
		if rest, ok := strings.CutPrefix(name, words[1]+" "); ok {
			out = append(out, rest)
		}
	}
	return out
}
