package differ

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeCodes writes the tables into a directory with the exit codes of `ip`
// in front of each command, for whoever adds rows: run the test binary with
// XFRMCTL_DIFF_CODES=DIRECTORY in the kernel that the codes are to be of.
func writeCodes(dir string) error {
	ip, err := findIP()
	if err != nil {
		return err
	}
	p, err := newPair(ip, ip, ip)
	if err != nil {
		return err
	}
	defer p.close()
	for _, file := range rowFiles {
		codes, err := codesOf(p, file)
		if err != nil {
			return err
		}
		text, err := tables.ReadFile("testdata/" + file)
		if err != nil {
			return err
		}
		lines := strings.Split(string(text), "\n")
		for n, list := range codes {
			_, rest := cutCodes(lines[n-1])
			lines[n-1] = encodeCodes(list) + " " + rest
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// codesOf returns the exit codes of a table's commands by line.
func codesOf(p *pair, file string) (map[int][]int, error) {
	groups, err := readTable(file)
	if err != nil {
		return nil, err
	}
	codes := map[int][]int{}
	for _, g := range groups {
		for _, par := range g.cases {
			if err := p.reset(); err != nil {
				return nil, err
			}
			for i, row := range par.rows {
				r, err := p.left.run(p.leftTool, row.command.ip(), "")
				if err != nil {
					return nil, fmt.Errorf("%s:%d: %w", file, par.line, err)
				}
				codes[par.line+i] = append(codes[par.line+i], r.code)
			}
		}
	}
	return codes, nil
}
