package ipxfrm

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// fieldFiller sets every exported field of a value to something that is not
// zero and differs from field to field.
type fieldFiller struct{ n uint64 }

func (f *fieldFiller) next() uint64 { f.n++; return f.n }

func (f *fieldFiller) fill(v reflect.Value) {
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{10, 0, byte(f.next() / 256), byte(f.n)})))
		return
	case netip.Prefix:
		v.Set(reflect.ValueOf(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(f.next() / 256), byte(f.n)}), 17)))
		return
	case netlinkx.Key:
		v.Set(reflect.ValueOf(netlinkx.NewKey([]byte{byte(f.next()), 2, 3, 4})))
		return
	case netlinkx.Event:
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			f.fill(v.Index(i))
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(fmt.Sprintf("name%d", f.next()))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(f.next()%200 + 7)
	case reflect.Int32:
		v.SetInt(int64(f.next()))
	default:
		panic("no filler for " + v.Type().String())
	}
}

// eachChange calls try once for every way of changing one part of v; v is back
// as it was after each.
func eachChange(path string, v reflect.Value, try func(path string)) {
	change := func(to any) {
		old := reflect.ValueOf(v.Interface())
		v.Set(reflect.ValueOf(to).Convert(v.Type()))
		try(path)
		v.Set(old)
	}
	switch x := v.Interface().(type) {
	case netip.Addr:
		change(x.Next())
		change(netip.Addr{})
		return
	case netip.Prefix:
		change(netip.PrefixFrom(x.Addr().Next(), x.Bits()))
		change(netip.PrefixFrom(x.Addr(), x.Bits()+1))
		change(netip.Prefix{})
		return
	case netlinkx.Key:
		change(netlinkx.NewKey([]byte{1, 2, 3, 255}))
		change(netlinkx.Key{})
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			eachChange(path+"."+v.Type().Field(i).Name, v.Field(i), try)
		}
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		eachChange(path, v.Elem(), try)
		change(reflect.Zero(v.Type()).Interface())
	case reflect.Slice:
		for i := range v.Len() {
			eachChange(fmt.Sprintf("%s[%d]", path, i), v.Index(i), try)
		}
		change(v.Slice(0, 1).Interface())
	case reflect.Interface:
		eachChange(path, v.Elem().Elem(), try)
	case reflect.Bool:
		change(!v.Bool())
	case reflect.String:
		change(v.String() + "x")
	case reflect.Int32:
		change(v.Int() + 1)
	default:
		change(v.Uint() + 1)
		change(0)
	}
}

func jsonText(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestJSONShowsEveryField changes every part of every value that this package
// renders, and wants the JSON to change.
func TestJSONShowsEveryField(t *testing.T) {
	p := &Printer{ShowKeys: true}
	sa, saAuth := &netlinkx.SA{}, &netlinkx.SA{}
	tests := []struct {
		name   string
		value  any
		show   func() any
		except []string
	}{
		// With AuthTrunc, Auth is the same algorithm once more.
		{"SA", sa, func() any { return p.JSONSA(sa) }, []string{".Auth", ".Auth.Name", ".Auth.Key"}},
		{"SA without AuthTrunc", saAuth, func() any { x := *saAuth; x.AuthTrunc = nil; return p.JSONSA(&x) },
			[]string{".AuthTrunc", ".AuthTrunc.Name", ".AuthTrunc.Key", ".AuthTrunc.ICVBits"}},
		jsonCase(new(netlinkx.Policy), p.JSONPolicy),
		jsonCase(new(netlinkx.SADInfo), p.JSONSADInfo),
		jsonCase(new(netlinkx.SPDInfo), p.JSONSPDInfo),
		jsonCase(new(netlinkx.Defaults), p.JSONDefaults),
		// The message has the source address in ID.Src.
		jsonCase(new(netlinkx.AE), p.JSONAE, ".ID.SA.Src"),
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			(&fieldFiller{}).fill(reflect.ValueOf(tt.value).Elem())
			checkFields(t, reflect.ValueOf(tt.value).Elem(), tt.show, tt.except)
		})
	}
}

func jsonCase[T any](v *T, show func(*T) any, except ...string) struct {
	name   string
	value  any
	show   func() any
	except []string
} {
	return struct {
		name   string
		value  any
		show   func() any
		except []string
	}{reflect.TypeFor[T]().Name(), v, func() any { return show(v) }, except}
}

// checkFields fails for changes that do not show, and for exceptions that do.
func checkFields(t *testing.T, v reflect.Value, show func() any, except []string) {
	t.Helper()
	base, seen := jsonText(t, show()), map[string]bool{}
	eachChange("", v, func(path string) {
		same := jsonText(t, show()) == base
		if same {
			seen[path] = true
		}
		if same && !slices.Contains(except, path) {
			t.Errorf("changing %s does not change the JSON:\n%s", path, base)
		}
	})
	for _, path := range except {
		if !seen[path] {
			t.Errorf("%s shows; it needs no exception", path)
		}
	}
}

