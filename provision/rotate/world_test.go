package rotate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
	"github.com/xfrmctl/xfrmctl/provision/keys"
)

const office = `version: 1
owner: {name: office, reqid: 10000-19999, if_id: 20000-29999}
nodes:
  east: {endpoint: 192.0.2.1, boot_id: e}
  west: {endpoint: 192.0.2.2, boot_id: w}
tunnels:
  - name: main
    between: [east, west]
    keys: {derive: "env:ROOT"EPOCH}
    interface: ipsec0
    traffic: [{east: 10.1.0.0/16, west: 10.2.0.0/16}]
`

// A world is two ends that send each other a packet after every write and
// whenever time goes on. Packets take a while; one that finds no SA is lost.
type world struct {
	t     *testing.T
	doc   string
	now   time.Time
	sites [2]*site
	way   []packet // under way, in the order in which they arrive
	lost  int
}

type packet struct {
	to  int
	sa  *netlinkx.SA
	due time.Time
}

// transit is how long packets take.
const transit = 3 * time.Millisecond

// A site is one end: a session on databases that are data.
type site struct {
	w       *world
	me      int
	raw     []byte
	sas     []*netlinkx.SA // in the order in which they were made
	carried map[provision.ID]uint64
	objects map[provision.ID]string
	spent   map[string]bool
	skew    time.Duration
	crash   int // at this write from now on; 0 never
	writes  int
	doc     *document.Document
	read    string // its text
}

// errCrash is the end of a process.
var errCrash = errors.New("killed")

