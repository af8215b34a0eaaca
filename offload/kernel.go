package offload

import "slices"

// Outcome is what a probe found. The zero Outcome is inconclusive.
type Outcome struct {
	Known bool   `json:"known"` // the probe was conclusive
	OK    bool   `json:"ok"`
	Why   string `json:"why,omitempty"` // when not OK: what was answered
	Fix   string `json:"fix,omitempty"`
}

// Kernel is what a kernel can do, found by trying. See Prober.
type Kernel struct {
	XFRM      Outcome `json:"xfrm"` // NETLINK_XFRM itself
	ESP4      Outcome `json:"esp4"`
	ESP6      Outcome `json:"esp6"`
	Offload4  Outcome `json:"esp4_offload"`
	Offload6  Outcome `json:"esp6_offload"`
	Interface Outcome `json:"xfrm_interface"`
	// Algorithms by the kernel's name, those that were asked for.
	Algorithms map[string]Outcome `json:"algorithms"`
	// Accepts has what kernels disagree about, by the name that a rule's Probe
	// gives it: OK means that this kernel does not have the rule.
	Accepts map[string]Outcome `json:"accepts,omitempty"`
}

// Knows reports whether everything was found out, the algorithms included: only
// then may the answer be kept. A nil Kernel knows nothing.
func (k *Kernel) Knows(algorithms []string) bool {
	if k == nil {
		return false
	}
	for _, o := range []Outcome{k.XFRM, k.ESP4, k.ESP6, k.Offload4, k.Offload6, k.Interface} {
		if !o.Known {
			return false
		}
	}
	return !slices.ContainsFunc(algorithms, func(a string) bool { return !k.Algorithms[a].Known })
}

func (k *Kernel) esp(family string) Outcome {
	if family == "6" {
		return k.ESP6
	}
	return k.ESP4
}

func (k *Kernel) offload(family string) Outcome {
	if family == "6" {
		return k.Offload6
	}
	return k.Offload4
}
