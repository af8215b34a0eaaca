package document

import "go.yaml.in/yaml/v3"

// either reads a single value with one rule and anything else with another.
func either(value, other rule) rule {
	return rule{
		form: func() *form { return &form{AnyOf: []form{*value.form(), *other.form()}} },
		read: func(r *reader, what string, n *yaml.Node) {
			if n.Kind == yaml.ScalarNode {
				value.apply(r, what, n)
				return
			}
			other.apply(r, what, n)
		},
	}
}

// spread says which directions a value without direction is for.
type spread bool

const (
	both    spread = true
	onlyOut spread = false
)

// inOut reads a value for each direction: {in: X, out: Y}, or a single one.
func inOut[T any](to *InOut[T], k kind[T], s spread) rule {
	return either(
		single(&to.Out, k).then(func(*reader, *yaml.Node) {
			if s == both {
				to.In = to.Out
			}
		}),
		mapping(
			field{"in", "for what comes in", single(&to.In, k)},
			field{"out", "for what goes out", single(&to.Out, k)},
		))
}

func (t *Tunnel) offload() rule {
	t.Offload.In.V, t.Offload.Out.V = "off", "off"
	return inOut(&t.Offload, oneOf("auto", "prefer", "require", "off"), both).with(func(f *form) { f.Default = "off" })
}

func (t *Tunnel) namespaces() rule {
	return open(func(key *yaml.Node) rule { return keyed(&t.NetNS, key, namespace()) })
}
