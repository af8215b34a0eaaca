package document

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// field is a key that a mapping may have. The tables of fields are the one
// place that tells of a field: reader and schema both follow them.
type field struct {
	name string
	help string // what it means
	rule rule
}

// rule is what may stand at one place of a document: how it is read, and what
// the schema says of it. It is made anew for each place, with the targets of
// that place; making it gives them their defaults.
type rule struct {
	read   func(r *reader, what string, n *yaml.Node)
	form   func() *form
	must   bool   // a field that has to be there
	called string // in messages, instead of the field's name
}

// needed marks a field that has to be there. The schema asks for it; check says
// in words that fit the place what a document lacks.
func (u rule) needed() rule {
	u.must = true
	return u
}

// as gives a rule another name in messages.
func (u rule) as(name string) rule {
	u.called = name
	return u
}

// with says more in the schema.
func (u rule) with(add func(*form)) rule {
	plain := u.form
	u.form = func() *form {
		f := plain()
		add(f)
		return f
	}
	return u
}

// then does more after reading.
func (u rule) then(more func(r *reader, n *yaml.Node)) rule {
	plain := u.read
	u.read = func(r *reader, what string, n *yaml.Node) {
		plain(r, what, n)
		more(r, n)
	}
	return u
}

func (u *rule) apply(r *reader, what string, n *yaml.Node) {
	if u.called != "" {
		what = u.called
	}
	u.read(r, what, n)
}

// single reads one value of a kind.
func single[T any](to *Value[T], k kind[T]) rule {
	return rule{
		form: func() *form { f := k.form; return &f },
		read: func(r *reader, what string, n *yaml.Node) {
			if !r.kind(n, yaml.ScalarNode, what, "a single value") {
				return
			}
			to.at = spotOf(n)
			v, err := k.parse(n.Value)
			if err != nil {
				r.fail(spotOf(n), "%s: %v", what, err)
				return
			}
			*to = Value[T]{V: v, Set: true, at: spotOf(n)}
		},
	}
}

// preset is single with a default: what the target holds, not Set, while the
// document is silent.
func preset[T any](to *Value[T], k kind[T], otherwise T) rule {
	to.V = otherwise
	return single(to, k).with(func(f *form) { f.Default = otherwise })
}

// list reads a list; item makes the rule of each item.
func list(item func(n *yaml.Node) rule) rule {
	return rule{
		form: func() *form { return &form{Type: "array", Items: item(&yaml.Node{}).form()} },
		read: func(r *reader, what string, n *yaml.Node) {
			if !r.kind(n, yaml.SequenceNode, what, "a list") {
				return
			}
			for _, x := range n.Content {
				u := item(x)
				u.apply(r, what, x)
			}
		},
	}
}

// mapping reads a mapping with these fields and no others.
func mapping(known ...field) rule { return open(nil, known...) }

// open reads a mapping with these fields, and others that the document names;
// other makes the rule of each.
func open(other func(key *yaml.Node) rule, known ...field) rule {
	return rule{
		form: func() *form { return mappingForm(other, known) },
		read: func(r *reader, what string, n *yaml.Node) {
			r.pairs(n, what, func(key, value *yaml.Node) {
				k := slices.IndexFunc(known, func(f field) bool { return f.name == key.Value })
				switch {
				case k >= 0:
					known[k].rule.apply(r, key.Value, value)
				case other != nil:
					u := other(key)
					u.apply(r, key.Value, value)
				default:
					r.fail(spotOf(key), "%s has no field %q; known are %s", what, key.Value, names(known))
				}
			})
		},
	}
}

func names(known []field) string {
	var all []string
	for _, f := range known {
		all = append(all, f.name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func mappingForm(other func(*yaml.Node) rule, known []field) *form {
	out := &form{Type: "object", AdditionalProperties: false}
	for _, f := range known {
		p := f.rule.form()
		p.Description = f.help
		out.Properties = append(out.Properties, property{f.name, p})
		if f.rule.must {
			out.Required = append(out.Required, f.name)
		}
	}
	if other != nil {
		out.AdditionalProperties = other(&yaml.Node{}).form()
	}
	return out
}
