package provision

import (
	"cmp"
	"slices"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Difference is how an object differs between two states. The objects of one
// kind are set: both, or the one that is there.
type Difference struct {
	ID ID
	// Words name what differs, as `ip` does; none when only one state has the
	// object.
	Words []string

	WantInterface, GotInterface *Interface
	WantSA, GotSA               *netlinkx.SA
	WantPolicy, GotPolicy       *netlinkx.Policy
	WantRoute, GotRoute         *Route
}

// Differences compares two states without asking whose their objects are, keys
// aside. It is stricter than Plan, for which an SA without direction is as good
// as one with, because the kernel may not know directions.
func Differences(wanted, observed *State) (all []Difference) {
	w, o := index(wanted), index(observed)
	add := func(d Difference, words []string, both bool) {
		if d.Words = words; !both || len(words) > 0 {
			all = append(all, d)
		}
	}
	for id, x := range matched(w.ifaces, o.ifaces) {
		d := Difference{ID: id, WantInterface: x[0], GotInterface: x[1]}
		add(d, x.differ(allOfInterface), x.both())
	}
	for id, x := range matched(w.sas, o.sas) {
		d := Difference{ID: id, WantSA: x[0], GotSA: x[1]}
		add(d, x.differ(allOfSA), x.both())
	}
	for id, x := range matched(w.policies, o.policies) {
		d := Difference{ID: id, WantPolicy: x[0], GotPolicy: x[1]}
		add(d, x.differ(policyDifferences), x.both())
	}
	for id, x := range matched(w.routes, o.routes) {
		d := Difference{ID: id, WantRoute: x[0], GotRoute: x[1]}
		add(d, x.differ(routeDifferences), x.both())
	}
	slices.SortFunc(all, func(a, b Difference) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// both is an object as it is wanted and as it is; nil where it is not there.
type both[T any] [2]*T

func matched[T any](want, got map[ID]*T) map[ID]both[T] {
	all := make(map[ID]both[T], max(len(want), len(got)))
	for id, w := range want {
		all[id] = both[T]{w, got[id]}
	}
	for id, g := range got {
		all[id] = both[T]{want[id], g}
	}
	return all
}

func (x both[T]) both() bool { return x[0] != nil && x[1] != nil }

func (x both[T]) differ(words func(want, got *T) []string) []string {
	if !x.both() {
		return nil
	}
	return words(x[0], x[1])
}

func allOfSA(want, got *netlinkx.SA) []string {
	changeable, fixed := saDifferences(want, got)
	if want.Dir != got.Dir && got.Dir == netlinkx.DirUnset {
		fixed = append(fixed, "dir")
	}
	if keyLengths(want) != keyLengths(got) && !slices.Contains(fixed, "algorithms") {
		fixed = append(fixed, "algorithms")
	}
	for word, has := range map[string]bool{"comp": got.Comp != nil, "coa": got.CareOf.IsValid(), "ctx": got.SecCtx != nil} {
		if has {
			fixed = append(fixed, word)
		}
	}
	slices.Sort(fixed)
	return slices.Concat(changeable, fixed)
}

func keyLengths(sa *netlinkx.SA) (n [3]int) {
	if sa.AEAD != nil {
		n[0] = sa.AEAD.Key.Len()
	}
	if sa.Crypt != nil {
		n[1] = sa.Crypt.Key.Len()
	}
	if sa.AuthTrunc != nil {
		n[2] = sa.AuthTrunc.Key.Len()
	}
	return n
}

func routeDifferences(want, got *Route) []string {
	if slices.Equal(want.devices(), got.devices()) {
		return nil
	}
	return []string{"dev"}
}

func allOfInterface(want, got *Interface) []string {
	words := interfaceDifferences(want, got)
	if want.NoXFRM != got.NoXFRM {
		words = append(words, "disable_xfrm")
	}
	return words
}

// interfaceDifferences leaves out what apply may set in another's interface.
func interfaceDifferences(want, got *Interface) (words []string) {
	note := func(differs bool, word string) {
		if differs {
			words = append(words, word)
		}
	}
	note(want.IfID != got.IfID, "if_id")
	note(want.Underlay != got.Underlay, "dev")
	note(want.MTU != 0 && want.MTU != got.MTU, "mtu")
	note(!slices.Equal(want.Addresses, got.Addresses), "address")
	note(!got.Up, "down")
	note(want.NetNS != got.NetNS, "netns")
	return words
}
