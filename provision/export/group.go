package export

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
)

// pair is a prefix behind this machine and one behind the peer.
type pair struct{ own, peer netip.Prefix }

// tunnel is what becomes a tunnel of the document.
type tunnel struct {
	name        string
	local, far  netip.Addr
	near, peer  *node
	in, out     *netlinkx.SA
	reqID       uint32 // 0: the document chooses one
	pairs       []pair
	forward     bool
	iface       *provision.Interface // nil none
	routes      string               // as in documents
	guard       string
	mtu, fits   uint32          // 0: what fits
	suite       *document.Suite // nil: documents do not name it
	encap       bool            // documents can have the encapsulation here
	carriage    carriage
	notes       []string // comments
	line, lines int      // where it is in the text, from 1
}

// saID is how package provision calls an SA.
func saID(sa *netlinkx.SA) provision.ID { return provision.ID(sa.ID().String()) }

// path is what both SAs of a tunnel have in common.
type path struct {
	local, far netip.Addr
	mode       netlinkx.Mode
	ifID       uint32
}

// group finds tunnels: an SA each way between the same addresses, with policies
// for the same traffic that ask for them.
func (w *writer) group() {
	in, out := w.sides()
	for p, outbound := range out {
		for _, sa := range outbound {
			k := slices.IndexFunc(in[p], func(x *netlinkx.SA) bool { return x.ReqID == sa.ReqID })
			if k < 0 && len(outbound) == 1 && len(in[p]) == 1 {
				k = 0 // a reqid for each direction
			}
			if k < 0 {
				w.why[saID(sa)] = "no SA comes back from " + p.far.String() + " for its reqid, if_id and mode"
				continue
			}
			w.tunnels = append(w.tunnels, &tunnel{local: p.local, far: p.far, in: in[p][k], out: sa, reqID: sa.ReqID})
			in[p] = slices.Delete(in[p], k, k+1)
		}
	}
	for p, left := range in {
		for _, sa := range left {
			w.why[saID(sa)] = "no SA goes to " + p.far.String() + " for its reqid, if_id and mode"
		}
	}
	slices.SortFunc(w.tunnels, func(a, b *tunnel) int {
		return cmp.Or(cmp.Compare(a.out.IfID, b.out.IfID), a.far.Compare(b.far), cmp.Compare(a.reqID, b.reqID), cmp.Compare(a.out.SPI, b.out.SPI))
	})
	w.furnish()
}

// sides sorts SAs by direction and path. Of SAs for one purpose the newest
// counts; the others are about to go.
func (w *writer) sides() (in, out map[path][]*netlinkx.SA) {
	in, out = map[path][]*netlinkx.SA{}, map[path][]*netlinkx.SA{}
	for _, sa := range w.state.SAs {
		why := cannot(sa)
		dir := w.direction(sa)
		p, side := path{sa.Src, sa.Dst, sa.Mode, sa.IfID}, out
		switch {
		case why != "":
			w.why[saID(sa)] = why
			continue
		case dir == netlinkx.DirUnset:
			w.why[saID(sa)] = "it says no direction, and neither or both of its addresses are this machine's"
			continue
		case dir == netlinkx.DirIn:
			p.local, p.far, side = sa.Dst, sa.Src, in
		}
		k := slices.IndexFunc(side[p], func(x *netlinkx.SA) bool { return x.ReqID == sa.ReqID && x.Mark == sa.Mark })
		if k < 0 {
			side[p] = append(side[p], sa)
			continue
		}
		older := side[p][k]
		if newer(older, sa) {
			older, side[p][k] = sa, older
		} else {
			side[p][k] = sa
		}
		w.why[saID(older)] = "a newer SA has its place"
	}
	return in, out
}

func newer(a, b *netlinkx.SA) bool {
	return cmp.Or(cmp.Compare(a.Usage.AddTime, b.Usage.AddTime), cmp.Compare(a.SPI, b.SPI)) > 0
}

// cannot says why no document has such an SA, "" when one may.
func cannot(sa *netlinkx.SA) string {
	switch {
	case sa.Proto != netlinkx.ProtoESP:
		return "documents have ESP only"
	case sa.Mode != netlinkx.ModeTunnel && sa.Mode != netlinkx.ModeTransport:
		return "documents have no mode " + sa.Mode.String()
	case sa.AEAD == nil && sa.Crypt == nil && sa.AuthTrunc == nil && sa.Auth == nil:
		return "it has no algorithms: a daemon is making it, or waits for one"
	case sa.AEAD == nil && sa.AuthTrunc == nil && sa.Auth == nil:
		return "it has no integrity check"
	}
	return ""
}

