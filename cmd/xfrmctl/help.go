package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// help prints the options and objects, or an object's words. Asked for, it is
// output; for want of an object it is an error message.
func (e *env) help(words []string) error {
	if len(words) == 0 {
		return e.printHelp(e.stdout)
	}
	c := findCommand(words[0])
	if c == nil {
		return unknownObject(words[0])
	}
	if c.help == nil {
		_, err := fmt.Fprintf(e.stdout, "Usage: xfrmctl %s\n%s\n", strings.TrimSpace(c.name+" "+c.args), c.usage)
		return err
	}
	_, err := e.stdout.WriteString(c.help())
	return err
}

// asksHelp reports whether the words of a command ask for its help: they begin or
// end with --help or -h, as they do for other programs. The word help alone is
// for those whose grammar has none.
func (c *command) asksHelp(words []string) bool {
	if len(words) == 0 {
		return false
	}
	asks := func(word string) bool { return word == "--help" || word == "-h" }
	return asks(words[0]) || asks(words[len(words)-1]) || len(words) == 1 && words[0] == "help" && !c.grammar && c.help != nil
}

func (e *env) printHelp(w io.Writer) error {
	var b bytes.Buffer
	app := e.app(&b)
	if err := app.RunContext(e.ctx, []string{"xfrmctl"}); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}
