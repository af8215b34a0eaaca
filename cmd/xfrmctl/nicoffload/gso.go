package nicoffload

import (
	"errors"
	"fmt"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
)

// gsoJSON is the output of `gso explain -j`.
type gsoJSON struct {
	SA      string           `json:"sa"`
	Whole   string           `json:"segmentation_after_esp"` // yes, no or unknown
	Clauses []offload.Clause `json:"clauses"`
}

// ExplainGSO runs `xfrmctl gso explain ID [dev DEV]`.
func ExplainGSO(env *Env, args []string) error {
	c, err := open(env, args)
	if err != nil {
		return err
	}
	return errors.Join(c.explainGSO(), c.links.Close())
}

func (c *command) explainGSO() error {
	dev := c.trailing("dev")
	conn, sa, err := c.installed("gso explain")
	if err != nil {
		return err
	}
	q := &offload.GSOQuestion{SA: sa}
	if q.Templates, err = c.templates(conn, sa); err != nil {
		return err
	}
	if dev == "" {
		if index, rerr := offload.RouteDevice(c.env.NetNS, sa.Dst, sa.OutputMark.Value); rerr == nil {
			dev = c.env.Device(index) // without a route the clause says that it is not known
		}
	}
	if dev != "" {
		if q.Path, err = c.links.State(c.env.Ctx, dev); err != nil {
			return err
		}
	}
	k, err := c.kernel(nil)
	if err != nil {
		return err
	}
	return c.printGSO(sa, offload.SoftwareGSO(q, k))
}

// templates is the number of templates of the first outbound policy whose
// templates want the SA.
func (c *command) templates(conn *netlinkx.Conn, sa *netlinkx.SA) (int, error) {
	for p, err := range conn.Policies(c.env.Ctx) {
		if err != nil {
			return 0, err
		}
		if p.Dir != netlinkx.PolicyOut || p.IfID != sa.IfID {
			continue
		}
		for _, t := range p.Templates {
			if t.Proto == sa.Proto && t.Mode == sa.Mode && (t.ReqID == 0 || t.ReqID == sa.ReqID) && (t.Mode == netlinkx.ModeTransport || t.Dst == sa.Dst) {
				return len(p.Templates), nil
			}
		}
	}
	return 0, nil
}

func (c *command) printGSO(sa *netlinkx.SA, clauses []offload.Clause) error {
	out := gsoJSON{SA: sa.String(), Whole: "yes", Clauses: clauses}
	for _, cl := range clauses {
		switch {
		case !cl.OK && !cl.Maybe:
			out.Whole = "no"
		case !cl.OK && out.Whole == "yes":
			out.Whole = "unknown"
		}
	}
	if c.env.JSON {
		return c.env.Encode(out)
	}
	words := map[string]string{"yes": "large packets are encrypted whole", "no": "large packets are cut first, and each segment is encrypted by itself", "unknown": "nothing that can be seen speaks against segmentation after ESP"}
	if _, err := fmt.Fprintf(c.env.Stdout, "%s: %s\n", out.SA, words[out.Whole]); err != nil {
		return err
	}
	for _, cl := range clauses {
		mark := map[bool]string{true: "yes", false: "no "}[cl.OK]
		if cl.Maybe {
			mark = "?  "
		}
		fmt.Fprintf(c.env.Stdout, "  %s  %-14s %s\n", mark, cl.Name, cl.Why)
		if !cl.OK && cl.Fix != "" {
			fmt.Fprintf(c.env.Stdout, "                      fix: %s\n", cl.Fix)
		}
	}
	return nil
}
