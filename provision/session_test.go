package provision

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// open opens a session on the fake kernel.
func (k *fake) open(t *testing.T, dir string, set func(*Config)) *Session {
	t.Helper()
	xfrm, err := netlinkx.Dial(&netlinkx.Config{Dial: k.xfrm.Dial})
	if err != nil {
		t.Fatal(err)
	}
	links, err := ifaces.Dial(&ifaces.Config{Dial: k.routing.Dial})
	if err != nil {
		t.Fatal(err)
	}
	cfg := &Config{StateDir: dir, Owner: Owner{Name: "test", ReqID: Range{100, 999}, IfID: Range{100, 999}}, XFRM: xfrm, Links: links, Routes: k.routing.Dial, Engine: "kernel"}
	if set != nil {
		set(cfg)
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(); _ = links.Close(); _ = xfrm.Close() })
	return s
}

// twoTunnels is a wanted state with everything in it.
func twoTunnels() *State {
	s := tunnels(2)
	for k, i := range s.Interfaces {
		i.IfID, i.Addresses = uint32(200+k), []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, 0, byte(k)}), 32)}
	}
	for k, sa := range s.SAs {
		sa.ReqID, sa.IfID, sa.Flags = uint32(200+k/2), uint32(200+k/2), netlinkx.FlagESN
		sa.AEAD.Key = netlinkx.NewKey(append(make([]byte, 19), byte(k)))
		if sa.Dir == netlinkx.DirIn {
			sa.ReplayWindow = 64
		}
	}
	for k, p := range s.Policies {
		p.IfID, p.Templates[0].ReqID = uint32(200+k/3), uint32(200+k/3)
	}
	return s
}

func mustApply(t *testing.T, s *Session, w *State, steps int) {
	t.Helper()
	res, err := s.Apply(t.Context(), w, Options{Prune: true})
	if err != nil || len(res.Steps) != steps {
		t.Fatalf("%v, %+v", err, res)
	}
}

// TestApply: from nothing, twice, to less, and away.
func TestApply(t *testing.T) {
	k, dir := newFake(), t.TempDir()
	s := k.open(t, dir, nil)
	empty := k.census()
	mustApply(t, s, twoTunnels(), 20)
	writes := k.writes
	mustApply(t, s, twoTunnels(), 0)
	if k.writes != writes {
		t.Errorf("an unchanged state was written %d times", k.writes-writes)
	}
	one := twoTunnels()
	one.Interfaces, one.SAs, one.Policies, one.Routes = one.Interfaces[:1], one.SAs[:2], one.Policies[:3], one.Routes[:2]
	res, err := s.Apply(t.Context(), one, Options{})
	if err != nil || len(res.Left) == 0 {
		t.Errorf("without pruning: %v, %+v", err, res)
	}
	if _, err := s.Apply(t.Context(), one, Options{Prune: true}); err != nil || len(k.links) != 1 || len(k.sas) != 2 {
		t.Errorf("%v: %s", err, k.census())
	}
	if _, err := s.Delete(t.Context()); err != nil || k.census() != empty {
		t.Errorf("%v: left %s", err, k.census())
	}
}

// TestRefusedEverywhere refuses each write in turn: what was done before is taken
// back, and once nothing is refused the state is reached, with the same keys:
// they were never used.
func TestRefusedEverywhere(t *testing.T) {
	for n := 0; ; n++ {
		k, dir := newFake(), t.TempDir()
		empty, refused := k.census(), false
		k.refuse = func(at int, _ string) syscall.Errno {
			if at != n {
				return 0
			}
			refused = true
			return syscall.EPERM
		}
		s := k.open(t, dir, nil)
		undone, took := 0, 0
		s.cfg.OnStep = func(e Event) {
			if took++; e.Undone {
				undone++
			}
		}
		_, err := s.Apply(t.Context(), twoTunnels(), Options{})
		said := fmt.Sprintf("%d steps before it were taken back", undone)
		switch undone {
		case 0:
			said = "nothing was changed"
		case 1:
			said = "the step before it was taken back"
		}
		if !refused {
			if n < 18 || err != nil {
				t.Errorf("%d writes, then %v", n, err)
			}
			return
		}
		if err == nil || !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), said) || undone*2 != took {
			t.Errorf("write %d refused: %d of %d steps are undone, %v", n, undone, took, err)
		}
		if now := k.census(); now != empty {
			t.Errorf("write %d refused, left:\n%s", n, now)
		}
		if len(s.store.objects) > 0 {
			t.Errorf("write %d refused, in the ledger: %v", n, s.store.objects)
		}
		mustApply(t, s, twoTunnels(), 20)
	}
}

// TestIntent: before an object is made, the ledger on disk names it, and the file
// of keys its key.
func TestIntent(t *testing.T) {
	k, dir := newFake(), t.TempDir()
	s := k.open(t, dir, nil)
	made := 0
	k.seen = func(what string) {
		ledger, err := os.ReadFile(s.store.objectsFile())
		if err != nil {
			t.Errorf("%s, and there is no ledger: %v", what, err)
			return
		}
		if id, ok := strings.CutPrefix(what, "add sa "); ok {
			made++
			if !strings.Contains(string(ledger), id) {
				t.Errorf("%s is not in the ledger", what)
			}
			keys, err := os.ReadFile(filepath.Join(dir, "keys"))
			if unmarked := regexp.MustCompile(`(?m)^intended \S+$`); err != nil || len(unmarked.FindAll(keys, -1)) != 4 {
				t.Errorf("%s, and the keys are %s, %v", what, keys, err)
			}
		}
	}
	mustApply(t, s, twoTunnels(), 20)
	if made != 4 {
		t.Errorf("%d SAs were seen", made)
	}
}

