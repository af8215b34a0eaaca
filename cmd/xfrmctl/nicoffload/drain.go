package nicoffload

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// drainVersion is that of the file that drain writes.
const drainVersion = 1

// drained is what drain moved, to be moved back: names and flags, no keys.
type drained struct {
	Version  int                 `json:"version"`
	Device   string              `json:"device"`
	SAs      []drainedSA         `json:"sas"`
	Policies []netlinkx.PolicyID `json:"policies"`
	DryRun   bool                `json:"dry_run,omitempty"`
}

type drainedSA struct {
	ID    netlinkx.SAID         `json:"id"`
	Name  string                `json:"name"`
	Flags netlinkx.OffloadFlags `json:"flags"`
	// How it was moved: migrate keeps the SA as it is; replace deletes it and
	// adds it again with its sequence numbers, and packets of that moment are lost.
	How string `json:"how"`
}

// drain moves what a device carries to software. At no moment is traffic let
// out in clear: policies stay, and packets without an SA are dropped.
func (c *command) drain() error {
	file := c.trailing("save")
	if len(c.args) != 1 {
		return verbs.Errorf("drain takes one device, and save FILE")
	}
	conn, err := c.env.Conn()
	if err != nil {
		return err
	}
	l, err := c.links.Link(c.env.Ctx, c.args[0])
	if err != nil {
		return err
	}
	d := &drained{Version: drainVersion, Device: l.Name, SAs: []drainedSA{}, Policies: []netlinkx.PolicyID{}}
	sas, policies, err := c.carriedBy(conn, l.Index)
	if err != nil {
		return err
	}
	if c.env.DryRun {
		for _, sa := range sas {
			d.SAs = append(d.SAs, drainedSA{ID: sa.ID(), Name: sa.String(), Flags: sa.Offload.Flags, How: "dry run"})
		}
		for _, p := range policies {
			d.Policies = append(d.Policies, p.ID())
		}
		d.DryRun = true
		return c.printMoved("would be moved to software", d)
	}
	var out *os.File
	if file != "" { // before anything moves
		if out, err = os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600); err != nil {
			return err
		}
	}
	err = c.drainAll(conn, d, sas, policies)
	if out != nil {
		err = errors.Join(err, json.NewEncoder(out).Encode(d), out.Close())
	}
	return errors.Join(c.printMoved("moved to software", d), err)
}

