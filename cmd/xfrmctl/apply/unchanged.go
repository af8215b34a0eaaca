package apply

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/keys"
	"github.com/xfrmctl/xfrmctl/provision/rotate"
	"github.com/xfrmctl/xfrmctl/provision/stamp"
)

// stamps reports whether the command leaves a stamp and goes by one: an apply that
// is done and gone.
func (c *command) stamps() bool {
	w := c.words
	return c.verb == "apply" && c.writes() && w.every == 0 && !w.watch && !w.inbound
}

// remembered returns what the last apply found, when it stamped that and all is
// as it was, the kernel included; else nil. Whatever is in the way of finding
// that out, the long way will meet and name.
func (c *command) remembered() *provision.Result {
	if !c.stamps() {
		return nil
	}
	document, err := c.words.digest(c.env)
	if err != nil {
		return nil
	}
	if _, err := provision.Keyed(c.words.StateDir); err != nil {
		return nil // nothing was ever applied
	}
	lock, err := provision.LockDir(c.env.Ctx, c.words.StateDir, nil)
	if err != nil {
		return nil
	}
	defer lock.Close() // nothing was written
	asked := c.asked()
	at := c.circumstances(asked, document, &keys.Source{Getenv: c.env.Getenv}, &surroundings{env: c.env, mtus: map[string]int{}})
	s, err := stamp.Read(at)
	if err != nil || s.Engine[0] != asked || !s.Fits(at, time.Now()) {
		return nil
	}
	if err := c.env.Engine(func(string) (string, error) { return s.Engine[1], nil }); err != nil {
		return nil
	}
	if kernel, err := c.env.Kernel(); err != nil || !kernel || !s.Holds(c.env.Ctx, at) {
		return nil
	}
	if c.env.Verbose {
		c.say("%s", shortWay)
	}
	return &provision.Result{Left: s.Left, Notes: s.Notes}
}

// shortWay is told with --verbose.
const shortWay = "all is as the last apply left it: the document and its keys were not looked at"

// asked is the engine of the run.
func (c *command) asked() (engine string) {
	_ = c.env.Engine(func(now string) (string, error) { // which changes nothing
		engine = now
		return now, nil
	})
	return engine
}

// circumstances are what decides beside the kernel.
func (c *command) circumstances(asked string, document [sha256.Size]byte, source *keys.Source, around *surroundings) *stamp.Circumstances {
	words := []string{"apply", asked, c.words.File, c.words.As, fmt.Sprint(c.words.prune)}
	for _, node := range slices.Sorted(maps.Keys(c.words.Boots)) {
		words = append(words, node+"="+c.words.Boots[node])
	}
	return &stamp.Circumstances{
		StateDir: c.words.StateDir, NetNS: c.env.NetNS, Words: words, Document: document,
		Keys: func(refs []string, to io.Writer) error { return source.Digest(c.env.Ctx, refs, to) },
		MTUs: func(devices []string, to io.Writer) error {
			for _, name := range devices {
				mtu, err := around.mtu(c.env.Ctx, name)
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintf(to, "mtu %q %d ", name, mtu); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// follow begins to follow what is asked and answered, where that can be asked
// again.
func (c *command) follow() error {
	if !c.stamps() {
		return nil
	}
	kernel, err := c.env.Kernel()
	if err != nil || !kernel {
		return err
	}
	c.recorder = stamp.NewRecorder()
	c.env.Tap(c.recorder.XFRM, c.recorder.Routes)
	return nil
}

// tappedRoutes is provision.Config.Routes.
func (c *command) tappedRoutes() (netlinkx.Transport, error) {
	t, err := rtnl.Dial(c.env.NetNS)
	if err != nil {
		return nil, err
	}
	return netlinkx.TapTransport(t, c.recorder.Routes), nil
}

// remember stamps what was found. Without a stamp the next apply goes the long
// way, so what is in the way is only told.
func (c *command) remember(r *rotate.Runner, s *provision.Session, res *provision.Result, begun time.Time) {
	n := &c.words.Node
	refs := n.source.Followed()
	asking := func(ref string) bool { return strings.HasPrefix(ref, "command:") }
	if !s.Alone() || !r.Steady() || slices.ContainsFunc(refs, asking) {
		return
	}
	made := &stamp.Stamp{Since: begun.UTC().Round(0), Until: c.wake.UTC().Round(0), Engine: [2]string{n.askedFor, c.asked()},
		Keys: refs, Underlays: slices.Sorted(maps.Keys(n.around.mtus)), Left: res.Left, Notes: res.Notes}
	_, err := stamp.Write(made, c.circumstances(n.askedFor, n.sum, n.source, n.around), c.recorder)
	if err != nil && c.env.Verbose {
		c.say("the next apply cannot be a short one: %v", err)
	}
}