// TestJSONEventShowsEveryField does the same with events and their notices.
func TestJSONEventShowsEveryField(t *testing.T) {
	auth := []string{".Event.SA.Auth", ".Event.SA.Auth.Name", ".Event.SA.Auth.Key"}
	tests := []struct {
		event  netlinkx.Event
		except []string
	}{
		{&netlinkx.SAEvent{}, auth},
		{&netlinkx.ExpireEvent{}, auth},
		{&netlinkx.PolicyEvent{}, nil},
		{&netlinkx.PolicyExpireEvent{}, nil},
		{&netlinkx.AcquireEvent{}, nil},
		{&netlinkx.FlushSAEvent{}, nil},
		{&netlinkx.FlushPolicyEvent{}, nil},
		{&netlinkx.AEvent{}, []string{".Event.AE.ID.SA.Src"}},
		{&netlinkx.MappingEvent{}, nil},
		{&netlinkx.ReportEvent{}, nil},
		{&netlinkx.MigrateEvent{}, nil},
		{&netlinkx.MigrateStateEvent{}, nil},
		{&netlinkx.DefaultsEvent{}, nil},
		{&netlinkx.UnknownEvent{}, []string{".Type", ".Flags"}}, // the event has them, too
		{&netlinkx.LostEvent{}, nil},
		{&netlinkx.ResyncEvent{}, auth},
	}
	for _, tt := range tests {
		name := reflect.TypeOf(tt.event).Elem().Name()
		t.Run(name, func(t *testing.T) {
			n := &netlinkx.Notice{Event: tt.event}
			f := &fieldFiller{}
			f.fill(reflect.ValueOf(tt.event).Elem())
			f.fill(reflect.ValueOf(n).Elem())
			if e, ok := tt.event.(*netlinkx.PolicyEvent); ok {
				e.Op = netlinkx.EventDelete
			}
			if e, ok := tt.event.(*netlinkx.ResyncEvent); ok {
				e.Policy = nil // it carries one of the two
			}
			p := &Printer{ShowKeys: true}
			checkFields(t, reflect.ValueOf(n).Elem(), func() any { return p.JSONEvent(n) }, tt.except)
		})
	}
}

// TestJSONEventKinds fixes the names of the events.
func TestJSONEventKinds(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 54, 14, 819880999, time.FixedZone("", 3600))
	p := &Printer{Time: TimeShort, Now: func() time.Time { return now }}
	for want, e := range map[string]netlinkx.Event{
		"sa_new":        &netlinkx.SAEvent{},
		"sa_update":     &netlinkx.SAEvent{Op: netlinkx.EventUpdate},
		"sa_delete":     &netlinkx.SAEvent{Op: netlinkx.EventDelete},
		"sa_expire":     &netlinkx.ExpireEvent{},
		"policy_new":    &netlinkx.PolicyEvent{},
		"policy_update": &netlinkx.PolicyEvent{Op: netlinkx.EventUpdate},
		"policy_delete": &netlinkx.PolicyEvent{Op: netlinkx.EventDelete},
		"policy_expire": &netlinkx.PolicyExpireEvent{},
		"acquire":       &netlinkx.AcquireEvent{},
		"sa_flush":      &netlinkx.FlushSAEvent{},
		"policy_flush":  &netlinkx.FlushPolicyEvent{},
		"aevent":        &netlinkx.AEvent{},
		"mapping":       &netlinkx.MappingEvent{},
		"report":        &netlinkx.ReportEvent{},
		"migrate":       &netlinkx.MigrateEvent{},
		"migrate_state": &netlinkx.MigrateStateEvent{},
		"defaults":      &netlinkx.DefaultsEvent{},
		"lost":          &netlinkx.LostEvent{},
		"resync":        &netlinkx.ResyncEvent{SA: &netlinkx.SA{}},
		"resync_done":   &netlinkx.ResyncEvent{},
		"unknown":       &netlinkx.UnknownEvent{},
	} {
		var got struct {
			Event string
			Time  string
			NSID  *int32
		}
		n := &netlinkx.Notice{Event: e, NSID: netlinkx.Some[int32](0)}
		if err := json.Unmarshal([]byte(jsonText(t, p.JSONEvent(n))), &got); err != nil {
			t.Fatal(err)
		}
		if got.Event != want || got.Time != "2026-11-23T11:54:14.81988Z" || got.NSID == nil || *got.NSID != 0 {
			t.Errorf("%T: got %+v, want event %s", e, got, want)
		}
	}
}
