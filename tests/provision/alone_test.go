package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
	"github.com/xfrmctl/xfrmctl/provision"
)

// TestEveryAttributeAlone changes each attribute of an SA, a policy and an
// interface alone, on engines that have them: what is applied then reads back, or
// is refused for a reason before anything is written.
func TestEveryAttributeAlone(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		east, _ := ends(t, userspace)
		w := newWorld(t, east)
		done := map[string]int{}
		for _, kind := range []string{"sa", "policy", "interface"} {
			base := w.base()
			for i, path := range leaves(reflect.TypeOf(object(base, kind)).Elem(), "") {
				if testing.Short() && i%10 != 0 {
					continue
				}
				name := kind + "." + path
				change, known := changes()[name]
				switch {
				case readOnly()[name]:
					continue
				case !known:
					t.Errorf("%s is new: say in changes what it shall become, or in readOnly why it cannot", name)
					continue
				}
				outcome := w.alone(t, name, kind, path, change)
				done[outcome]++
			}
		}
		t.Logf("attributes by outcome: %v", done)
		if !testing.Short() && (done["reached"] < 50 || done["reached"]+done["refused"] < 130) {
			t.Errorf("too few: %v", done)
		}
	})
}

// world is a namespace, its engine, and what is applied there.
type world struct {
	ctx   context.Context
	cfg   provision.Config
	xfrm  *netlinkx.Conn
	links *ifaces.Conn
	n     int // states that were made: each has keys and SPIs of its own
}

func newWorld(t *testing.T, e *end) *world {
	t.Helper()
	w := &world{ctx: context.Background()}
	ns := netlinkx.NetNSFD(e.ns.FD())
	kernel, links := &netlinkx.Config{NetNS: ns}, &ifaces.Config{NetNS: ns}
	w.cfg = provision.Config{StateDir: t.TempDir(), NetNS: ns, Engine: "kernel", Owner: provision.Owner{Name: "alone",
		ReqID: provision.Range{First: 100, Last: 199}, IfID: provision.Range{First: 200, Last: 299}}}
	if e.engine != nil {
		path := e.engine.Socket()
		kernel.Dial = func() (netlinkx.Transport, error) { return nlsock.DialXFRM(path) }
		links.Engine = &ifaces.Engine{XFRM: kernel.Dial, Links: func(ns netlinkx.NetNS) (netlinkx.Transport, error) { return nlsock.DialRoute(path, ns) }}
		w.cfg.Engine, w.cfg.OwnCounters = "userspace", true
	}
	var err error
	if w.xfrm, err = netlinkx.Dial(kernel); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.xfrm.Close() })
	if w.links, err = ifaces.Dial(links); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.links.Close() })
	w.cfg.XFRM, w.cfg.Links = w.xfrm, w.links
	return w
}

// base is a state with one object of each kind; its keys and SPIs are new.
func (w *world) base() *provision.State {
	w.n++
	s := &provision.State{Interfaces: []*provision.Interface{{Name: "alone0", IfID: 201, Underlay: "wire0", MTU: 1400, Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}, Up: true}}}
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst, sa.Proto, sa.SPI, sa.ReqID, sa.IfID = addr("192.0.2.1"), addr("192.0.2.2"), netlinkx.ProtoESP, netlinkx.SPI(0x1000+w.n), 101, 201
	sa.Dir, sa.Mode, sa.Family = netlinkx.DirOut, netlinkx.ModeTunnel, netlinkx.FamilyIPv4
	sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: 4500, DstPort: 4500}
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128, Key: netlinkx.NewKey(fmt.Appendf(nil, "key %016d", w.n))}
	p := netlinkx.NewPolicy()
	p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.1.0.0/16"), Dst: netip.MustParsePrefix("10.2.0.0/16")}
	p.Dir, p.IfID, p.Priority = netlinkx.PolicyOut, 201, 10
	tmpl := netlinkx.NewTemplate()
	tmpl.Src, tmpl.Dst, tmpl.Proto, tmpl.ReqID, tmpl.Mode, tmpl.Family = sa.Src, sa.Dst, sa.Proto, sa.ReqID, sa.Mode, sa.Family
	p.Templates = []netlinkx.Template{tmpl}
	s.SAs, s.Policies = []*netlinkx.SA{sa}, []*netlinkx.Policy{p}
	return s
}

func object(s *provision.State, kind string) any {
	switch kind {
	case "sa":
		return s.SAs[0]
	case "policy":
		return s.Policies[0]
	}
	return s.Interfaces[0]
}

func (w *world) apply(s *provision.State) error {
	session, err := provision.Open(w.ctx, &w.cfg)
	if err != nil {
		return err
	}
	_, err = session.Apply(w.ctx, s, provision.Options{Prune: true})
	return errors.Join(err, session.Close())
}

