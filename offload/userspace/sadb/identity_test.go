package sadb

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// TestIdentityAgainstModel: random additions and deletions of SAs with few
// destinations, SPIs and marks, compared with a list that is searched from its
// newest end: what collides, what a packet finds, and what a deletion takes.
func TestIdentityAgainstModel(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 11))
		db, _ := newDB(t, deaf)
		var model []*netlinkx.SA // newest first
		find := func(want *netlinkx.SA, mark uint32) int {
			return slices.IndexFunc(model, func(m *netlinkx.SA) bool {
				return m.Dst == want.Dst && m.SPI == want.SPI && mark&m.Mark.Mask == m.Mark.Value
			})
		}
		random := func() *SARequest {
			return testSA(netlinkx.SPI(1+rng.IntN(2)), func(s *netlinkx.SA) {
				s.Dst = addr([]string{"192.0.2.2", "192.0.2.3"}[rng.IntN(2)])
				s.Mark.Mask = uint32(rng.IntN(4))
				s.Mark.Value = uint32(rng.IntN(4)) & s.Mark.Mask
				s.ReqID = rng.Uint32()
			})
		}
		for step := range 200 {
			r := random()
			at := find(r.SA, r.SA.Mark.Value)
			if rng.IntN(3) > 0 {
				if err := db.AddSA(Cause{}, r); (err != nil) != (at >= 0) {
					t.Fatalf("seed %d step %d: add: %v, the model has it at %d", seed, step, err, at)
				} else if err == nil {
					model = append([]*netlinkx.SA{r.SA}, model...)
				}
			} else {
				id := r.SA.ID()
				got, err := db.GetSA(&id)
				if (err == nil) != (at >= 0) || err == nil && got.ReqID != model[at].ReqID {
					t.Fatalf("seed %d step %d: get: %v, the model has it at %d", seed, step, err, at)
				}
				if err := db.DeleteSA(Cause{}, &id); (err == nil) != (at >= 0) {
					t.Fatalf("seed %d step %d: delete: %v, the model has it at %d", seed, step, err, at)
				}
				if at >= 0 {
					model = slices.Delete(model, at, at+1)
				}
			}
			q, mark := random().SA, uint32(rng.IntN(8))
			sa := db.Inbound(ptr([16]byte(xaddr.Of(q.Dst))), netlinkx.FamilyIPv4, q.SPI, mark)
			at = find(q, mark)
			if (sa != nil) != (at >= 0) || sa != nil && sa.Conf().ReqID != model[at].ReqID {
				t.Fatalf("seed %d step %d: a packet finds %v, the model %d", seed, step, sa != nil, at)
			}
		}
		if n := int(db.SADInfo().Count); n != len(model) {
			t.Fatalf("seed %d: %d SAs, the model has %d", seed, n, len(model))
		}
	}
}
