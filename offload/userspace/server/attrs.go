package server

import (
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Flags in an attribute's type.
const (
	nlaNested   = 0x8000
	nlaTypeMask = 0x3fff
)

// maxAttrs is above the highest attribute of every space here.
const maxAttrs = 64

// attrs are the attributes of a message by type. Of several of a type the last
// counts, and unknown ones are not there, as in the kernel.
type attrs struct {
	data   [maxAttrs][]byte // nil: absent
	offset [maxAttrs]int    // from the netlink header on
	// leftover: behind the last attribute are bytes that are none. The kernel
	// says so, but goes on.
	leftover bool
}

func (a *attrs) has(t netlinkx.AttrType) bool { return a.data[t] != nil }

// kind is the form that a policy demands of an attribute (NLA_*).
type kind uint8

const (
	unspecified kind = iota // at least so many bytes
	number                  // at least so many bytes; exactly, if strict
	flag                    // no bytes
)

// form is an entry of struct nla_policy.
type form struct {
	kind   kind
	length int
	lo, hi uint8 // range of a number of one byte; hi 0: any
}

// policy is what the attributes of a message must look like (nla_policy).
type policy struct {
	forms  []form // by type; types beyond are unknown
	strict netlinkx.AttrType
}

// Texts of lib/nlattr.c.
const (
	textPolicy   = "Attribute failed policy validation"
	textLength   = "invalid attribute length"
	textRange    = "integer out of range"
	textNested   = "NLA_F_NESTED not expected"
	textLeftover = "bytes leftover after parsing attributes"
	textHeader   = "Invalid header length"
)

// parse reads the attributes in b, which begins base bytes behind the netlink
// header's start, and checks them against the policy (__nla_validate_parse with
// liberal validation). The first that is wrong answers.
func (p *policy) parse(b []byte, base int) (a attrs, refused *netlinkx.Ack) {
	for len(b) >= sizeAttr {
		n := int(host.Uint16(b))
		if n < sizeAttr || n > len(b) {
			break
		}
		raw := host.Uint16(b[2:])
		t, data := netlinkx.AttrType(raw&nlaTypeMask), b[sizeAttr:n:n]
		if t != 0 && int(t) < len(p.forms) {
			if ack := p.check(t, raw, data); ack != nil {
				ack.Offset = base
				return a, ack
			}
			a.data[t], a.offset[t] = data, base
		}
		step := min(align4(n), len(b))
		b, base = b[step:], base+step
	}
	a.leftover = len(b) > 0
	return a, nil
}

// check is validate_nla for one attribute.
func (p *policy) check(t netlinkx.AttrType, raw uint16, data []byte) *netlinkx.Ack {
	f := p.forms[t]
	strict := p.strict != 0 && t >= p.strict
	if strict && f.kind == number && len(data) != f.length {
		return invalid(textLength)
	}
	if strict && f.kind != unspecified && raw&nlaNested != 0 {
		return invalid(textNested)
	}
	if f.kind == flag && len(data) > 0 || len(data) < f.length {
		return refuse(syscall.ERANGE, textPolicy)
	}
	if f.hi != 0 && (data[0] < f.lo || data[0] > f.hi) {
		return refuse(syscall.ERANGE, textRange)
	}
	return nil
}

// withText adds the remark about leftover bytes to a verdict without a text.
func (a *attrs) withText(ack *netlinkx.Ack) *netlinkx.Ack {
	if !a.leftover || ack != nil && ack.Text != "" {
		return ack
	}
	if ack == nil {
		ack = &netlinkx.Ack{}
	}
	ack.Text = textLeftover
	return ack
}