// alone changes one attribute of what is there.
func (w *world) alone(t *testing.T, name, kind, path string, value any) string {
	t.Helper()
	s := w.base()
	if err := w.apply(s); err != nil {
		t.Fatalf("before %s: %v", name, err)
	}
	before := fmt.Sprint(w.read(t, s, kind))
	want := at(object(s, kind), path)
	want.Set(reflect.ValueOf(value))
	err := w.apply(s)
	var refused *provision.RefusedError
	var engine *netlinkx.Error
	outcome := "reached"
	switch {
	case errors.As(err, &refused), errors.As(err, &engine), errors.Is(err, fs.ErrNotExist):
		outcome = "refused"
		if len(err.Error()) < 30 {
			t.Errorf("%s is refused without a reason: %v", name, err)
		}
	case err != nil:
		t.Errorf("%s: %v", name, err)
	default:
		got := w.read(t, s, kind)
		if v := at(got, path); !reflect.DeepEqual(comparable(v), comparable(want)) {
			t.Errorf("%s was applied and is not there: %v, want %v", name, v, want)
		}
	}
	t.Logf("%-32s %s %.160v", name, outcome, err)
	if outcome == "refused" {
		if after := fmt.Sprint(w.read(t, w.last(), kind)); after != before {
			t.Errorf("%s was refused, and something changed:\n%s\n%s", name, before, after)
		}
	}
	w.clean(t)
	return outcome
}

// last is the state that is there after a change of it was refused.
func (w *world) last() *provision.State {
	w.n--
	return w.base()
}

// clean removes what is there.
func (w *world) clean(t *testing.T) {
	t.Helper()
	if err := w.apply(&provision.State{}); err != nil {
		t.Fatalf("delete: %v", err)
	}
}

// read reads the object back from the engine; what only counts is left out.
func (w *world) read(t *testing.T, s *provision.State, kind string) any {
	t.Helper()
	switch kind {
	case "sa":
		sa, err := w.xfrm.GetSA(w.ctx, s.SAs[0].ID())
		if err != nil {
			t.Errorf("SA %s: %v", s.SAs[0], err)
			return &netlinkx.SA{}
		}
		sa.Usage, sa.Stats, sa.LastUsed = netlinkx.Usage{}, netlinkx.SAStats{}, 0
		return sa
	case "policy":
		all, err := w.xfrm.ListPolicies(w.ctx)
		if err != nil || len(all) != 1 {
			t.Errorf("%d policies, %v", len(all), err)
			return &netlinkx.Policy{}
		}
		all[0].Usage = netlinkx.Usage{}
		return all[0]
	}
	l, err := w.links.Get(w.ctx, s.Interfaces[0].Name)
	if err != nil {
		t.Errorf("interface: %v", err)
		return &provision.Interface{}
	}
	i := &provision.Interface{Name: l.Name, IfID: l.IfID, Underlay: l.UnderlayName, MTU: l.MTU, Up: l.Up, NoXFRM: l.NoXFRM}
	for _, a := range l.Addresses {
		if !a.Prefix.Addr().IsLinkLocalUnicast() {
			i.Addresses = append(i.Addresses, a.Prefix)
		}
	}
	return i
}

// leaves are the paths of all attributes of a type: fields of structures in
// fields, and in lists their first.
func leaves(typ reflect.Type, prefix string) (paths []string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		path, ft := strings.TrimPrefix(prefix+"."+f.Name, "."), f.Type
		if ft.Kind() == reflect.Pointer || ft == reflect.TypeFor[[]netlinkx.Template]() {
			ft = ft.Elem()
		}
		opaque := ft == reflect.TypeFor[netip.Addr]() || ft == reflect.TypeFor[netip.Prefix]() || ft == reflect.TypeFor[netlinkx.Key]()
		if ft.Kind() != reflect.Struct || opaque || strings.HasPrefix(ft.Name(), "Opt[") {
			paths = append(paths, path)
			continue
		}
		paths = append(paths, leaves(ft, path)...)
	}
	return paths
}

// at finds an attribute, and makes what it is in where there is none.
func at(object any, path string) reflect.Value {
	v := reflect.ValueOf(object).Elem()
	for _, name := range strings.Split(path, ".") {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		if v.Kind() == reflect.Slice {
			if v.Len() == 0 {
				v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			}
			v = v.Index(0)
		}
		v = v.FieldByName(name)
	}
	return v
}

// comparable is the value without what is not seen from outside.
func comparable(v reflect.Value) any {
	if k, ok := v.Interface().(netlinkx.Key); ok {
		return k.Reveal()
	}
	return v.Interface()
}
