package offload

import (
	"fmt"
	"slices"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Rung is where an SA's cryptography runs.
type Rung string

// Rungs, from the best down.
const (
	RungPacket    Rung = "nic-packet"
	RungCrypto    Rung = "nic-crypto"
	RungSoftware  Rung = "kernel"
	RungUserspace Rung = "userspace"
	RungNone      Rung = "none"
)

// Want says what shall happen when the NIC does not take an SA.
type Want string

// Wants, words of `state add … offload WORD`.
const (
	Auto    Want = "auto"    // the best rung there is, without a device named even
	Prefer  Want = "prefer"  // that device, else the next rung, with a word about it
	Require Want = "require" // that device, else nothing
)

// NIC is a device at the end of a stack, where an SA may be put.
type NIC struct {
	Name   string `json:"name"`
	Driver string `json:"driver"`
	Slot   string `json:"slot,omitempty"` // on its bus: "0000:3b:00.0"
	// Via are the devices above it, the one that was named first; empty when it
	// was named itself.
	Via []string `json:"via,omitempty"`
	// Bond: it is reached through a bond, whose own name the SA takes.
	Bond bool `json:"bond,omitempty"`
	// HW: the device has callbacks for ESP at all, as far as its feature bits
	// tell: esp-hw-offload is known and on, or can be switched on.
	HW bool `json:"esp_hw"`
	// Blocked says what above it keeps SAs from it: of all stacked devices, bonds
	// alone pass them on.
	Blocked string `json:"blocked,omitempty"`
	HWState string `json:"esp_hw_state"`  // "on", "off", "off [fixed]" …
	Bus     string `json:"bus,omitempty"` // "pci"
	// Eswitch is what devlink tells of it, nil nothing. Inventory does not ask.
	Eswitch *Eswitch `json:"eswitch,omitempty"`
}

// Decision is the rung of one SA in one direction, and the way to it.
type Decision struct {
	Rung  Rung   `json:"rung"`
	NIC   string `json:"nic,omitempty"`
	Chain []Link `json:"chain"`
}

// FirstFailure returns the first link of a rung that failed, nil if none did.
func (d *Decision) FirstFailure(r Rung) *Link {
	i := slices.IndexFunc(d.Chain, func(l Link) bool { return l.Rung == r && !l.OK && !l.Maybe })
	if i < 0 {
		return nil
	}
	return &d.Chain[i]
}

// Question is what a decision is about.
type Question struct {
	SA  *netlinkx.SA
	Dir netlinkx.Dir
	// Types to consider, best first; nil: packet, crypto.
	Types []Type
	// NIC to put it on, nil: none was found or named.
	NIC *NIC
	// NoNIC says why NIC is nil.
	NoNIC string
	// Userspace: an engine is running.
	Userspace bool
}

// Decide finds the best rung for an SA. It is pure: the kernel's read-back of
// the SA, not this, proves that a NIC has taken it.
func Decide(q *Question, k *Kernel, packs map[string]*Pack) *Decision {
	d := &Decision{Rung: RungNone}
	types := q.Types
	if types == nil {
		types = []Type{Packet, Crypto}
	}
	for _, t := range types {
		if d.nic(q, k, packs, t) {
			return d
		}
	}
	if d.software(q, k) {
		d.Rung = RungSoftware
		return d
	}
	if q.Userspace {
		d.Chain = append(d.Chain, Link{Rung: RungUserspace, Part: "userspace", OK: true, Why: "the userspace engine is running"})
		d.Rung = RungUserspace
		return d
	}
	d.Chain = append(d.Chain, Link{Rung: RungUserspace, Part: "userspace", Why: "no userspace engine is running", Fix: "xfrmctl esp"})
	return d
}

func rungOf(t Type) Rung {
	if t == Packet {
		return RungPacket
	}
	return RungCrypto
}

// nic goes through the chain for one type of offload.
func (d *Decision) nic(q *Question, k *Kernel, packs map[string]*Pack, t Type) bool {
	r, f := rungOf(t), SAFacts(q.SA, t, q.Dir)
	if q.NIC != nil {
		q.NIC.Eswitch.add(f)
	}
	add := func(l Link) bool {
		l.Rung = r
		d.Chain = append(d.Chain, l)
		return l.OK || l.Maybe
	}
	fam := f[FactFamily]
	if !add(kernelLink(fmt.Sprintf("esp%s", fam), k.esp(fam))) || !add(kernelLink(fmt.Sprintf("esp%s_offload", fam), k.offload(fam))) {
		return false
	}
	if q.NIC == nil {
		return add(Link{Part: "device", Why: q.NoNIC, Fix: "name a device that offloads ESP: xfrmctl offload show"})
	}
	if !add(deviceLink(q.NIC)) {
		return false
	}
	pack := packs[q.NIC.Driver]
	if !add(driverLink(q.NIC.Driver, pack, t)) {
		return false
	}
	if pack == nil {
		pack = &Pack{}
	}
	for _, v := range append(packs[""].Check("sa", f), pack.Check("sa", f)...) {
		if v.Rule.Probe != "" && k.Accepts[v.Rule.Probe].OK {
			continue // tried: this kernel does not have the rule
		}
		if !add(ruleLink("sa", v)) {
			return false
		}
	}
	add(Link{Part: "sa", OK: true, Why: "no known rule refuses it"})
	d.Rung, d.NIC = r, q.NIC.Name
	return true
}

// DecidePolicy tells whether a NIC would take a policy, which there is packet
// offload for alone; noNIC says why nic is nil. It is pure.
func DecidePolicy(p *netlinkx.Policy, nic *NIC, noNIC string, packs map[string]*Pack) *Decision {
	d := &Decision{Rung: RungNone}
	add := func(l Link) bool {
		l.Rung = RungPacket
		d.Chain = append(d.Chain, l)
		return l.OK || l.Maybe
	}
	if nic == nil {
		add(Link{Part: "device", Why: noNIC, Fix: "name a device that offloads ESP: xfrmctl offload show"})
		return d
	}
	if !add(deviceLink(nic)) {
		return d
	}
	pack := packs[nic.Driver]
	switch {
	case pack == nil:
		add(Link{Part: "driver", Maybe: true, Why: fmt.Sprintf("nothing is known of driver %q: only the kernel's answer will tell", nic.Driver)})
		pack = &Pack{}
	case pack.Types[Packet] == "":
		add(Link{Part: "driver", Why: fmt.Sprintf("driver %s does no packet offload", nic.Driver), Fix: "keep the policy in software; its SAs may use crypto offload"})
		return d
	}
	f := PolicyFacts(p)
	for _, v := range append(packs[""].Check("policy", f), pack.Check("policy", f)...) {
		if !add(ruleLink("policy", v)) {
			return d
		}
	}
	add(Link{Part: "policy", OK: true, Why: "no known rule refuses it"})
	d.Rung, d.NIC = RungPacket, nic.Name
	return d
}

// software asks whether the kernel itself can do the SA.
func (d *Decision) software(q *Question, k *Kernel) bool {
	f := SAFacts(q.SA, Crypto, q.Dir)
	links := []Link{kernelLink("esp"+f[FactFamily], k.esp(f[FactFamily]))}
	for _, fact := range []string{FactAEAD, FactCrypt, FactAuth} {
		if o, asked := k.Algorithms[f[fact]]; asked {
			links = append(links, kernelLink(f[fact], o))
		}
	}
	ok := true
	for _, l := range links {
		l.Rung = RungSoftware
		d.Chain = append(d.Chain, l)
		ok = ok && (l.OK || l.Maybe)
	}
	return ok
}
