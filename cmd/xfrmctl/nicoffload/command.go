// Package nicoffload is the commands `xfrmctl offload` and `xfrmctl check`:
// words in, package offload, text or JSON out. Nothing here changes anything
// but what package offload changes for it, and the verbs say so.
package nicoffload

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
)

// Env is what the program gives its commands. It is borrowed for each Run, and
// not for concurrent use.
type Env struct {
	Ctx    context.Context
	Stdin  io.Reader
	Stdout io.Writer
	NetNS  netlinkx.NetNS
	JSON   bool
	// DryRun: drain and restore tell what they would move, and move nothing.
	DryRun bool
	Encode func(any) error // prints one JSON value
	// Parse reads words of `ip xfrm`.
	Parse func(words []string) (*ipxfrm.Command, error)
	// Conn is the kernel's XFRM, not an engine's.
	Conn func() (*netlinkx.Conn, error)
	// Device names a device by its index.
	Device func(int32) string
	// Namespace finds a network namespace by the words of -netns.
	Namespace func(string) (netlinkx.NetNS, error)
	// Engine reports whether a userspace engine is running.
	Engine bool

	// NIC and Probe stand in for the devices and the kernel in tests.
	NIC   func(device string) *offload.NIC
	Probe func(algorithms []string) *offload.Kernel

	// placer keeps what was found out for the other lines of a batch: the rule
	// packs, and of the kernel what was conclusive.
	placer *offload.Placer
}

// RefusedError tells that what was checked would not be offloaded as asked.
type RefusedError struct{ Msg, Hint string }

// Error returns one line.
func (e *RefusedError) Error() string { return e.Msg }

func table() *verbs.Table[*command] {
	return &verbs.Table[*command]{Program: "xfrmctl offload", Verbs: []verbs.Verb[*command]{
		{Name: "show", Args: "[ DEV ]", Help: "devices with their drivers, what they can do, and how many SAs they carry", Run: (*command).show},
		{Name: "explain", Args: "{ DEV | ID [ dev DEV ] }", Help: "the chain kernel, device, driver, SA: the first link that fails, and what to do. ID is that of an installed SA, in the words of `state get`", Run: (*command).explain},
		{Name: "check", Args: "{ state add WORDS | FILE | - } [ on DEV ]", Help: "whether SAs would be offloaded, before the kernel is asked; changes nothing. FILE has commands as for -batch", Run: (*command).check},
		{Name: "verify", Args: "ID [ for SECONDS ]", Help: "reads an SA back and watches its counters and the driver's: the share of packets that went through the hardware. Exit code 1 when no device carries it", Run: (*command).verify},
		{Name: "drain", Args: "DEV [ save FILE ]", Help: "move the SAs and policies that DEV carries to software, so that its eswitch mode or firmware can change; what was moved is written to FILE", Run: (*command).drain},
		{Name: "restore", Args: "FILE", Help: "put what drain moved back on its device", Run: (*command).restore},
		{Name: "selftest", Args: "DEV to ADDRESS netns NETNS [ sizes FROM-TO ] [ report FILE ]", Help: "send datagrams of every size through DEV and what is wired to it, encrypted by the hardware and by the kernel: the sizes that do not arrive. ADDRESS is the other end's, in namespace NETNS. Takes back what it adds. Exit code 1 when sizes are lost or no hardware takes part. FILE is for the driver's people: no keys, no addresses", Run: (*command).selftest},
		{Name: "help", Help: "print this"},
	}}
}

// command is one run.
type command struct {
	env   *Env
	links *gsogro.Conn
	packs map[string]*offload.Pack
	args  []string
}

// Run runs the words after "offload". Errors are *verbs.Error, *RefusedError, or
// the kernel's.
func Run(env *Env, args []string) error {
	v, args, err := table().Choose(args, env.Stdout)
	if v == nil {
		return err
	}
	c, err := open(env, args)
	if err != nil {
		return err
	}
	return errors.Join(v.Run(c), c.links.Close())
}

func open(env *Env, args []string) (*command, error) {
	if env.placer == nil {
		env.placer = &offload.Placer{NetNS: env.NetNS, Userspace: env.Engine, FindNIC: env.NIC, Probe: env.Probe}
	}
	packs, err := env.placer.Packs()
	if err != nil {
		return nil, err
	}
	links, err := gsogro.Dial(&gsogro.Config{NetNS: env.NetNS})
	if err != nil {
		return nil, err
	}
	env.placer.Reach(links)
	return &command{env: env, links: links, packs: packs, args: args}, nil
}

// Complete returns what the last of the words after "offload" may become, nil
// for anything; devices returns the names of devices.
func Complete(words []string, devices func() []string) []string {
	if len(words) <= 1 {
		return table().Names()
	}
	verb := func(name string) bool { return table().Is(words[0], name) }
	switch {
	case verb("check"):
		return ipxfrm.Complete(words[1:])
	case len(words) == 2 && verb("explain"):
		return append(devices(), ipxfrm.Complete([]string{"state", "get", words[1]})...)
	case verb("explain") || verb("verify"):
		return ipxfrm.Complete(append([]string{"state", "get"}, words[1:]...))
	case len(words) == 2 && (verb("show") || verb("drain") || verb("selftest")):
		return devices()
	case verb("selftest") && len(words)%2 == 1:
		return []string{"to", "netns", "sizes", "report"}
	case verb("drain") && len(words) == 3:
		return []string{"save"}
	}
	return nil
}

// Usage returns the words of all verbs.
func Usage() string { return table().Usage() }

// ManSection returns what the manual says of the command.
func ManSection() ipxfrm.ManSection { return table().ManSection("offload") }

// trailing takes "WORD VALUE" off the end of the arguments.
func (c *command) trailing(word string) string {
	n := len(c.args)
	if n < 2 || c.args[n-2] != word {
		return ""
	}
	v := c.args[n-1]
	c.args = c.args[:n-2]
	return v
}

// nic finds the NIC below a device; the second result says why there is none.
func (c *command) nic(device string) (*offload.NIC, string, error) {
	return c.env.placer.NIC(c.env.Ctx, device)
}

// installed finds the SA that the arguments name, in the words of `state get`.
func (c *command) installed(verb string) (*netlinkx.Conn, *netlinkx.SA, error) {
	if len(c.args) < 2 {
		return nil, nil, verbs.Errorf("%s: the ID of an SA is required, in the words of `state get`", verb)
	}
	cmd, err := c.env.Parse(append([]string{"state", "get"}, c.args...))
	if err != nil {
		return nil, nil, err
	}
	conn, err := c.env.Conn()
	if err != nil {
		return nil, nil, err
	}
	sa, err := conn.GetSA(c.env.Ctx, cmd.SAID)
	var kernel *netlinkx.Error
	if c.env.Engine && errors.Is(err, fs.ErrNotExist) && errors.As(err, &kernel) {
		kernel.Hint = "the kernel was asked, which NICs and GSO work for; an SA of the userspace engine is on no NIC: xfrmctl esp stats"
	}
	return conn, sa, err
}

// kernel is what the kernel can do. What was conclusive is not tried again.
func (c *command) kernel(algorithms []string) (*offload.Kernel, error) {
	return c.env.placer.Kernel(c.env.Ctx, algorithms)
}
