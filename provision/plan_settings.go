package provision

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// settings plans values of things that are there anyway. What was there before
// comes back when a value is no longer wanted.
func (p *planner) settings() {
	for _, want := range p.w.Settings {
		if p.o.settings[want.id()] == nil {
			p.refuse(want.id(), "there is nothing to set: no such device, or a kernel without default policies (Linux 5.15)")
		}
	}
	for _, got := range p.o.Settings {
		p.setting(got)
	}
}

func (p *planner) setting(got *Settings) {
	id := got.id()
	before := remembered(p.known.Objects[id])
	target := map[string]uint64{}
	if want := p.w.settings[id]; want != nil {
		maps.Copy(target, want.Values)
	}
	for name, v := range before {
		if _, wanted := target[name]; wanted || got.Values[name] == v {
			continue
		}
		if p.opts.Prune {
			target[name] = v
		} else if !slices.Contains(p.left, id) {
			p.left = append(p.left, id)
		}
	}
	byStage := map[stage][]string{}
	for _, name := range slices.Sorted(maps.Keys(target)) {
		have, known := got.Values[name]
		switch {
		case !known:
			p.refuse(id, name+" is not known there; see xfrmctl gro show "+got.Device)
		case have != target[name]:
			at := got.stage(target[name])
			byStage[at] = append(byStage[at], name)
			if _, known := before[name]; !known {
				before[name] = have
			}
		}
	}
	for at, names := range byStage {
		p.add(at, got.step(names, target, remember(before)))
	}
}

// stage is when a value is set: a default that blocks before anything goes that
// blocked so far, one that accepts behind all.
func (s *Settings) stage(v uint64) stage {
	switch {
	case s.Device != "":
		return stSettings
	case v == uint64(netlinkx.DefaultBlock):
		return stBlock
	}
	return stAccept
}

// step sets some of the values of target, in place of those of s.
func (s *Settings) step(names []string, target map[string]uint64, remember string) *Step {
	to, was := map[string]uint64{}, map[string]uint64{}
	var words []string
	for _, name := range names {
		to[name], was[name] = target[name], s.Values[name]
		words = append(words, name+" "+s.word(name, target[name]))
	}
	out := &Step{Verb: Change, ID: s.id(), Settings: &Settings{s.Device, to}, WasSettings: &Settings{s.Device, was},
		Why: strings.Join(words, ", "), remember: remember}
	if s.stage(target[names[0]]) == stBlock {
		out.Loss = "what no policy allows, in the whole network namespace: also how this machine is managed, unless policies allow it"
	}
	return out
}

// word is a value as people write it.
func (s *Settings) word(name string, v uint64) string {
	switch {
	case s.Device == "":
		return netlinkx.DefaultAction(v).String()
	case slices.Contains(slices.Concat(gsogro.SizeNames(), gsogro.NAPINames()), name):
		return fmt.Sprint(v)
	case v == 0:
		return "off"
	}
	return "on"
}

// remembered reads what the ledger holds of settings: the values that were there
// before. What is damaged counts as nothing.
func remembered(text string) map[string]uint64 {
	out := map[string]uint64{}
	if json.Unmarshal([]byte(text), &out) != nil || out == nil {
		return map[string]uint64{}
	}
	return out
}

func remember(before map[string]uint64) string {
	b, err := json.Marshal(before)
	if err != nil {
		return "" // a map of numbers always has a form
	}
	return string(b)
}

// restored reports whether settings have the values again that they had before.
func (s *Settings) restored(text string) bool {
	for name, v := range remembered(text) {
		if s.Values[name] != v {
			return false
		}
	}
	return true
}
