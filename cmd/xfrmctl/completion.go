package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// The scripts ask the program itself for candidates, so that they never need
// to change: xfrmctl __complete WORDS, the last word being the one under way.
// Words of bash are no use, because it breaks them at colons and the like: it
// hands over the line, xfrmctl __complete --line LINE.
const bashScript = `# bash completion of xfrmctl: source this, or put it into
# /usr/share/bash-completion/completions/xfrmctl
_xfrmctl() {
    local line=${COMP_LINE:0:COMP_POINT} cur c
    local -a found
    mapfile -t found < <("${COMP_WORDS[0]}" __complete --line "$line" 2>/dev/null)
    cur=${line##*[[:space:]]}
    COMPREPLY=()
    for c in "${found[@]}"; do
        # Inside quotes readline takes the words as they are.
        [[ $cur == [\'\"]* ]] || printf -v c %q "$c"
        # It breaks words at colons: give it what comes after the last one.
        [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]] && c=${c#"${cur%:*}:"}
        COMPREPLY+=("$c")
    done
    [[ ${#found[@]} == 1 && ${found[0]} == *[@:/] ]] && compopt -o nospace
}
complete -o default -F _xfrmctl xfrmctl
`

const zshScript = `#compdef xfrmctl
# zsh completion of xfrmctl: put it as _xfrmctl into a directory of $fpath, or source it.
_xfrmctl() {
    local -a candidates unfinished
    candidates=(${(f)"$(${(Q)words[1]} __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)"})
    if (( ! $#candidates )); then
        _files
        return
    fi
    unfinished=(${(M)candidates:#*[@:/]})
    candidates=(${candidates:#*[@:/]})
    # An empty one would keep zsh from taking a lone match.
    (( $#candidates )) && compadd -a candidates
    (( $#unfinished )) && compadd -S '' -a unfinished
    return 0
}
if [[ ${funcstack[1]} == _xfrmctl ]]; then
    _xfrmctl "$@"
else
    compdef _xfrmctl xfrmctl
fi
`

const fishScript = `# fish completion of xfrmctl: put it into ~/.config/fish/completions/xfrmctl.fish
function __xfrmctl_candidates
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    $words[1] __complete $words[2..-1] "$current" 2>/dev/null
end
complete -c xfrmctl -f -a '(__xfrmctl_candidates)'
complete -c xfrmctl -n 'contains -- (commandline -opc)[-1] -b -batch --batch file' -F
`

// completion prints a shell's completion script.
func (e *env) completion(args []string) error {
	scripts := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}
	if len(args) != 1 || scripts[args[0]] == "" {
		return argError("completion takes one word: bash, zsh or fish")
	}
	_, err := e.stdout.WriteString(scripts[args[0]])
	return err
}

// complete prints the candidates for the last word, one per line. None means
// that the shell may offer file names.
func (e *env) complete(words []string) error {
	if len(words) == 2 && words[0] == "--line" {
		words = splitLine(words[1])
		words = words[min(1, len(words)-1):] // not the program's own name
	}
	if len(words) == 0 {
		words = []string{""}
	}
	for _, c := range e.candidates(words) {
		fmt.Fprintln(e.stdout, c)
	}
	return nil
}

// splitLine splits what stands on a shell's command line, of which the last word
// is under way: empty behind a blank, or without its closing quote. Nothing is expanded.
func splitLine(line string) []string {
	words := []string{""}
	var quote byte
	inside := false // of a word, which may be empty between quotes
	for i := 0; i < len(line); i++ {
		last, c := &words[len(words)-1], line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			*last, inside = *last+line[i:i+1], true
		case quote == 0 && (c == '\'' || c == '"'):
			quote, inside = c, true
		case quote == 0 && isBlank(c):
			if inside {
				words = append(words, "")
			}
			inside = false
		default:
			*last, inside = *last+line[i:i+1], true
		}
	}
	return words
}

// candidates returns what the last of words may become.
func (e *env) candidates(words []string) []string {
	last := words[len(words)-1]
	rest := words
	for len(rest) > 1 && strings.HasPrefix(rest[0], "-") {
		opt, _, hasValue := findOption(rest[0])
		rest = rest[1:]
		if opt == nil || opt.arg == "" || hasValue {
			continue
		}
		if len(rest) == 1 {
			return matching(optionValues(opt.name), last)
		}
		rest = rest[1:]
	}
	if c := keyCandidates(last); c != nil && len(rest) > 1 {
		return c
	}
	if len(rest) == 1 {
		if strings.HasPrefix(last, "-") {
			return matching(optionNames(), last)
		}
		return matching(objectNames(), last)
	}
	if before := rest[max(len(rest)-2, 0)]; len(rest) > 2 && (before == "dev" || before == "--offload") {
		return matching(deviceNames(), last)
	}
	if c := findCommand(rest[0]); c != nil && c.name == "iface" && len(rest) == 3 && rest[1] != "add" {
		return matching(deviceNames(), last)
	}
	return matching(commandWords(rest), last)
}

// keyCandidates completes a word that says where a key is: the files behind an @,
// the environment's names behind env:. nil when the word says nothing of the kind.
func keyCandidates(word string) []string {
	if name, ok := strings.CutPrefix(word, "env:"); ok {
		var out []string
		for _, v := range os.Environ() {
			if n, _, _ := strings.Cut(v, "="); strings.HasPrefix(n, name) {
				out = append(out, "env:"+n)
			}
		}
		sort.Strings(out)
		return out
	}
	path, ok := strings.CutPrefix(word, "@")
	if !ok {
		return nil
	}
	dir, base := filepath.Split(path)
	list, _ := os.ReadDir(cmp.Or(dir, ".")) // no candidates then
	out := []string{}
	for _, f := range list {
		name := f.Name()
		if !strings.HasPrefix(name, base) || name[0] == '.' && base == "" {
			continue
		}
		if f.IsDir() {
			name += "/"
		}
		out = append(out, "@"+dir+name)
	}
	return out
}

// commandWords returns the words that may follow an object.
func commandWords(words []string) []string {
	c := findCommand(words[0])
	if c == nil || c.complete == nil {
		return nil
	}
	return c.complete(words[1:])
}

func objectNames() []string {
	var names []string
	for _, c := range commands() {
		if !c.hidden {
			names = append(names, c.name)
		}
	}
	return names
}

func optionNames() []string {
	var names []string
	for _, o := range optionTable {
		if o.usage == "" {
			continue
		}
		if o.exact {
			names = append(names, "-"+o.name)
		} else {
			names = append(names, "--"+o.name)
		}
	}
	return names
}

// optionValues returns the values that an option may have, nil for any.
func optionValues(option string) []string {
	switch option {
	case "family":
		return []string{"inet", "inet6"}
	case "engine":
		return []string{"auto", "kernel", "userspace"}
	case "netns":
		return entries("/run/netns")
	}
	return nil
}

func deviceNames() []string { return entries("/sys/class/net") }

func entries(dir string) []string {
	list, _ := os.ReadDir(dir) // no candidates then
	names := make([]string, 0, len(list))
	for _, f := range list {
		names = append(names, f.Name())
	}
	return names
}

// matching returns the candidates that begin with word, sorted.
func matching(candidates []string, word string) []string {
	var out []string
	for _, c := range candidates {
		if strings.HasPrefix(c, word) {
			out = append(out, c)
		}
	}
	sort.Strings(out)
	return out
}
