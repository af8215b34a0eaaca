package provision

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// A marker is a policy that matches nothing. It is made before SAs with
// counter-mode keys, and the datagram that makes them deletes it first. A process
// that is killed between the note that keys are sent and their sending leaves it
// behind: as long as it is there, no SA has been made with these keys, and they
// are free. When it is not there, nothing is known.
type marker struct {
	name   string // 64 random bits, which its addresses and its mark have
	policy *netlinkx.Policy
}

// markedMax is how many SAs have one marker. They fit into one datagram, whatever
// attributes they have; those of another one would be in doubt.
const markedMax = 60

// markerNet is where a marker is from and to: addresses of the machine itself
// that nobody has.
func markerNet(low uint16) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 255, byte(low >> 8), byte(low)})
}

// newMarker makes up a marker. Its if_id is the first of the owner's range. The
// kernel finds it at once by its selector, and cannot take another policy for it.
func (s *Session) newMarker() (*marker, error) {
	b, err := randomBytes(8)
	if err != nil {
		return nil, err
	}
	p := netlinkx.NewPolicy()
	p.Dir, p.Action, p.Priority, p.IfID = netlinkx.PolicyOut, netlinkx.ActionBlock, ^uint32(0), s.cfg.Owner.IfID.First
	p.Mark = netlinkx.Mark{Value: binary.BigEndian.Uint32(b), Mask: ^uint32(0)}
	p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.PrefixFrom(markerNet(binary.BigEndian.Uint16(b[4:])), 32), Dst: netip.PrefixFrom(markerNet(binary.BigEndian.Uint16(b[6:])), 32)}
	return &marker{hex.EncodeToString(b), p}, nil
}

// id names the marker by all that tells it from other policies. The index does
// not: the kernel chose it, and may give it to another.
func (m *marker) id() netlinkx.PolicyID {
	id := m.policy.ID()
	id.Index, id.Selector = 0, m.policy.Selector
	return id
}

// markerName returns the name that a policy has if it is a marker.
func (s *Session) markerName(p *netlinkx.Policy) string {
	if p.Mark.Mask != ^uint32(0) || p.IfID != s.cfg.Owner.IfID.First || p.Dir != netlinkx.PolicyOut || !p.Selector.Src.IsValid() || !p.Selector.Dst.IsValid() {
		return ""
	}
	b := binary.BigEndian.AppendUint32(nil, p.Mark.Value)
	for _, a := range []netip.Addr{p.Selector.Src.Addr(), p.Selector.Dst.Addr()} {
		low := a.AsSlice()
		low = low[len(low)-2:]
		if a != markerNet(binary.BigEndian.Uint16(low)) {
			return ""
		}
		b = append(b, low...)
	}
	return hex.EncodeToString(b)
}

// withoutMarkers takes the markers of this ledger out of a list, and remembers
// them.
func (s *Session) withoutMarkers(all []*netlinkx.Policy) []*netlinkx.Policy {
	s.store.there = map[string]*netlinkx.Policy{}
	if len(s.store.markers) == 0 {
		return all
	}
	known := map[string]bool{}
	for _, name := range s.store.markers {
		known[name] = true
	}
	out := all[:0]
	for _, p := range all {
		if name := s.markerName(p); known[name] {
			s.store.there[name] = p
			continue
		}
		out = append(out, p)
	}
	return out
}

// announce notes that keys are sent, and makes their marker. There is none
// without keys, and where the engine lets them come again.
func (s *Session) announce(ctx context.Context, keys []string) (*marker, error) {
	if s.cfg.OwnCounters || len(keys) == 0 {
		return nil, s.store.mark(keySent, keys)
	}
	m, err := s.newMarker()
	if err != nil {
		return nil, err
	}
	// its name first, so that it is known as ours as soon as it is there
	if err := s.store.note(keyIntended, m.name, keys, false); err != nil {
		return nil, err
	}
	if err := s.cfg.XFRM.AddPolicy(ctx, m.policy); err != nil {
		return nil, err
	}
	return m, s.store.note(keySent, m.name, keys, false)
}

// clearMarkers frees the keys whose markers are there, and deletes these.
func (s *Session) clearMarkers(ctx context.Context) error {
	for name, p := range s.store.there {
		var keys []string
		for fp, marked := range s.store.markers {
			if marked == name {
				keys = append(keys, fp)
			}
		}
		if err := s.store.note(keyIntended, name, keys, false); err != nil {
			return err
		}
		if err := s.clear(ctx, &marker{name, p}); err != nil {
			return err
		}
		delete(s.store.there, name)
	}
	return nil
}

// clear deletes a marker. Keys that were not sent are noted so before: afterwards
// nothing tells.
func (s *Session) clear(ctx context.Context, m *marker) error {
	if err := s.cfg.XFRM.DeletePolicy(ctx, m.id()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