// TestKilledWhileSending: the process ends before it sees that an SA was made.
// While the SA is there, the next one goes on; when it is gone, for example
// because it has expired, its key may have been used.
func TestKilledWhileSending(t *testing.T) {
	for _, there := range []bool{true, false} {
		k, dir := newFake(), t.TempDir()
		s := k.open(t, dir, nil)
		var keys []byte
		k.seen = func(what string) {
			if keys == nil && strings.HasPrefix(what, "add sa") { // as it was when the process ended
				var err error
				if keys, err = os.ReadFile(filepath.Join(dir, "keys")); err != nil {
					t.Error(err)
				}
			}
		}
		mustApply(t, s, twoTunnels(), 20)
		if err := errors.Join(s.Close(), os.WriteFile(filepath.Join(dir, "keys"), keys, 0o600)); err != nil {
			t.Fatal(err)
		}
		if !there {
			clear(k.sas)
		}
		_, err := k.open(t, dir, nil).Apply(t.Context(), twoTunnels(), Options{})
		if there && err != nil || !there && (err == nil || !strings.Contains(err.Error(), "may have had this key")) {
			t.Errorf("the SAs are there: %v; then %v", there, err)
		}
	}
}

// TestDeletionsGoForward: once a plan deletes, nothing is taken back, and the
// next Apply goes on.
func TestDeletionsGoForward(t *testing.T) {
	k, dir := newFake(), t.TempDir()
	s := k.open(t, dir, nil)
	mustApply(t, s, twoTunnels(), 20)
	at := k.writes
	k.refuse = func(n int, what string) syscall.Errno {
		if n > at && strings.HasPrefix(what, "delete sa") {
			return syscall.EPERM
		}
		return 0
	}
	_, err := s.Delete(t.Context())
	if err == nil || !strings.Contains(err.Error(), "apply again to go on") || len(k.links) > 0 || len(k.sas) == 0 {
		t.Errorf("%v: %s", err, k.census())
	}
	k.refuse = nil
	if _, err := s.Delete(t.Context()); err != nil || len(k.sas) > 0 {
		t.Errorf("%v: %s", err, k.census())
	}
}

// TestNothingDone: the kernel says yes and does nothing.
func TestNothingDone(t *testing.T) {
	k := newFake()
	s := k.open(t, t.TempDir(), nil)
	s.cfg.OnStep = func(e Event) {
		if e.Step.Policy != nil {
			clear(k.policies)
		}
	}
	_, err := s.Apply(t.Context(), twoTunnels(), Options{})
	var unreached *UnreachedError
	if !errors.As(err, &unreached) || len(unreached.Steps) == 0 {
		t.Errorf("policies that vanish: %v", err)
	}
}

// TestNoDirection: a kernel without directions of SAs gets none, and windows
// where it wants them; the ledger knows which way they go.
func TestNoDirection(t *testing.T) {
	k, dir := newFake(), t.TempDir()
	k.undirected = true
	remarks := 0
	s := k.open(t, dir, func(c *Config) { c.OnRemark = func(string) { remarks++ } })
	mustApply(t, s, twoTunnels(), 20)
	mustApply(t, s, twoTunnels(), 0)
	if remarks != 1 {
		t.Errorf("it was remarked %d times", remarks)
	}
	next := twoTunnels()
	for k, sa := range next.SAs {
		sa.SPI, sa.AEAD.Key = sa.SPI+0x1000, netlinkx.NewKey(append(make([]byte, 19), byte(100+k)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := k.open(t, dir, nil) // what is known comes from the ledger
	res, err := again.Apply(t.Context(), next, Options{})
	if err != nil || len(k.sas) != 6 || len(res.Left) != 2 {
		t.Errorf("new keys: %d SAs, %v left, %v; the old inbound ones stay", len(k.sas), res, err)
	}
	if _, err := again.Delete(t.Context()); err != nil || len(k.sas) > 0 {
		t.Error(err, k.census())
	}
}

// TestReadOnly writes nothing, not even a folder.
func TestReadOnly(t *testing.T) {
	k, dir := newFake(), filepath.Join(t.TempDir(), "none")
	s := k.open(t, dir, func(c *Config) { c.ReadOnly = true })
	if res, err := s.Plan(t.Context(), twoTunnels(), Options{}); err != nil || len(res.Steps) != 20 {
		t.Error(res, err)
	}
	if _, err := s.Apply(t.Context(), twoTunnels(), Options{}); err == nil {
		t.Error("a session that reads applied")
	}
	if _, err := os.Stat(dir); err == nil || k.writes > 0 {
		t.Errorf("%d writes, %v", k.writes, err)
	}
}
