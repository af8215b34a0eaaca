package provision

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// pair is what an SA's successor has in common with it.
type pair struct {
	src, dst netip.Addr
	reqID    uint32
	dir      netlinkx.Dir
}

func pairOf(sa *netlinkx.SA) pair {
	return pair{sa.Src, sa.Dst, sa.ReqID, sa.Dir}
}

func (p *planner) sas() {
	going, coming := map[pair]bool{}, map[pair]bool{}
	for id, sa := range p.o.sas {
		if p.w.sas[id] == nil && p.ours(id) {
			going[pairOf(sa)] = true
		}
	}
	for _, want := range p.w.SAs {
		coming[pairOf(want)] = true
		id := saID(want)
		got := p.o.sas[id]
		if got == nil {
			p.newSA(want, going[pairOf(want)])
			continue
		}
		if !p.foreign(id) {
			p.keepSA(id, want, got)
		}
	}
	for _, sa := range p.o.SAs {
		id := saID(sa)
		if p.w.sas[id] != nil || !p.ours(id) || !p.owner.ReqID.Has(sa.ReqID) || p.opts.Keep[id] {
			continue
		}
		outbound := sa.Dir != netlinkx.DirIn
		if !p.opts.Prune && !p.opts.Retire[id] && !(outbound && coming[pairOf(sa)]) {
			p.left = append(p.left, id)
			continue
		}
		s := &Step{Verb: Delete, ID: id, SA: sa}
		at := stOutboundGone
		if !outbound {
			at, s.Loss = stInboundGone, "packets that the peer still sends with it"
		}
		p.add(at, s)
	}
}

// use is how the use of a key in one direction stands in the ledger: both ends
// of a tunnel may be on one machine.
func use(fingerprint string, dir netlinkx.Dir) string {
	if dir == netlinkx.DirIn {
		return inboundUse + fingerprint
	}
	return fingerprint
}

const inboundUse = "in:"

func (p *planner) newSA(want *netlinkx.SA, successor bool) {
	id := saID(want)
	if reason := p.spent(want); reason != "" {
		if !p.opts.Keep[id] {
			p.refuse(id, reason)
		}
		return
	}
	s := &Step{Verb: Create, ID: id, SA: want, Placement: p.w.Placements[id]}
	if successor {
		s.Verb, s.Why = NewSPI, "beside the SA that it follows"
	}
	if s.Placement != nil {
		s.Why = joinWords(s.Why, s.Placement.String())
	}
	at := stInbound
	if want.Dir != netlinkx.DirIn {
		at = stOutbound
		if successor {
			s.Loss = "none if the peer has its inbound SA already, else until it has"
		}
	}
	p.add(at, s)
}

// spent says why no SA may be made with a key, "" nothing.
func (p *planner) spent(want *netlinkx.SA) string {
	if !CounterMode(want) {
		return ""
	}
	what, risk := "an outbound SA", "with a new counter its IVs would repeat (RFC 8221 section 5)"
	if want.Dir == netlinkx.DirIn {
		what, risk = "an inbound SA", "with a new window it would take old packets again"
	}
	const remedy = "; take a new epoch or key, at both ends"
	switch use := use(p.known.Fingerprint(want), want.Dir); {
	case p.known.Spent[use]:
		return what + " has had this key before: " + risk + remedy
	case p.known.Sent[use]:
		return what + " may have had this key, because the process that was making it was killed and the SA is not there: " + risk + remedy
	}
	return ""
}

// keepSA looks at an SA that is there and ours.
func (p *planner) keepSA(id ID, want, got *netlinkx.SA) {
	if fp := p.known.Objects[id]; fp != "" && fp != p.known.Fingerprint(want) {
		if want.ReqID != got.ReqID { // of 10,000 tunnels that change keys, in one case of thirty
			p.refuse(id, fmt.Sprintf("has the SPI of another tunnel's SA by chance (reqid %d, that has %d): one of the two takes another epoch or SPI, at both ends", want.ReqID, got.ReqID))
			return
		}
		p.refuse(id, "has another key than was installed: the kernel cannot change the key of an SA; take another SPI")
		return
	}
	changeable, fixed := saDifferences(p.placed(id, want, got), got)
	if len(fixed) > 0 {
		p.refuse(id, strings.Join(fixed, ", ")+": the kernel reports success for such a change and makes none; take another SPI and key")
		return
	}
	if len(changeable) == 0 {
		return
	}
	made := *want
	made.Offload = nil // an update with it would program the device and drop that again
	s := &Step{Verb: Change, ID: id, SA: &made, WasSA: got, Why: strings.Join(changeable, ", ")}
	if want.IfID != got.IfID {
		s.Loss = "until policies and interface have the if_id too"
	}
	at := stInbound
	if want.Dir != netlinkx.DirIn {
		at = stOutbound
	}
	p.add(at, s)
}
