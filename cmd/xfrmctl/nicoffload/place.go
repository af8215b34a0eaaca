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
	p := &Placement{SA: cmd.SA.String(), Dir: cmd.SA.Dir.String(), Wish: string(cmd.Wish), Rung: offload.RungSoftware}
	index, dev, err := c.deviceFor(cmd.SA)
	if err != nil {
		if cmd.Wish != ipxfrm.OffloadAuto {
			return nil, err
		}
		p.Reason = err.Error()
	}
	if dev != "" {
		types := offload.Want(cmd.Wish).Types(cmd.WishType == "packet")
		at, err := c.env.placer.Climb(c.env.Ctx, cmd.SA, dev, types, func(t offload.Type) (bool, string, string, error) { return c.try(cmd.SA, index, dev, t) })
		if err != nil {
			return nil, err
		}
		p.Rung, p.NIC, p.Reason, p.Fix = at.Rung, at.NIC, at.Reason, at.Fix
		if at.NIC != "" {
			return p, nil
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
	sa.Offload = nil
	return p, conn.AddSA(c.env.Ctx, &sa)
}

// deviceFor is the device that the SA names, or that of its route.
func (c *command) deviceFor(sa *netlinkx.SA) (int32, string, error) {
	index := sa.Offload.IfIndex
	if index == 0 {
		var err error
		if index, err = c.env.placer.PathDevice(sa); err != nil {
			return 0, "", err
		}
	}
	return index, c.env.Device(index), nil
}

// try asks the kernel for one type and reads back what it did. Else the reason
// says why the device does not carry the SA.
func (c *command) try(want *netlinkx.SA, index int32, dev string, t offload.Type) (carried bool, reason, fix string, err error) {
	conn, err := c.env.Conn()
	if err != nil {
		return false, "", "", err
	}
	sa := *want
	o := *want.Offload
	o.IfIndex, o.Flags = index, o.Flags&^netlinkx.OffloadPacket
	if t == offload.Packet {
		o.Flags |= netlinkx.OffloadPacket
	}
	sa.Offload = &o
	if err := conn.AddSA(c.env.Ctx, &sa); err != nil {
		reason, fix, err = c.refused(dev, err)
		return false, reason, fix, err
	}
	have, err := conn.GetSA(c.env.Ctx, sa.ID())
	if err != nil {
		return false, "", "", fmt.Errorf("read back %s: %w", want, err)
	}
	if have.Offload != nil && have.Offload.IfIndex == index {
		return true, "", "", nil
	}
	// it is added again without the request, or not at all
	return false, fmt.Sprintf("the kernel took the SA, but %s does not carry it", dev), "xfrmctl offload explain " + dev, conn.DeleteSA(c.env.Ctx, sa.ID())
}

// refused returns the reason of a refusal that is about the offload; others are
// errors that software would meet as well.
func (c *command) refused(dev string, err error) (reason, fix string, _ error) {
	x, k := c.explainRefusal(dev, err)
	if x == nil {
		return "", "", err
	}
	return fmt.Sprintf("the kernel refused: %s: %s", answerOf(k), x.Cause), x.Fix, nil
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
