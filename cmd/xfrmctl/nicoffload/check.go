package nicoffload

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
)

// check compares SAs with all rules, before the kernel is asked. An SA that
// asks for offload and would not get it is an error.
func (c *command) check() error {
	dev := c.trailing("on")
	if len(c.args) == 0 {
		return verbs.Errorf("check: words of `state add`, or a file of them, are required")
	}
	if len(c.args) > 1 {
		cmd, err := c.env.Parse(c.args)
		if err != nil {
			return err
		}
		answers, refused, err := c.checkOne("", cmd, dev)
		if err != nil {
			return err
		}
		return c.verdict(answers, refused)
	}
	in := c.env.Stdin
	if c.args[0] != "-" {
		f, err := os.Open(c.args[0])
		if err != nil {
			return err
		}
		defer f.Close() // opened for reading: nothing is lost
		in = f
	}
	return c.checkLines(c.args[0], in, dev)
}

func (c *command) checkLines(name string, in io.Reader, dev string) error {
	var answers []answerJSON
	var refused []string
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		where := fmt.Sprintf("%s:%d", name, n)
		cmd, err := c.env.Parse(words)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		as, r, err := c.checkOne(where+": ", cmd, dev)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		answers, refused = append(answers, as...), append(refused, r...)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return c.verdict(answers, refused)
}

func (c *command) verdict(answers []answerJSON, refused []string) error {
	if err := c.print(answers); err != nil {
		return err
	}
	if len(refused) == 0 {
		return nil
	}
	return &RefusedError{Msg: strings.Join(refused, "; ")}
}

// checkPolicy is about a policy that a device shall apply.
func (c *command) checkPolicy(where string, p *netlinkx.Policy, dev string) ([]answerJSON, []string, error) {
	if dev == "" {
		dev = c.env.Device(p.Offload.IfIndex)
	}
	nic, none, err := c.nic(dev)
	if err != nil {
		return nil, nil, err
	}
	a := newAnswer(p.String(), p.Dir.String(), offload.DecidePolicy(p, nic, none, c.packs), []offload.Type{offload.Packet})
	if a.Reason == "" {
		return []answerJSON{a}, nil, nil
	}
	return []answerJSON{a}, []string{fmt.Sprintf("%s%s: %s: %s", where, a.SA, a.Reason, a.Fix)}, nil
}

// checkOne is about one command; those that add neither an SA nor a policy with
// an offload have nothing to check.
func (c *command) checkOne(where string, cmd *ipxfrm.Command, dev string) ([]answerJSON, []string, error) {
	if cmd.Policy != nil && cmd.Policy.Offload != nil {
		return c.checkPolicy(where, cmd.Policy, dev)
	}
	if cmd.Object != "state" || cmd.SA == nil {
		return nil, nil, nil
	}
	sa := cmd.SA
	var types []offload.Type
	if sa.Offload != nil {
		types = []offload.Type{offload.Crypto}
		if sa.Offload.Flags&netlinkx.OffloadPacket != 0 {
			types = []offload.Type{offload.Packet}
		}
		if dev == "" && sa.Offload.IfIndex != 0 {
			dev = c.env.Device(sa.Offload.IfIndex)
		}
	}
	answers, err := c.ask(sa, dev, types)
	if err != nil || sa.Offload == nil {
		return answers, nil, err
	}
	var refused []string
	for _, a := range answers {
		if a.Reason != "" {
			refused = append(refused, fmt.Sprintf("%s%s, %s: %s: %s", where, a.SA, a.Dir, a.Reason, a.Fix))
		}
	}
	return answers, refused, nil
}
