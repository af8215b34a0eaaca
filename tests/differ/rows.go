package differ

import (
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The tables are text files. "== NAME" begins a group, "$NAME = WORDS" names
// words, "#" a comment. The commands of a paragraph run one after another in
// emptied namespaces. Braces hold alternatives, {a|b c}: the paragraph runs
// once for each, and {%numbers} stands for a list of the generator. Only one
// line of a paragraph has braces.
//
// In front of each command stands the exit code of ip 7.3 on User Mode Linux
// 7.2, or one for each alternative, run-length encoded: "0*3,255". So a row
// cannot rot into one that is refused for a typing error.
//
//go:embed testdata/*.rows
var tables embed.FS

// rowFiles are the tables of the grammar.
var rowFiles = []string{"state.rows", "policy.rows", "options.rows"}

// group is a part of a table under a name.
type group struct {
	name  string
	cases []paragraph
}

// paragraph is a series of commands that begins with empty tables.
type paragraph struct {
	line int // in the file
	rows []row
}

// row is a command with the exit code that ip gives.
type row struct {
	command command
	code    int
	coded   bool
}

// lists that braces may name.
var namedLists = map[string][]string{"numbers": oddNumbers, "addresses": oddAddresses, "keys": oddKeys, "names": oddNames, "words": oddWords}

// readTable reads a file of testdata.
func readTable(file string) ([]group, error) {
	text, err := tables.ReadFile("testdata/" + file)
	if err != nil {
		return nil, err
	}
	var groups []group
	names := map[string]string{}
	var lines []string
	first := 0
	flush := func() error {
		if len(lines) == 0 {
			return nil
		}
		cases, err := expand(lines, names, first)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, first, err)
		}
		if len(groups) == 0 {
			return fmt.Errorf("%s:%d: commands before a group", file, first)
		}
		g := &groups[len(groups)-1]
		g.cases = append(g.cases, cases...)
		lines = nil
		return nil
	}
	for i, line := range strings.Split(string(text)+"\n", "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "$") && strings.Contains(line, " = "):
			name, words, _ := strings.Cut(line[1:], " = ")
			names[name] = words
		case line == "" || strings.HasPrefix(line, "== "):
			if err := flush(); err != nil {
				return nil, err
			}
			if name, ok := strings.CutPrefix(line, "== "); ok {
				groups = append(groups, group{name: name})
			}
		default:
			if len(lines) == 0 {
				first = i + 1
			}
			lines = append(lines, line)
		}
	}
	return groups, nil
}

// expand makes the cases of a paragraph, one for each alternative.
func expand(lines []string, names map[string]string, first int) ([]paragraph, error) {
	n := 1
	versions := make([][]string, len(lines)) // the command of each line, per alternative
	codes := make([][]int, len(lines))
	for i, line := range lines {
		list, rest := cutCodes(line)
		codes[i] = list
		before, inside, ok := strings.Cut(rest, "{")
		if !ok {
			versions[i] = []string{rest}
			continue
		}
		inside, after, ok := strings.Cut(inside, "}")
		if !ok || n > 1 || strings.Contains(after, "{") {
			return nil, fmt.Errorf("braces without end, or in two lines: %s", line)
		}
		alternatives := strings.Split(inside, "|")
		if name, ok := strings.CutPrefix(inside, "%"); ok {
			alternatives = slices.Clone(namedLists[name])
			for j, a := range alternatives {
				alternatives[j] = quote(a)
			}
		}
		for _, a := range alternatives {
			versions[i] = append(versions[i], before+a+after)
		}
		n = len(alternatives)
	}
	cases := make([]paragraph, n)
	for k := range cases {
		cases[k].line = first
		for i := range lines {
			words, err := splitWords(versions[i][min(k, len(versions[i])-1)], names)
			if err != nil {
				return nil, err
			}
			r := row{command: newCommand(words)}
			if len(codes[i]) > 0 {
				r.code, r.coded = codes[i][min(k, len(codes[i])-1)], true
			}
			cases[k].rows = append(cases[k].rows, r)
		}
	}
	return cases, nil
}

// cutCodes takes the exit codes off the front of a line.
func cutCodes(line string) ([]int, string) {
	word, rest, _ := strings.Cut(line, " ")
	if strings.HasPrefix(word, "-") {
		return nil, line
	}
	var codes []int
	for _, run := range strings.Split(word, ",") {
		code, times, repeated := strings.Cut(run, "*")
		c, err := strconv.Atoi(code)
		if err != nil {
			return nil, line
		}
		n := 1
		if repeated {
			if n, err = strconv.Atoi(times); err != nil {
				return nil, line
			}
		}
		codes = append(codes, slices.Repeat([]int{c}, n)...)
	}
	return codes, rest
}

// encodeCodes is the reverse of cutCodes.
func encodeCodes(codes []int) string {
	var runs []string
	for i := 0; i < len(codes); {
		n := 1
		for i+n < len(codes) && codes[i+n] == codes[i] {
			n++
		}
		if n == len(codes) || n == 1 {
			runs = append(runs, strconv.Itoa(codes[i]))
		} else {
			runs = append(runs, fmt.Sprintf("%d*%d", codes[i], n))
		}
		i += n
	}
	return strings.Join(runs, ",")
}
