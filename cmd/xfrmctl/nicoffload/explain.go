package nicoffload

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
)

// answerJSON is what explain and check say of one SA in one direction.
type answerJSON struct {
	SA  string `json:"sa"`
	Dir string `json:"dir"`
	// On is the device that carries the SA now, "" none.
	On       string            `json:"on,omitempty"`
	Decision *offload.Decision `json:"decision"`
	// Reason is the first link that keeps it from the rung above, in a line.
	Reason string `json:"reason,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// explain is about a device or an installed SA.
func (c *command) explain() error {
	if len(c.args) == 0 {
		return verbs.Errorf("explain: a device, or the ID of an SA, is required")
	}
	if len(c.args) == 1 {
		return c.explainDevice(c.args[0])
	}
	dev := c.trailing("dev")
	_, sa, err := c.installed("explain")
	if err != nil {
		return err
	}
	if dev == "" && sa.Offload != nil {
		dev = c.env.Device(sa.Offload.IfIndex)
	}
	answers, err := c.ask(sa, dev, nil)
	if err != nil {
		return err
	}
	if sa.Offload != nil {
		for i := range answers {
			answers[i].On = c.env.Device(sa.Offload.IfIndex)
		}
	}
	return c.print(answers)
}

// explainDevice asks for the SA that NICs are made for: AES-GCM with a key of
// 128 bits, in tunnel mode as XFRM interfaces have it, else in transport mode.
func (c *command) explainDevice(dev string) error {
	var all []answerJSON
	for _, mode := range []netlinkx.Mode{netlinkx.ModeTunnel, netlinkx.ModeTransport} {
		sa := netlinkx.NewSA()
		sa.Src, sa.Dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		sa.Proto, sa.SPI, sa.ReqID, sa.Mode = netlinkx.ProtoESP, 0x1000, 1, mode
		sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 128}
		answers, err := c.ask(sa, dev, nil)
		if err != nil {
			return err
		}
		for i := range answers {
			answers[i].SA = fmt.Sprintf("an SA of AES-GCM-128 in %s mode", mode)
		}
		all = append(all, answers...)
	}
	return c.print(all)
}

// ask decides for each direction that the SA can have.
func (c *command) ask(sa *netlinkx.SA, dev string, types []offload.Type) ([]answerJSON, error) {
	dirs := []netlinkx.Dir{netlinkx.DirOut, netlinkx.DirIn}
	if sa.Dir != netlinkx.DirUnset {
		dirs = []netlinkx.Dir{sa.Dir}
	} else if sa.Offload != nil {
		dirs = []netlinkx.Dir{netlinkx.DirOut}
		if sa.Offload.Flags&netlinkx.OffloadInbound != 0 {
			dirs = []netlinkx.Dir{netlinkx.DirIn}
		}
	}
	var out []answerJSON
	for _, dir := range dirs {
		d, err := c.env.placer.Decide(c.env.Ctx, sa, dir, dev, types)
		if err != nil {
			return nil, err
		}
		out = append(out, newAnswer(sa.String(), dir.String(), d, types))
	}
	return out, nil
}

func newAnswer(object, dir string, d *offload.Decision, types []offload.Type) answerJSON {
	a := answerJSON{SA: object, Dir: dir, Decision: d}
	a.Reason, a.Fix = d.Shortfall(types)
	return a
}

func (c *command) print(answers []answerJSON) error {
	if c.env.JSON {
		return c.env.Encode(answers)
	}
	for i := 0; i < len(answers); i++ {
		a := answers[i]
		if i+1 < len(answers) && a.sameButForDir(&answers[i+1]) {
			a.Dir += " and " + answers[i+1].Dir
			i++
		}
		if err := a.print(c.env.Stdout); err != nil {
			return err
		}
	}
	return nil
}

// sameButForDir reports whether two answers about an SA are the same in both
// directions: one of them says it all.
func (a *answerJSON) sameButForDir(b *answerJSON) bool {
	return a.SA == b.SA && a.On == b.On && a.Decision.Rung == b.Decision.Rung && slices.Equal(a.Decision.Chain, b.Decision.Chain)
}

func (a *answerJSON) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s: %s", a.SA, a.Dir, rungWords(a.Decision))
	if a.On != "" {
		fmt.Fprintf(&b, "; it is on %s now", a.On)
	}
	b.WriteString("\n")
	var last offload.Rung
	for i := range a.Decision.Chain {
		l := &a.Decision.Chain[i]
		if l.Rung != last {
			fmt.Fprintf(&b, "  %s\n", l.Rung)
			last = l.Rung
		}
		printLink(&b, l)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printLink(b *strings.Builder, l *offload.Link) {
	const indent = "                   "
	mark := "no "
	switch {
	case l.OK:
		mark = "yes"
	case l.Maybe:
		mark = "?  "
	}
	fmt.Fprintf(b, "    %s  %-9s %s\n", mark, l.Part, l.Why)
	if l.Rule != "" {
		kernels := ""
		if l.Kernels != "" {
			kernels = ", Linux " + l.Kernels
		}
		fmt.Fprintf(b, "%srule %s (%s%s)\n", indent, l.Rule, l.Source, kernels)
	}
	if !l.OK && l.Fix != "" {
		fmt.Fprintf(b, "%sfix: %s\n", indent, l.Fix)
	}
}

func rungWords(d *offload.Decision) string {
	switch d.Rung {
	case offload.RungPacket:
		return "packet offload on " + d.NIC
	case offload.RungCrypto:
		return "crypto offload on " + d.NIC
	case offload.RungSoftware:
		return "software, in the kernel"
	case offload.RungUserspace:
		return "software, in the userspace engine"
	}
	return "nowhere: neither a NIC, the kernel nor an engine can do it"
}
