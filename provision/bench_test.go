package provision

import (
	"path/filepath"
	"testing"
)

// BenchmarkUnchanged is what a session does between reading and answering when
// nothing has changed: 1,000 tunnels.
func BenchmarkUnchanged(b *testing.B) {
	want := tunnels(1000)
	owner := Owner{Name: "test", ReqID: Range{100_000, 200_000}, IfID: Range{100_000, 200_000}}
	st, err := openStore(b.TempDir(), "x", "boot", false)
	if err != nil {
		b.Fatal(err)
	}
	s := &Session{cfg: Config{Owner: owner, StateDir: filepath.Dir(b.TempDir())}, store: st}
	res, err := Plan(want, &State{}, &owner, st.ledger(false), Options{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.intend(res.Steps); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		res, err := Plan(want, want, &owner, st.ledger(false), Options{})
		if err != nil || len(res.Steps) > 0 {
			b.Fatal(res, err)
		}
		if err := s.settle(index(want), want); err != nil {
			b.Fatal(err)
		}
	}
}
