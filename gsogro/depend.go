package gsogro

import (
	"fmt"
	"slices"
	"strings"
)

// dependency is one rule of the kernel's netdev_fix_features
// (net/core/dev.c): Feature stays off unless the others allow it. Drivers have
// rules of their own, which only a read-back shows.
type dependency struct {
	feature string
	// anyOf are features of which one must be on; allOf must all be on; noneOf
	// must be off.
	anyOf, allOf, noneOf []string
}

func dependencies() []dependency {
	checksum4, checksum6 := []string{TxChecksumGeneric, TxChecksumIPv4}, []string{TxChecksumGeneric, TxChecksumIPv6}
	return []dependency{
		{feature: TxChecksumIPv4, noneOf: []string{TxChecksumGeneric}},
		{feature: TxChecksumIPv6, noneOf: []string{TxChecksumGeneric}},
		{feature: TxTSO, allOf: []string{TxScatterGather}, anyOf: checksum4},
		{feature: TxTSO6, allOf: []string{TxScatterGather}, anyOf: checksum6},
		{feature: TxTSOMangleID, allOf: []string{TxScatterGather, TxTSO}},
		{feature: TxTSOECN, allOf: []string{TxScatterGather}, anyOf: []string{TxTSO, TxTSO6, TxTSOMangleID}},
		{feature: TxGSO, allOf: []string{TxScatterGather}},
		{feature: TxUSO, anyOf: []string{TxChecksumGeneric, TxChecksumIPv4}},
		{feature: RxLRO, noneOf: []string{RxFCS, RxGROHW}},
		{feature: RxGROHW, allOf: []string{RxChecksum}, noneOf: []string{RxFCS}},
	}
}

// Drop is a feature that the kernel will turn off, or not turn on, and why.
type Drop struct {
	Feature string `json:"feature"`
	// Because is the rule in words: "needs tx-scatter-gather, which is off".
	Because string `json:"because"`
}

// Predict tells which of the features would not be in force after a change,
// although they are or are asked for: the kernel drops them without a word. Only
// rules of the kernel's core are known here. It is a pure function.
func Predict(have FeatureSet, change map[string]bool) []Drop {
	on := make(map[string]bool, len(have))
	for name, f := range have {
		on[name] = f.Active
		if v, asked := change[name]; asked && !f.Fixed {
			on[name] = v
		}
	}
	var drops []Drop
	for again := true; again; { // rules depend on each other
		again = false
		for _, d := range dependencies() {
			if !on[d.feature] {
				continue
			}
			if why := d.broken(on, have); why != "" {
				on[d.feature], again = false, true
				drops = append(drops, Drop{Feature: d.feature, Because: why})
			}
		}
	}
	return drops
}

// broken says what keeps the feature from being on, or "". What this kernel
// does not know cannot be demanded.
func (d dependency) broken(on map[string]bool, have FeatureSet) string {
	known := func(name string) bool { _, ok := have[name]; return ok }
	for _, name := range d.allOf {
		if known(name) && !on[name] {
			return fmt.Sprintf("needs %s, which is off", name)
		}
	}
	for _, name := range d.noneOf {
		if on[name] {
			return fmt.Sprintf("does not go with %s, which is on", name)
		}
	}
	if len(d.anyOf) == 0 || slices.ContainsFunc(d.anyOf, func(n string) bool { return on[n] }) || !slices.ContainsFunc(d.anyOf, known) {
		return ""
	}
	return fmt.Sprintf("needs %s, which are off", strings.Join(d.anyOf, " or "))
}
