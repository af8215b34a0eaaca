package nicoffload

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
)

// Placement is where an SA with a wish came to be. Fields of its JSON are only
// ever added.
type Placement struct {
	SA   string       `json:"sa"`
	Dir  string       `json:"dir"`
	Wish string       `json:"wish"`
	Rung offload.Rung `json:"rung"`
	NIC  string       `json:"nic,omitempty"`
	// Reason says why it is not on a better rung, Fix what to do.
	Reason string `json:"reason,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// Where says in words where the SA is.
func (p *Placement) Where() string {
	switch p.Rung {
	case offload.RungSoftware:
		return "in software"
	case offload.RungUserspace:
		return "in the userspace engine"
	}
	return fmt.Sprintf("%s on %s", p.Rung, p.NIC)
}

// Add adds the SA of a `state add … offload auto|prefer|require`. What was
// tried is read back: the kernel falls back to software without a word. With
// require nothing is left behind unless the device carries the SA.
func Add(env *Env, cmd *ipxfrm.Command) (*Placement, error) {
	c, err := open(env, nil)
	if err != nil {
		return nil, err
	}
	p, err := c.place(cmd)
	return p, errors.Join(err, c.links.Close())
}

func (c *command) place(cmd *ipxfrm.Command) (*Placement, error) {
	p := &Placement{SA: cmd.SA.String(), Dir: cmd.SA.Dir.String(), Wish: string(cmd.Wish)}
	index, dev, err := c.deviceFor(cmd.SA)
	if err != nil {
		if cmd.Wish != ipxfrm.OffloadAuto {
			return nil, err
		}
		p.Reason = err.Error()
	}
	var tried bool
	if dev != "" {
		if tried, err = c.climb(p, cmd, index, dev); err != nil || tried {
			return p, err
		}
	}
	if cmd.Wish == ipxfrm.OffloadRequire {
		return nil, &RefusedError{Msg: fmt.Sprintf("%s is not added: %s", p.SA, p.Reason), Hint: p.Fix}
	}
	conn, err := c.env.Conn()
	if err != nil {
		return nil, err
	}
	sa := *cmd.SA
	sa.Offload, p.Rung, p.NIC = nil, offload.RungSoftware, ""
	return p, conn.AddSA(c.env.Ctx, &sa)
}

// deviceFor is the device that the SA names, or that of its route.
func (c *command) deviceFor(sa *netlinkx.SA) (int32, string, error) {
	index := sa.Offload.IfIndex
	if index == 0 {
		peer := sa.Dst
		if sa.Dir == netlinkx.DirIn {
			peer = sa.Src
		}
		var err error
		if index, err = offload.RouteDevice(c.env.NetNS, peer, sa.OutputMark.Value); err != nil {
			return 0, "", err
		}
	}
	return index, c.env.Device(index), nil
}

// typesOf returns the types to try, best first. Packet offload is only for those
// who ask for it: it needs the policies in the NIC too.
func typesOf(cmd *ipxfrm.Command) []offload.Type {
	switch {
	case cmd.WishType != "packet":
		return []offload.Type{offload.Crypto}
	case cmd.Wish == ipxfrm.OffloadRequire:
		return []offload.Type{offload.Packet}
	}
	return []offload.Type{offload.Packet, offload.Crypto}
}

// climb tries the types that no rule speaks against, and reports whether one
// of them carries the SA. Otherwise p has the reason.
func (c *command) climb(p *Placement, cmd *ipxfrm.Command, index int32, dev string) (bool, error) {
	for i, t := range typesOf(cmd) {
		better, betterFix := p.Reason, p.Fix
		answers, err := c.ask(cmd.SA, dev, []offload.Type{t})
		if err != nil {
			return false, err
		}
		d := answers[0].Decision
		rung := offload.RungCrypto
		if t == offload.Packet {
			rung = offload.RungPacket
		}
		if d.Rung != rung {
			p.Reason, p.Fix = answers[0].Reason, answers[0].Fix
			continue
		}
		done, err := c.try(p, cmd.SA, index, dev, t)
		if err != nil || done {
			p.Rung, p.NIC = rung, dev
			if i > 0 { // why not the one before
				p.Reason, p.Fix = better, betterFix
			}
			return done, err
		}
	}
	return false, nil
}

// try asks the kernel for one type and reads back what it did.
func (c *command) try(p *Placement, want *netlinkx.SA, index int32, dev string, t offload.Type) (bool, error) {
	conn, err := c.env.Conn()
	if err != nil {
		return false, err
	}
	sa := *want
	o := *want.Offload
	o.IfIndex, o.Flags = index, o.Flags&^netlinkx.OffloadPacket
	if t == offload.Packet {
		o.Flags |= netlinkx.OffloadPacket
	}
	sa.Offload = &o
	if err := conn.AddSA(c.env.Ctx, &sa); err != nil {
		return false, c.refused(p, dev, err)
	}
	have, err := conn.GetSA(c.env.Ctx, sa.ID())
	if err != nil {
		return false, fmt.Errorf("read back %s: %w", p.SA, err)
	}
	if have.Offload != nil && have.Offload.IfIndex == index {
		p.Reason, p.Fix = "", ""
		return true, nil
	}
	p.Reason = fmt.Sprintf("the kernel took the SA, but %s does not carry it", dev)
	p.Fix = "xfrmctl offload explain " + dev
	return false, conn.DeleteSA(c.env.Ctx, sa.ID()) // it is added again without the request, or not at all
}

// refused notes the reason of a refusal that is about the offload; others are
// errors that software would meet as well.
func (c *command) refused(p *Placement, dev string, err error) error {
	x, k := c.explainRefusal(dev, err)
	if x == nil {
		return err
	}
	p.Reason, p.Fix = fmt.Sprintf("the kernel refused: %s: %s", answerOf(k), x.Cause), x.Fix
	return nil
}

// explainRefusal finds what a refusal by the kernel means for the offload, in
// the words of the driver below dev. It is nil for what is not about offload.
func (c *command) explainRefusal(dev string, err error) (*offload.Explanation, *netlinkx.Error) {
	var k *netlinkx.Error
	if !errors.As(err, &k) || errors.Is(err, fs.ErrExist) || k.Errno == syscall.EPERM {
		return nil, nil
	}
	driver := ""
	if nic, _, err := c.nic(dev); err == nil && nic != nil { // an unknown device leaves the driver unknown
		driver = nic.Driver
		if nic.Bond {
			driver = "bonding"
		}
	}
	x, known := offload.Explain(c.packs, driver, k.Errno, k.Text)
	if !known {
		return nil, nil
	}
	return &x, k
}

// Refusal explains why the kernel refused a request with an offload on dev: the
// cause and the fix, or "" when nothing is known.
func Refusal(env *Env, dev string, err error) string {
	c, oerr := open(env, nil)
	if oerr != nil {
		return ""
	}
	defer c.links.Close() // nothing was sent over it
	x, _ := c.explainRefusal(dev, err)
	if x == nil {
		return ""
	}
	return x.Cause + ": " + x.Fix
}

func answerOf(e *netlinkx.Error) string {
	if e.Text == "" {
		return e.Errno.Error()
	}
	return e.Text
}