func (w *writer) direction(sa *netlinkx.SA) netlinkx.Dir {
	if sa.Dir != netlinkx.DirUnset {
		return sa.Dir
	}
	src, dst := w.o.Local(sa.Src), w.o.Local(sa.Dst)
	switch {
	case src && !dst:
		return netlinkx.DirOut
	case dst && !src:
		return netlinkx.DirIn
	}
	return netlinkx.DirUnset
}

// furnish gives tunnels their policies, interfaces and routes.
func (w *writer) furnish() {
	byReqID := map[uint32][]*netlinkx.Policy{}
	for _, p := range w.state.Policies {
		if len(p.Templates) == 1 {
			byReqID[p.Templates[0].ReqID] = append(byReqID[p.Templates[0].ReqID], p)
		}
	}
	ifaces := map[uint32]*provision.Interface{}
	for _, i := range w.state.Interfaces {
		ifaces[i.IfID] = i
	}
	reqIDs, kept := map[uint32]bool{0: true}, w.tunnels[:0]
	for _, t := range w.tunnels {
		t.traffic(byReqID)
		t.iface = ifaces[t.out.IfID]
		if why := t.lacks(); why != "" {
			w.why[saID(t.in)], w.why[saID(t.out)] = why, why
			continue
		}
		delete(ifaces, t.out.IfID) // for one tunnel
		if reqIDs[t.reqID] {
			t.reqID = 0
		}
		reqIDs[t.reqID] = true
		t.suite, t.encap, t.carriage = suiteOf(t.out), w.o.Userspace, w.carriage(t)
		kept = append(kept, t)
	}
	w.tunnels = kept
	for _, i := range ifaces {
		w.unused[place{i.NetNS, i.Name}] = "no tunnel of the document leads through it"
	}
}

// lacks says why a tunnel is none, "" when it is.
func (t *tunnel) lacks() string {
	switch {
	case t.out.IfID != 0 && t.iface == nil:
		return "no interface here has its if_id, or another tunnel has that interface already"
	case t.out.Mode == netlinkx.ModeTransport && t.out.IfID != 0:
		return "documents have no interface in transport mode"
	case len(t.pairs) == 0:
		return "there are no policies both ways that ask for it"
	}
	return ""
}

func suiteOf(sa *netlinkx.SA) *document.Suite {
	for _, s := range document.Suites() {
		if sameAlgorithms(&s, sa) {
			return &s
		}
	}
	return nil
}

// traffic finds what is protected both ways, and whether it is forwarded.
func (t *tunnel) traffic(byReqID map[uint32][]*netlinkx.Policy) {
	back, fwd := map[pair]bool{}, map[pair]bool{}
	for _, p := range byReqID[t.in.ReqID] {
		if asks(p, t.in) {
			x := pair{p.Selector.Dst, p.Selector.Src}
			switch p.Dir {
			case netlinkx.PolicyIn:
				back[x] = true
			case netlinkx.PolicyFwd:
				fwd[x] = true
			}
		}
	}
	for _, p := range byReqID[t.out.ReqID] {
		x := pair{p.Selector.Src, p.Selector.Dst}
		if p.Dir == netlinkx.PolicyOut && asks(p, t.out) && back[x] && !slices.Contains(t.pairs, x) {
			t.pairs = append(t.pairs, x)
			// a document's networks are always forwarded to
			t.forward = t.forward || fwd[x] || !x.own.IsSingleIP() || !x.peer.IsSingleIP()
		}
	}
	slices.SortFunc(t.pairs, func(a, b pair) int {
		return cmp.Or(a.own.Addr().Compare(b.own.Addr()), a.peer.Addr().Compare(b.peer.Addr()), cmp.Compare(a.own.Bits(), b.own.Bits()), cmp.Compare(a.peer.Bits(), b.peer.Bits()))
	})
}

// asks reports whether a policy sends its traffic through an SA.
func asks(p *netlinkx.Policy, sa *netlinkx.SA) bool {
	t, s := p.Templates[0], p.Selector
	if p.IfID != sa.IfID || t.Proto != sa.Proto || t.Mode != sa.Mode || p.Action != netlinkx.ActionAllow {
		return false
	}
	if t.SPI != 0 && t.SPI != sa.SPI {
		return false
	}
	if sa.Mode == netlinkx.ModeTransport {
		return s.Src.Addr() == sa.Src && s.Dst.Addr() == sa.Dst
	}
	return t.Src == sa.Src && t.Dst == sa.Dst
}
