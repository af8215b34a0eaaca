package document

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/xfrmctl/xfrmctl/gsogro"
)

func (p *DefaultPolicy) rule() rule {
	action := func(to *Value[string]) rule { return single(to, oneOf("block", "accept")) }
	return mapping(
		field{"in", "what comes in", action(&p.In)},
		field{"fwd", "what is forwarded", action(&p.Fwd)},
		field{"out", "what goes out", action(&p.Out)},
	)
}

func (g *GRO) rule() rule {
	return either(single(&g.Profile, oneOf("keep", "fast")), open(func(key *yaml.Node) rule {
		return keyed(&g.Values, key, setting(key.Value))
	})).with(func(f *form) { f.Default = "keep" }).then(func(_ *reader, n *yaml.Node) { g.at = spotOf(n) })
}

// setting is the value of a name that `xfrmctl gro set` takes: a number, or on
// or off.
func setting(name string) kind[uint64] {
	if slices.Contains(slices.Concat(gsogro.SizeNames(), gsogro.NAPINames()), name) {
		return count()
	}
	return kind[uint64]{func(s string) (uint64, error) {
		word, err := oneOf("on", "off", "true", "false").parse(s)
		if err != nil || word == "off" || word == "false" {
			return 0, err
		}
		return 1, nil
	}, form{AnyOf: []form{{Type: "string", Enum: []string{"on", "off"}}, {Type: "boolean"}, integer(0, 1<<64-1)}}}
}
