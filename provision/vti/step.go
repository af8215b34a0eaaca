package vti

import (
	"fmt"
	"strings"
)

// op says what a step does. All but those of the last group are safe to take
// again, from wherever they had come to.
type op int

const (
	opGuard op = iota
	opInterface
	opPolicy
	opStop     // source down: nothing is sent or received from here on
	opSA       // bind an SA to the interface
	opPark     // rename a source, take its addresses
	opName     // rename the interface to what it shall be called
	opUp       // the interface's addresses, up
	opRoute    // through the interface
	opCheck    // read everything back
	opUnguard  // the guards go
	opStopBack // the interface down
	opSABack
	opNameBack
	opUnpark // rename a source back, addresses, up
	opRouteBack
	opCheckBack
	opRemove        // the interface goes
	opPolicyBack    // its policies go
	opSourceGone    // the VTI goes for good
	opOldPolicyGone // and its policies
)

// Step is one thing that is done. It is data; Text has no keys.
type Step struct {
	Text string
	// Cut: traffic is interrupted before and after it.
	Cut bool

	op     op
	guard  Guard
	policy int // index in Move.Policies or Move.Old
	sa     *Rebind
	source *Source
	route  *Route
}

// String returns the text.
func (s *Step) String() string { return s.Text }

type steps struct {
	m   *Move
	all []*Step
	cut bool
}

func (l *steps) add(s Step, format string, args ...any) {
	s.Text, s.Cut = fmt.Sprintf(format, args...), l.cut
	l.all = append(l.all, &s)
}

// Steps returns the way from VTIs to the interface, in order.
func (m *Move) Steps() []*Step {
	l := &steps{m: m}
	l.guards()
	l.add(Step{op: opInterface}, "create interface %s if_id %#x, down", m.Temp, m.IfID)
	for i, p := range m.Policies {
		l.add(Step{op: opPolicy, policy: i}, "create %s", p)
	}
	l.cut = true
	for _, s := range m.Sources {
		l.add(Step{op: opStop, source: s}, "set %s down", s.Name)
	}
	for _, r := range m.SAs {
		l.add(Step{op: opSA, sa: r}, "bind %s to if_id %#x: the same keys, SPI and sequence numbers", r.ID, m.IfID)
	}
	for _, s := range m.Sources {
		l.add(Step{op: opPark, source: s}, "rename vti %s to %s, take its addresses", s.Name, s.Parked)
	}
	l.add(Step{op: opName}, "rename interface %s to %s", m.Temp, m.Name)
	l.add(Step{op: opUp}, "give %s its addresses%s, set it up", m.Name, m.addressText())
	for _, s := range m.Sources {
		l.routes(opRoute, s, m.Name)
	}
	l.cut = false
	l.add(Step{op: opCheck}, "read everything back")
	l.add(Step{op: opUnguard}, "remove the guards")
	return l.all
}

// UndoSteps returns the way back, from wherever Steps was left.
func (m *Move) UndoSteps() []*Step {
	l := &steps{m: m}
	l.guards()
	l.cut = true
	l.add(Step{op: opStopBack}, "set interface %s down", m.Name)
	for _, r := range m.SAs {
		l.add(Step{op: opSABack, sa: r}, "bind %s as it was: the same keys, SPI and sequence numbers", r.ID)
	}
	l.add(Step{op: opNameBack}, "rename interface %s to %s", m.Name, m.Temp)
	for _, s := range m.Sources {
		l.add(Step{op: opUnpark, source: s}, "rename vti %s to %s, give it its addresses", s.Parked, s.Name)
	}
	for _, s := range m.Sources {
		l.routes(opRouteBack, s, s.Name)
	}
	l.cut = false
	l.add(Step{op: opCheckBack}, "read everything back")
	l.add(Step{op: opRemove}, "delete interface %s", m.Temp)
	for i, p := range m.Policies {
		l.add(Step{op: opPolicyBack, policy: i}, "delete %s", p)
	}
	l.add(Step{op: opUnguard}, "remove the guards")
	return l.all
}

// FinishSteps returns what makes a conversion final.
func (m *Move) FinishSteps() []*Step {
	l := &steps{m: m}
	for _, s := range m.Sources {
		l.add(Step{op: opSourceGone, source: s}, "delete vti %s", s.Parked)
	}
	for i, id := range m.Old {
		l.add(Step{op: opOldPolicyGone, policy: i}, "delete %s", id)
	}
	return l.all
}

func (l *steps) guards() {
	for _, g := range l.m.Guards {
		l.add(Step{op: opGuard, guard: g}, "create guard %s", g)
	}
}

func (l *steps) routes(o op, s *Source, dev string) {
	for _, r := range ordered(s.Routes) {
		l.add(Step{op: o, route: r, source: s}, "route %s through %s", r, dev)
	}
}

// ordered leaves out the routes that come with addresses, and puts first those
// by which the gateways of others are reached.
func ordered(routes []*Route) (out []*Route) {
	for _, gateway := range []bool{false, true} {
		for _, r := range routes {
			if !r.automatic() && r.Gateway == gateway {
				out = append(out, r)
			}
		}
	}
	return out
}

// String names the guard.
func (g Guard) String() string {
	r := Route{Dst: g.Dst, Table: g.Table}
	return fmt.Sprintf("route %s metric %d", &r, g.Metric)
}

func (m *Move) addressText() string {
	var words []string
	for _, s := range m.Sources {
		for _, a := range s.Addresses {
			words = append(words, a.Prefix.String())
		}
	}
	if words == nil {
		return ""
	}
	return " " + strings.Join(words, " ")
}