func newWorld(t *testing.T, epoch string) *world {
	w := &world{t: t, doc: replaceEpoch(epoch), now: noon}
	for me := range w.sites {
		w.sites[me] = &site{w: w, me: me, carried: map[provision.ID]uint64{}, objects: map[provision.ID]string{}, spent: map[string]bool{}}
	}
	for _, s := range w.sites {
		if err := s.run(false, func(r *Runner) error {
			_, err := r.Apply(t.Context(), provision.Options{})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.way, w.lost = nil, 0 // before both ends were there
	return w
}

func replaceEpoch(epoch string) string { return strings.Replace(office, "EPOCH", epoch, 1) }

// pass lets time go on.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	for len(w.way) > 0 && !w.way[0].due.After(w.now) {
		p := w.way[0]
		w.way = w.way[1:]
		w.sites[p.to].receive(p.sa)
	}
	for _, s := range w.sites {
		s.send()
	}
}

// send takes the newest outbound SA, as both engines do.
func (s *site) send() {
	for _, sa := range slices.Backward(s.sas) {
		if sa.Dir == netlinkx.DirOut {
			s.w.way = append(s.w.way, packet{1 - s.me, sa, s.w.now.Add(transit)})
			return
		}
	}
	s.w.lost++
}

func (s *site) receive(sent *netlinkx.SA) {
	for _, sa := range s.sas {
		if sa.Dir == netlinkx.DirIn && sa.SPI == sent.SPI && fingerprint(sa) == fingerprint(sent) {
			s.carried[provision.SAObject(sa.ID())]++
			return
		}
	}
	s.w.lost++
}

func fingerprint(sa *netlinkx.SA) string {
	sum := sha256.Sum256(sa.AEAD.Key.Reveal())
	return hex.EncodeToString(sum[:])
}

// write is called before each write.
func (s *site) write() error {
	s.w.pass(time.Millisecond)
	s.writes++
	if s.crash--; s.crash == 0 {
		return errCrash
	}
	return nil
}

// ReadRotation, like the rest, is a Session's.
func (s *site) ReadRotation() ([]byte, error) { return s.raw, nil }

func (s *site) WriteRotation(b []byte) error {
	if err := s.write(); err != nil {
		return err
	}
	s.raw = b
	return nil
}

func (s *site) Packets(_ context.Context, id netlinkx.SAID) (uint64, bool, error) {
	there := slices.ContainsFunc(s.sas, func(sa *netlinkx.SA) bool { return sa.ID() == id })
	return s.carried[provision.SAObject(id)], there, nil
}

func (s *site) Plan(_ context.Context, wanted *provision.State, opts provision.Options) (*provision.Result, error) {
	owner := &provision.Owner{Name: "x", ReqID: provision.Range{First: 10000, Last: 19999}, IfID: provision.Range{First: 20000, Last: 29999}}
	known := &provision.Ledger{Objects: s.objects, Spent: s.spent, Fingerprint: fingerprint}
	return provision.Plan(&provision.State{SAs: wanted.SAs}, &provision.State{SAs: s.sas}, owner, known, opts)
}

func (s *site) Apply(ctx context.Context, wanted *provision.State, opts provision.Options) (*provision.Result, error) {
	res, err := s.Plan(ctx, wanted, opts)
	if err != nil {
		return nil, err
	}
	for _, st := range res.Steps {
		if err := s.write(); err != nil {
			return res, err
		}
		switch st.Verb {
		case provision.Create, provision.NewSPI:
			use := fingerprint(st.SA)
			if st.SA.Dir == netlinkx.DirIn {
				use = "in:" + use
			}
			s.sas, s.objects[st.ID], s.spent[use] = append(s.sas, st.SA), fingerprint(st.SA), true
		case provision.Delete:
			s.sas = slices.DeleteFunc(s.sas, func(sa *netlinkx.SA) bool { return provision.SAObject(sa.ID()) == st.ID })
		default:
			s.w.t.Errorf("unexpected step %s", st)
		}
	}
	return res, nil
}

// run is one process at this end.
func (s *site) run(rotating bool, do func(*Runner) error) error {
	if s.read != s.w.doc { // reading it each time would take most of the time
		var err error
		if s.doc, err = document.Read("office.yaml", []byte(s.w.doc)); err != nil {
			return err
		}
		s.read = s.w.doc
	}
	r, err := New(s.w.t.Context(), &Config{
		Document: s.doc, Node: []string{"east", "west"}[s.me], StateDir: "none", Rotating: rotating,
		Now: func() time.Time { return s.w.now.Add(s.skew) },
		Surroundings: document.Surroundings{
			BootID: []string{"e", "w"}[s.me],
			Keys:   &keys.Source{Getenv: func(string) string { return "the root secret that both ends have" }},
		},
	})
	if err == nil {
		err = r.Use(s.w.t.Context(), s)
	}
	if err == nil {
		err = do(r)
	}
	return err
}

// tunnel is what is recorded.
func (s *site) tunnel() Tunnel {
	r, err := decode(s.raw)
	if err != nil {
		s.w.t.Fatal(err)
	}
	return r.Tunnels["main"]
}

// step runs one step towards an epoch; the operator's word is given when it is
// true.
func (s *site) step(target uint64) error {
	t := s.tunnel()
	word := s.w.sites[1-s.me].ready(t.NextStep(), target)
	return s.run(true, func(r *Runner) error {
		all, err := r.Step(s.w.t.Context(), &Request{Target: target, Quiet: 4 * transit, PeerReady: word})
		for _, o := range all {
			var wait *WaitError
			if o.Err != nil && !errors.As(o.Err, &wait) {
				err = errors.Join(err, fmt.Errorf("step %s: %w", o.Step, o.Err))
			}
		}
		return err
	})
}

// ready reports whether this end has done what the peer's step waits for.
func (s *site) ready(step Step, target uint64) bool {
	t := s.tunnel()
	if t.Settled() {
		return t.Epoch >= target
	}
	want := netlinkx.DirIn
	if step == StepDrain {
		if t.Out() < target {
			return false
		}
		want = netlinkx.DirOut
	}
	n := 0
	for _, sa := range s.sas {
		if sa.Dir == want {
			n++
		}
	}
	return n == 2 || t.Phase == Deleting
}