// carriedBy lists what a device carries.
func (c *command) carriedBy(conn *netlinkx.Conn, index int32) ([]*netlinkx.SA, []*netlinkx.Policy, error) {
	all, err := conn.ListSAs(c.env.Ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	var sas []*netlinkx.SA
	for _, sa := range all {
		if sa.Offload != nil && sa.Offload.IfIndex == index {
			sas = append(sas, sa)
		}
	}
	every, err := conn.ListPolicies(c.env.Ctx)
	if err != nil {
		return nil, nil, err
	}
	var policies []*netlinkx.Policy
	for _, p := range every {
		if p.Offload != nil && p.Offload.IfIndex == index {
			policies = append(policies, p)
		}
	}
	return sas, policies, nil
}

func (c *command) drainAll(conn *netlinkx.Conn, d *drained, sas []*netlinkx.SA, policies []*netlinkx.Policy) error {
	var errs []error
	for _, p := range policies {
		p.Offload = nil
		if err := conn.UpdatePolicy(c.env.Ctx, p); err != nil {
			errs = append(errs, err)
			continue
		}
		d.Policies = append(d.Policies, p.ID())
	}
	for _, sa := range sas {
		moved := drainedSA{ID: sa.ID(), Name: sa.String(), Flags: sa.Offload.Flags, How: "migrate"}
		err := conn.MigrateState(c.env.Ctx, &netlinkx.MigrateState{
			SA: sa.ID(), NewDst: sa.Dst, NewSrc: sa.Src, NewSelector: sa.Selector, NewReqID: sa.ReqID,
			Flags: netlinkx.MigrateClearOffload,
		})
		if unknownMessage(err) {
			moved.How = "replace"
			err = c.replace(conn, sa, nil)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.SAs = append(d.SAs, moved)
	}
	return errors.Join(errs...)
}

// unknownMessage reports whether the kernel does not know a message: it is too
// old, or built without it.
func unknownMessage(err error) bool {
	var k *netlinkx.Error
	return errors.As(err, &k) && (k.Errno == syscall.EINVAL && k.Text == "" || k.Errno == syscall.ENOPROTOOPT)
}

// replace deletes an SA and adds it again with its sequence numbers and another
// offload. If the kernel does not take it, the SA goes back to where it was.
func (c *command) replace(conn *netlinkx.Conn, sa *netlinkx.SA, o *netlinkx.Offload) error {
	if keysHidden(sa) {
		return fmt.Errorf("replace %s: the kernel shows keys as zeros (lockdown): add the SA again from where its key is", sa)
	}
	again := *sa
	again.Offload = o
	if again.AuthTrunc != nil {
		again.Auth = nil // the kernel reports both, and takes one
	}
	if err := conn.DeleteSA(c.env.Ctx, sa.ID()); err != nil {
		return err
	}
	err := conn.AddSA(c.env.Ctx, &again)
	if err == nil {
		return nil
	}
	again.Offload = sa.Offload
	if back := conn.AddSA(c.env.Ctx, &again); back != nil {
		return fmt.Errorf("%w; and it could not be put back: %v: the SA is gone", err, back)
	}
	return err
}

func keysHidden(sa *netlinkx.SA) bool {
	zeros := func(k netlinkx.Key) bool {
		for _, b := range k.Reveal() {
			if b != 0 {
				return false
			}
		}
		return k.Len() > 0
	}
	return sa.AEAD != nil && zeros(sa.AEAD.Key) || sa.Crypt != nil && zeros(sa.Crypt.Key) || sa.AuthTrunc != nil && zeros(sa.AuthTrunc.Key)
}

// restore puts what drain moved back on its device. The kernel has no way to
// put an SA on a device but to add it: each is deleted and added again with its
// sequence numbers. Policies come last, when their SAs are there.
func (c *command) restore() error {
	if len(c.args) != 1 {
		return verbs.Errorf("restore takes the file that drain wrote")
	}
	d, err := readDrained(c.args[0])
	if err != nil {
		return err
	}
	if c.env.DryRun {
		d.DryRun = true
		return c.printMoved("would be moved back to "+d.Device, d)
	}
	l, err := c.links.Link(c.env.Ctx, d.Device)
	if err != nil {
		return err
	}
	conn, err := c.env.Conn()
	if err != nil {
		return err
	}
	back := &drained{Version: drainVersion, Device: d.Device, SAs: []drainedSA{}, Policies: []netlinkx.PolicyID{}}
	var errs []error
	for _, s := range d.SAs {
		if err := c.putBack(conn, s, l.Index); err != nil {
			errs = append(errs, err)
			continue
		}
		s.How = "replace"
		back.SAs = append(back.SAs, s)
	}
	for _, id := range d.Policies {
		if err := c.putPolicyBack(conn, id, l.Index); err != nil {
			errs = append(errs, err)
			continue
		}
		back.Policies = append(back.Policies, id)
	}
	return errors.Join(c.printMoved("moved back to "+d.Device, back), errors.Join(errs...))
}

// readDrained reads a file that drain wrote.
func readDrained(path string) (*drained, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := &drained{}
	if err := json.Unmarshal(b, d); err != nil {
		return nil, fmt.Errorf("read %s: it is no file of `offload drain`: %w", path, err)
	}
	if d.Version != drainVersion {
		return nil, fmt.Errorf("read %s: version %d of what `offload drain` writes is not known here, only %d: restore with the xfrmctl that drained", path, d.Version, drainVersion)
	}
	return d, nil
}

func (c *command) putPolicyBack(conn *netlinkx.Conn, id netlinkx.PolicyID, index int32) error {
	p, err := conn.GetPolicy(c.env.Ctx, id)
	if err != nil {
		return err
	}
	p.Offload = &netlinkx.Offload{IfIndex: index, Flags: netlinkx.OffloadPacket}
	return conn.UpdatePolicy(c.env.Ctx, p)
}

func (c *command) putBack(conn *netlinkx.Conn, s drainedSA, index int32) error {
	sa, err := conn.GetSA(c.env.Ctx, s.ID)
	if err != nil {
		return err
	}
	if err := c.replace(conn, sa, &netlinkx.Offload{IfIndex: index, Flags: s.Flags}); err != nil {
		return err
	}
	have, err := conn.GetSA(c.env.Ctx, s.ID)
	if err == nil && (have.Offload == nil || have.Offload.IfIndex != index) {
		err = fmt.Errorf("%s: the kernel took it, but the device does not carry it", s.Name)
	}
	return err
}

func (c *command) printMoved(where string, d *drained) error {
	if c.env.JSON {
		return c.env.Encode(d)
	}
	for _, s := range d.SAs {
		if _, err := fmt.Fprintf(c.env.Stdout, "%s: %s (%s)\n", s.Name, strings.TrimPrefix(where, "moved "), s.How); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(c.env.Stdout, "%d SAs and %d policies %s\n", len(d.SAs), len(d.Policies), where)
	return err
}
