package ifaces

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Taken says what an interface shares with another and may not.
type Taken string

// What may be taken.
const (
	TakenName     Taken = "name"
	TakenIfID     Taken = "if_id"
	TakenExternal Taken = "external"           // a namespace has one external interface
	TakenEnds     Taken = "endpoints and keys" // of a VTI
)

// Holder is the device that has what was asked for.
type Holder struct {
	Name  string
	Index int32
	Kind  string
	IfID  uint32
	// NetNS is the namespace that the device is in, zero for that of the
	// request. A device keeps its if_id taken where it was made, also after
	// it has been moved elsewhere.
	NetNS netlinkx.NetNS
}

// String names the holder: "ipsec0 (ifindex 4) in network namespace blue".
func (h *Holder) String() string {
	s := fmt.Sprintf("%s (ifindex %d)", h.Name, h.Index)
	if !h.NetNS.IsZero() {
		s += " in network namespace " + h.NetNS.String()
	}
	return s
}

// ConflictError is the kernel's EEXIST with its reason: the kernel has one
// errno and no text for three of them. It answers errors.Is for fs.ErrExist.
type ConflictError struct {
	Err    *netlinkx.Error
	Taken  Taken   // "" when nothing was found that explains it
	Holder *Holder // nil when it is in a namespace that cannot be seen
}

// Error returns one line.
func (e *ConflictError) Error() string {
	s := e.Err.Error()
	switch {
	case e.Taken == "":
		return s
	case e.Holder == nil:
		return fmt.Sprintf("%s: %s is held by a device in a network namespace that cannot be seen from here", s, e.what())
	}
	return fmt.Sprintf("%s: %s is held by %s", s, e.what(), e.Holder)
}

func (e *ConflictError) what() string {
	switch {
	case e.Taken == TakenExternal:
		return "the place of the only external interface"
	case e.Taken == TakenIfID && e.Holder != nil:
		return fmt.Sprintf("if_id %#x", e.Holder.IfID)
	}
	return "the " + string(e.Taken)
}

// Unwrap returns the kernel's error, with a hint.
func (e *ConflictError) Unwrap() error { return e.Err }

// wanted is what a refused request asked for.
type wanted struct {
	name     string // "" no new name
	ifID     uint32
	external bool
	self     int32 // ifindex of the device being changed, which is no holder
	context  namespace
}

// namespace identifies one as seen from a Conn: its own, or by nsid.
type namespace struct{ id netlinkx.Opt[int32] }

func (c *Conn) explainCreate(ctx context.Context, r *resolved, err error) error {
	var e *netlinkx.Error
	if !errors.As(err, &e) {
		return err
	}
	if r.External && e.Errno == syscall.EINVAL && strings.Contains(strings.ToLower(e.Text), "if_id must be non zero") {
		// a kernel without external interfaces skipped the flag
		return noExternal(r, e.Text)
	}
	if e.Errno != syscall.EEXIST {
		return err
	}
	return c.conflict(ctx, e, &wanted{name: r.Name, ifID: r.IfID, external: r.External})
}

func (c *Conn) explainChange(ctx context.Context, d *device, ifID uint32, err error) error {
	var e *netlinkx.Error
	if !errors.As(err, &e) || e.Errno != syscall.EEXIST {
		return err
	}
	return c.conflict(ctx, e, &wanted{ifID: ifID, self: d.Index, context: namespace{id: d.ContextID}})
}

// explainMove looks for the name in the target, whose Conn c is.
func (c *Conn) explainMove(ctx context.Context, d *device, target netlinkx.NetNS, err error) error {
	var e *netlinkx.Error
	if !errors.As(err, &e) || e.Errno != syscall.EEXIST {
		return err
	}
	out := &ConflictError{Err: e}
	if other, gerr := c.device(ctx, "get interface", d.Name, 0); gerr == nil {
		out.Taken, out.Holder = TakenName, holderOf(other, target)
	}
	e.Hint = "rename or delete the device there first"
	return out
}

// conflict finds out what EEXIST is about. What it cannot read it leaves out:
// the refusal itself is the news.
func (c *Conn) conflict(ctx context.Context, e *netlinkx.Error, w *wanted) error {
	out := &ConflictError{Err: e}
	// The list may be incomplete, and still hold the one.
	devices, err := c.devices(ctx, "")
	if err != nil && len(devices) == 0 {
		return out
	}
	for _, d := range devices {
		if w.name != "" && d.hasName(w.name) {
			out.Taken, out.Holder = TakenName, holderOf(d, netlinkx.NetNS{})
			e.Hint = nameHint(d, w)
			return out
		}
	}
	for _, d := range devices {
		if w.holds(d) && d.ContextID == w.context.id {
			return out.found(w, holderOf(d, netlinkx.NetNS{}))
		}
	}
	return out.found(w, c.holderElsewhere(ctx, w))
}

// holds reports whether d has the key that is wanted, wherever it was made.
func (w *wanted) holds(d *device) bool {
	return d.kind == Kind && d.Index != w.self && d.External == w.external && d.IfID == w.ifID
}

func (e *ConflictError) found(w *wanted, h *Holder) error {
	e.Holder, e.Taken = h, TakenIfID
	if w.external {
		e.Taken = TakenExternal
	}
	switch {
	case h == nil:
		e.Err.Hint = "a device that was moved to another namespace keeps its if_id taken here; look for it in the namespaces of containers"
	case w.external:
		e.Err.Hint = "one external interface serves any number of if_ids: use that one"
	default:
		e.Err.Hint = "an if_id belongs to one interface of a namespace, whatever its underlying device: choose another, or adopt that one"
	}
	return e
}

func nameHint(d *device, w *wanted) string {
	if d.kind != Kind {
		return "choose another name"
	}
	if d.External == w.external && d.IfID == w.ifID {
		return "it has the same if_id: adopt it"
	}
	return "choose another name, or delete that interface first"
}

func holderOf(d *device, ns netlinkx.NetNS) *Holder {
	return &Holder{Name: d.Name, Index: d.Index, Kind: d.kind, IfID: d.IfID, NetNS: ns}
}
