package provision

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// TestEveryAttributeAlone changes each field of an SA, a policy and an
// interface alone: a plan has a step for it or is refused, and never does
// nothing.
func TestEveryAttributeAlone(t *testing.T) {
	readOnly := map[string]bool{"Usage": true, "Stats": true, "LastUsed": true,
		"Family": true, // none is that of the addresses
		"Up":     true} // wanted ones are always up
	n := 0
	for _, kind := range []string{"sa", "policy", "interface", "route", "settings"} {
		for _, name := range fieldNames(kind) {
			if readOnly[name] {
				continue
			}
			n++
			base := complete()
			m := reached(t, base)
			changed := complete()
			if !alter(fieldOf(changed, kind, name)) {
				t.Errorf("%s.%s: the test cannot change it", kind, name)
				continue
			}
			res, err := Plan(changed, m.state(), &testOwner, m.ledger, Options{Prune: true})
			var refused *RefusedError
			switch {
			case errors.As(err, &refused):
			case err != nil:
				t.Errorf("%s.%s: %v", kind, name, err)
			case len(res.Steps) == 0:
				t.Errorf("%s.%s was changed, and nothing is planned", kind, name)
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d fields", n)
	}
}

func complete() *State {
	s := &State{Interfaces: []*Interface{{Name: "ipsec0", IfID: 101, Underlay: "eth0", MTU: 1400, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}, Up: true}}}
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst, sa.Proto, sa.SPI, sa.ReqID, sa.IfID = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netlinkx.ProtoESP, 0x1000, 201, 101
	sa.Dir, sa.Mode, sa.Family = netlinkx.DirOut, netlinkx.ModeTunnel, netlinkx.FamilyIPv4
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128, Key: netlinkx.NewKey([]byte("key"))}
	p := netlinkx.NewPolicy()
	p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.1.0.0/16"), Dst: netip.MustParsePrefix("10.2.0.0/16")}
	p.Dir, p.IfID, p.Priority = netlinkx.PolicyOut, 101, 10
	tmpl := netlinkx.NewTemplate()
	tmpl.Src, tmpl.Dst, tmpl.Proto, tmpl.ReqID, tmpl.Mode = sa.Src, sa.Dst, sa.Proto, sa.ReqID, sa.Mode
	p.Templates = []netlinkx.Template{tmpl}
	s.SAs, s.Policies = []*netlinkx.SA{sa}, []*netlinkx.Policy{p}
	s.Routes = []*Route{{Dst: netip.MustParsePrefix("10.2.0.0/16"), Dev: "ipsec0", More: []string{"ipsec0"}, Metric: RouteMetric}}
	s.Settings = []*Settings{{Device: "eth0", Values: map[string]uint64{"rx-gro": 0}}}
	return s
}

// reached is a model that has the state, with the real kernel's knowledge of
// every field.
func reached(t *testing.T, s *State) *model {
	t.Helper()
	m := newModel()
	if !follow(t, m, s, Options{}, 0, nil, -1) {
		t.Fatal("refused")
	}
	if res, err := Plan(s, m.state(), &testOwner, m.ledger, Options{Prune: true}); err != nil || len(res.Steps) > 0 {
		t.Fatal(res, err)
	}
	return m
}

func objectOf(s *State, kind string) reflect.Value {
	switch kind {
	case "sa":
		return reflect.ValueOf(s.SAs[0]).Elem()
	case "policy":
		return reflect.ValueOf(s.Policies[0]).Elem()
	case "route":
		return reflect.ValueOf(s.Routes[0]).Elem()
	case "settings":
		return reflect.ValueOf(s.Settings[0]).Elem()
	}
	return reflect.ValueOf(s.Interfaces[0]).Elem()
}

func fieldNames(kind string) (names []string) {
	typ := objectOf(complete(), kind).Type()
	for i := range typ.NumField() {
		names = append(names, typ.Field(i).Name)
	}
	return names
}

func fieldOf(s *State, kind, name string) reflect.Value { return objectOf(s, kind).FieldByName(name) }

// alter changes a value of any of the kinds that objects are made of.
func alter(v reflect.Value) bool {
	switch x := v.Addr().Interface().(type) {
	case *netip.Addr:
		*x = netip.MustParseAddr("198.51.100.7")
		return true
	case *netip.Prefix:
		*x = netip.MustParsePrefix("198.51.100.0/24")
		return true
	case *netlinkx.Key:
		*x = netlinkx.NewKey([]byte("other"))
		return true
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int32:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() ^ 2)
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
			if name := v.Elem().FieldByName("Name"); name.IsValid() {
				return alter(name)
			}
			return true
		}
		return alter(v.Elem())
	case reflect.Struct:
		if valid := v.FieldByName("Valid"); valid.IsValid() {
			valid.SetBool(!valid.Bool())
			return alter(v.FieldByName("V"))
		}
		if v.Type() == reflect.TypeFor[netlinkx.Mark]() {
			return alter(v.Field(0)) // a mask without a value has no effect
		}
		return alter(v.Field(v.NumField() - 1))
	case reflect.Map:
		for _, k := range v.MapKeys() {
			v.SetMapIndex(k, reflect.ValueOf(v.MapIndex(k).Uint()+1))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	default:
		return false
	}
	return true
}

// TestReadsNoKeys: what the kernel shows of keys is never compared. Under
// lockdown it shows zeros.
func TestReadsNoKeys(t *testing.T) {
	s := complete()
	m := reached(t, s)
	got := m.state()
	sa := *got.SAs[0]
	sa.AEAD = &netlinkx.AEAD{Name: sa.AEAD.Name, ICVBits: sa.AEAD.ICVBits, Key: netlinkx.NewKey(make([]byte, 20))}
	got.SAs[0] = &sa
	res, err := Plan(s, got, &testOwner, m.ledger, Options{Prune: true})
	if err != nil || len(res.Steps) > 0 {
		t.Errorf("%v, %v", res, err)
	}
	fp := fmt.Sprint(m.ledger.Objects[saID(s.SAs[0])])
	m.ledger.Objects[saID(s.SAs[0])] = "other " + fp
	if _, err = Plan(s, got, &testOwner, m.ledger, Options{}); err == nil {
		t.Error("another key under the same SPI was taken for the installed one")
	}
	sa.ReqID++ // by now it is another tunnel's
	if _, err = Plan(s, got, &testOwner, m.ledger, Options{}); err == nil || !strings.Contains(err.Error(), "the SPI of another tunnel's SA by chance (reqid 201, that has 202)") {
		t.Error(err)
	}
}

// TestSpentKeys: a counter-mode key that an outbound SA has had is refused.
func TestSpentKeys(t *testing.T) {
	s := complete()
	known := newModel().ledger
	known.Spent[testFingerprint(s.SAs[0])] = true
	if _, err := Plan(s, newModel().state(), &testOwner, known, Options{}); err == nil {
		t.Error("an outbound SA with a spent key is planned")
	}
	s.SAs[0].Dir = netlinkx.DirIn
	if _, err := Plan(s, newModel().state(), &testOwner, known, Options{}); err != nil {
		t.Errorf("inbound: %v", err)
	}
	known.Spent["in:"+testFingerprint(s.SAs[0])] = true
	if _, err := Plan(s, newModel().state(), &testOwner, known, Options{}); err == nil {
		t.Error("an inbound SA with a spent key is planned")
	}
	twin := *s.SAs[0]
	twin.SPI++
	s.SAs = append(s.SAs, &twin)
	if _, err := Plan(s, newModel().state(), &testOwner, newModel().ledger, Options{}); err == nil {
		t.Error("two SAs with one counter-mode key are planned")
	}
}
