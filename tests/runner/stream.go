package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A segment is what one test binary printed, as run-tests.sh delimits it.
type segment struct {
	pkg    string
	output strings.Builder
	code   string // exit code; empty: it never ended
}

// segments cuts the output of run-tests.sh into packages and calls end after
// each. What stands outside of any package goes to other, and all lines of
// packages to each.
func segments(r io.Reader, other io.Writer, each func(string), end func(*segment)) error {
	in := bufio.NewReader(r)
	var cur *segment
	for {
		line, err := in.ReadString('\n')
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "@@begin":
			cur = &segment{pkg: f[1]}
		case len(f) == 3 && f[0] == "@@end" && cur != nil && cur.pkg == f[1]:
			cur.code = f[2]
			end(cur)
			cur = nil
		case cur != nil:
			cur.output.WriteString(line)
			each(line)
		case strings.TrimSpace(line) != "":
			fmt.Fprint(other, line)
		}
		if err != nil {
			if cur != nil {
				end(cur)
			}
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// stream runs cmd, which is run-tests.sh somewhere, and collects the results of
// the binaries. All output is kept in the kernel's log.
func (s *session) stream(g *group, cmd *exec.Cmd, bins []binary, live bool) error {
	log, err := os.Create(filepath.Join(s.work, "logs", strings.ReplaceAll(g.name, "/", "_")+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = s.out
	if err := cmd.Start(); err != nil {
		return err
	}
	seen := map[string]bool{}
	begin := time.Now()
	each := func(line string) {
		s.done.line(line)
		if live && !strings.HasPrefix(line, "\x16") {
			fmt.Fprint(s.out, line)
		}
	}
	err = segments(io.TeeReader(pipe, log), s.out, each, func(seg *segment) {
		seen[seg.pkg] = true
		results := s.convert(seg)
		one := group{results: results}
		g.results = append(g.results, results...)
		fmt.Fprintf(s.out, "   %-40s %4d passed %3d failed %3d skipped %7.1f s\n", result{pkg: seg.pkg}.name(),
			one.count(passed), one.count(failed), one.count(skipped), time.Since(begin).Seconds())
		begin = time.Now()
	})
	err = errors.Join(err, cmd.Wait())
	for _, b := range bins {
		if !seen[b.pkg] {
			g.results = append(g.results, result{b.pkg, "", failed, "did not run: the kernel ended before"})
		}
	}
	if g.count(passed)+g.count(failed) == 0 && g.name != "native" {
		return errors.New("no test ran")
	}
	return err
}

// convert makes results of a binary's output, by way of test2json.
func (s *session) convert(seg *segment) []result {
	c := newCollector(s.out)
	input := seg.output.String()
	switch seg.code {
	case "0":
	case "":
		c.why = "the kernel or the test program ended half way"
	default:
		c.why = "exit code " + seg.code
		input += "\n\x16FAIL\n" // what go test says of it
	}
	// not bound to the session: what ran before an interrupt still counts
	cmd := exec.Command("go", "tool", "test2json", "-p", seg.pkg)
	cmd.Stdin = strings.NewReader(input)
	if err := s.goTest(c, cmd); err != nil {
		c.results = append(c.results, result{seg.pkg, "", failed, "test2json: " + err.Error()})
	}
	c.close()
	return c.results
}
