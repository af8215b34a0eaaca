package demo

import (
	"context"
	"fmt"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// show prints what there is after the pings, and compares the SAs' counters
// with what was sent.
func (r *runner) show(ctx context.Context) error {
	if err := r.showLinks(); err != nil {
		return err
	}
	for side, end := range r.ends {
		sas, err := end.SAs(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", sideNames[side], err)
		}
		r.out.sas(side, sas)
		for _, s := range checkSAs(r.want[side], r.carried, sas) {
			r.faults = append(r.faults, sideNames[side]+": "+s)
		}
	}
	for side, end := range r.ends {
		nonzero, counted := end.Errors(ctx)
		r.out.kernelErrors(side, nonzero, counted)
	}
	return nil
}

func (r *runner) showLinks() error {
	t := r.out.table("side", "interface", "if_id", "mtu", "received", "sent", "errors")
	for side, n := range r.nets {
		for _, tun := range r.tunnels {
			if tun.name == "" {
				continue
			}
			s, err := n.stats(tun.name)
			if err != nil {
				return fmt.Errorf("%s: %w", sideNames[side], err)
			}
			t.row(sideNames[side], tun.name, fmt.Sprintf("%#x", tun.ifID), s.mtu, s.rx, s.tx, s.rxErrors+s.txErrors+s.collisions)
		}
	}
	t.end()
	return nil
}

// direction is how an SA's direction shows.
func direction(sa *netlinkx.SA) string {
	if sa.Dir == netlinkx.DirUnset {
		return "-"
	}
	return sa.Dir.String()
}
