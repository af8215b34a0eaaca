package offload

import (
	"fmt"

	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Clause is one clause of the kernel's test whether an SA may see a large
// packet whole, in the order of xfrm_dev_offload_ok (net/xfrm/xfrm_device.c).
// When one fails, the packet is cut first and each segment encrypted by itself.
type Clause struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Maybe bool   `json:"maybe,omitempty"` // it cannot be seen from outside
	Why   string `json:"why"`
	Fix   string `json:"fix,omitempty"`
}

// GSOQuestion is what SoftwareGSO needs to know of an outbound SA.
type GSOQuestion struct {
	SA *netlinkx.SA
	// Templates is the number of templates of the policy that uses the SA, 0
	// unknown: an SA in an SA is never given large packets.
	Templates int
	// Path is the device that ESP leaves through, nil unknown.
	Path *gsogro.State
}

// SoftwareGSO evaluates the test for segmentation in software. It is pure.
func SoftwareGSO(q *GSOQuestion, k *Kernel) []Clause {
	f := SAFacts(q.SA, Crypto, netlinkx.DirOut)
	return []Clause{
		moduleClause(f[FactFamily], k.offload(f[FactFamily])),
		encapClause(q.SA),
		nestClause(q.Templates),
		pathClause(q.Path),
		mtuClause(q.Path),
	}
}

func moduleClause(fam string, o Outcome) Clause {
	c := Clause{Name: "esp" + fam + "_offload", OK: o.OK, Maybe: !o.Known && !o.OK,
		Why: "the module is there; an SA that was added before it was loaded does without", Fix: o.Fix}
	switch {
	case !o.Known && !o.OK:
		c.Why = "whether the module is there could not be found out: " + o.Why
	case !o.OK:
		c.Why = "the module is not there: " + o.Why
	}
	return c
}

func encapClause(sa *netlinkx.SA) Clause {
	if sa.Encap == nil {
		return Clause{Name: "encapsulation", OK: true, Why: "plain ESP"}
	}
	return Clause{Name: "encapsulation", Why: fmt.Sprintf("%s: the kernel cuts packets before it encapsulates", sa.Encap.Type),
		Fix: "leave out encap where there is no NAT; the userspace engine segments behind UDP"}
}

func nestClause(templates int) Clause {
	switch {
	case templates == 0:
		return Clause{Name: "nesting", Maybe: true, Why: "no policy was found that uses the SA: with more than one template there is no segmentation"}
	case templates == 1:
		return Clause{Name: "nesting", OK: true, Why: "one SA for each packet"}
	}
	return Clause{Name: "nesting", Why: fmt.Sprintf("%d templates: an SA inside of another gets no large packets", templates), Fix: "use one template"}
}

func pathClause(s *gsogro.State) Clause {
	if s == nil {
		return Clause{Name: "device", Maybe: true, Why: "the device that ESP leaves through is not known"}
	}
	for _, name := range []string{gsogro.TxScatterGather, gsogro.TxGSO} {
		if !s.Features[name].Active {
			return Clause{Name: "device", Why: fmt.Sprintf("%s of %s is off", name, s.Link.Name), Fix: fmt.Sprintf("xfrmctl gro set %s %s on", s.Link.Name, name)}
		}
	}
	return Clause{Name: "device", OK: true, Why: s.Link.Name + " takes packets to be segmented"}
}

// mtuClause: segments must fit the path; only the packet shows whether they do.
func mtuClause(s *gsogro.State) Clause {
	if s == nil {
		return Clause{Name: "mtu", Maybe: true, Why: "the path's MTU is not known"}
	}
	return Clause{Name: "mtu", OK: true, Why: fmt.Sprintf("segments must fit an MTU of %d with ESP around them: give the XFRM interface `mtu auto`, or clamp the MSS", s.Link.MTU)}
}
