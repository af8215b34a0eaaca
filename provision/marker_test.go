package provision

import (
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// frozen is a kernel and a state directory as they were when a process ended.
type frozen struct {
	kernel       *fake
	keys, ledger []byte
}

// freeze copies them.
func (k *fake) freeze(t *testing.T, s *Session) *frozen {
	t.Helper()
	f := newFake()
	f.writes = k.writes
	maps.Copy(f.sas, k.sas)
	maps.Copy(f.policies, k.policies)
	maps.Copy(f.routes, k.routes)
	for name, l := range k.links {
		copied := *l
		copied.addresses = maps.Clone(l.addresses)
		f.links[name] = &copied
	}
	keys, err := os.ReadFile(s.store.path("keys"))
	ledger, err2 := os.ReadFile(s.store.objectsFile())
	if err := errors.Join(err, err2); err != nil {
		t.Error(err)
	}
	return &frozen{f, keys, ledger}
}

// open starts the next process.
func (f *frozen) open(t *testing.T, secret []byte) *Session {
	t.Helper()
	dir := t.TempDir()
	for name, b := range map[string][]byte{"keys": f.keys, "secret": secret} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := f.kernel.open(t, dir, nil)
	ledger := s.store.objectsFile()
	if err := errors.Join(s.Close(), os.WriteFile(ledger, f.ledger, 0o600)); err != nil {
		t.Fatal(err)
	}
	return f.kernel.open(t, dir, nil)
}

// TestKilledBeforeEachWrite: a process ends before one of its writes. With the
// same keys the next one reaches the state, and leaves no marker. Between the
// messages of a datagram the kernel lets no process end, so nothing is cut off
// between a marker's deletion and its SAs.
func TestKilledBeforeEachWrite(t *testing.T) {
	k, dir := newFake(), t.TempDir()
	s := k.open(t, dir, nil)
	var places []*frozen
	var names []string
	markers := 0
	k.seen = func(what string) {
		if strings.Contains(what, "127.255.") {
			markers++
		}
		if !strings.HasPrefix(what, "add sa") {
			places, names = append(places, k.freeze(t, s)), append(names, what)
		}
	}
	mustApply(t, s, twoTunnels(), 20)
	wanted := k.census()
	secret, err := os.ReadFile(filepath.Join(dir, "secret"))
	if err != nil || markers != 4 || strings.Contains(wanted, "127.255.") {
		t.Fatal(err, markers, wanted)
	}
	complete := func(s *Session, f *frozen, name string) {
		if _, err := s.Apply(t.Context(), twoTunnels(), Options{}); err != nil {
			t.Errorf("before %s: %v", name, err)
		}
		mustApply(t, s, twoTunnels(), 0)
		if now := f.kernel.census(); now != wanted {
			t.Errorf("before %s: there is\n%swanted is\n%s", name, now, wanted)
		}
	}
	for n, f := range places {
		s := f.open(t, secret)
		var again []*frozen // where the second one ends too
		f.kernel.seen = func(what string) {
			if !strings.HasPrefix(what, "add sa") {
				again = append(again, f.kernel.freeze(t, s))
			}
		}
		complete(s, f, names[n])
		for _, f := range again {
			complete(f.open(t, secret), f, names[n]+", twice")
		}
	}
}

// TestMarkerIsNoState: a marker that was left behind is nothing to plan about, and
// goes with the next Apply, also one without steps.
func TestMarkerIsNoState(t *testing.T) {
	k, dir := newFake(), t.TempDir()
	s := k.open(t, dir, nil)
	mustApply(t, s, twoTunnels(), 20)
	before := k.census()
	m, err := s.announce(t.Context(), []string{strings.Repeat("a", 64)})
	if err != nil || k.census() == before {
		t.Fatal(m, err)
	}
	reader := k.open(t, dir, func(c *Config) { c.ReadOnly = true })
	if res, err := reader.Plan(t.Context(), twoTunnels(), Options{Prune: true}); err != nil || len(res.Steps) > 0 {
		t.Error(res, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustApply(t, k.open(t, dir, nil), twoTunnels(), 0)
	if now := k.census(); now != before {
		t.Errorf("there is\n%swanted is\n%s", now, before)
	}
}

// datagrams is a transport that remembers what goes out together.
type datagrams struct {
	netlinkx.Transport
	seen *[][]netlinkx.MsgType
}

func (d datagrams) Send(b []byte) error {
	var types []netlinkx.MsgType
	for rest := b; len(rest) > 0; rest = rest[(binary.NativeEndian.Uint32(rest)+3)&^3:] {
		types = append(types, netlinkx.MsgType(binary.NativeEndian.Uint16(rest[4:])))
	}
	*d.seen = append(*d.seen, types)
	return d.Transport.Send(b)
}

// TestMarkerGoesWithItsSAs: SAs go out in the datagram that deletes their marker,
// however large they are.
func TestMarkerGoesWithItsSAs(t *testing.T) {
	k := newFake()
	var seen [][]netlinkx.MsgType
	xfrm, err := netlinkx.Dial(&netlinkx.Config{Dial: func() (netlinkx.Transport, error) {
		t, err := k.xfrm.Dial()
		return datagrams{t, &seen}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer xfrm.Close()
	s := k.open(t, t.TempDir(), func(c *Config) { c.XFRM = xfrm })
	w := twoTunnels()
	w.SAs = w.SAs[:0]
	for i := range 100 {
		sa := *twoTunnels().SAs[0]
		sa.SPI, sa.Dir, sa.ReplayWindow = netlinkx.SPI(0x20000+i), netlinkx.DirIn, 4096
		sa.AEAD = &netlinkx.AEAD{Name: sa.AEAD.Name, ICVBits: 128, Key: netlinkx.NewKey(append(make([]byte, 35), byte(i)))}
		sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: 4500, DstPort: 4500}
		sa.Mark, sa.OutputMark, sa.TFCPad = netlinkx.Mark{Value: 1, Mask: 1}, netlinkx.Mark{Value: 1, Mask: 1}, 100
		if i%10 == 0 { // has no counter
			sa.AEAD, sa.Crypt = nil, &netlinkx.Algo{Name: "cbc(aes)", Key: netlinkx.NewKey(append(make([]byte, 15), byte(i)))}
		}
		w.SAs = append(w.SAs, &sa)
	}
	if _, err := s.Apply(t.Context(), w, Options{}); err != nil {
		t.Fatal(err)
	}
	sas := 0
	for _, types := range seen {
		n := len(types)
		if n == 1 || types[n-1] != netlinkx.MsgNewSA { // the direction is probed with one alone
			continue
		}
		if sas += n - 1; types[0] != netlinkx.MsgDelPolicy || n > 1+markedMax {
			t.Errorf("a datagram of %v", types)
		}
	}
	if sas != 100 {
		t.Errorf("%d SAs", sas)
	}
}
