package ipxfrm

import (
	"slices"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// policyCommands are those of `policy`, in the order in which ip compares.
var policyCommands = []command{
	{object: "policy", names: []string{"add"}, needs: "[ SELECTOR ] dir POLICY-DIR", help: "adds a policy; the kernel refuses one with the same selector, direction, type, mark and if_id as another",
		keywords: policyKeywords, other: (*parser).policyOther, otherWords: selectorWords, start: startPolicy, finish: (*parser).finishPolicy},
	{object: "policy", names: []string{"update"}, needs: "[ SELECTOR ] dir POLICY-DIR", help: "adds a policy, or replaces the one like it",
		keywords: policyKeywords, other: (*parser).policyOther, otherWords: selectorWords, start: startPolicy, finish: (*parser).finishPolicy},
	{object: "policy", names: []string{"delete"}, needs: "{ SELECTOR | index INDEX } dir POLICY-DIR", help: "deletes a policy; by index is much cheaper",
		keywords: policyIDKeywords, other: (*parser).policyIDOther, otherWords: selectorWords, finish: (*parser).finishPolicyID},
	{object: "policy", names: []string{"deleteall", "delall"}, needs: "[ SELECTOR ]", help: "deletes the policies that match, but no per-socket policies",
		keywords: policyFilterKeywords, other: (*parser).policyFilterOther, otherWords: selectorWords, start: startPolicyFilter},
	{object: "policy", names: []string{"list", "show", "lst"}, needs: "[ SELECTOR ]", help: "lists the policies that match",
		keywords: policyFilterKeywords, other: (*parser).policyFilterOther, otherWords: selectorWords, start: startPolicyFilter},
	{object: "policy", names: []string{"get"}, needs: "{ SELECTOR | index INDEX } dir POLICY-DIR", help: "prints a policy",
		keywords: policyIDKeywords, other: (*parser).policyIDOther, otherWords: selectorWords, finish: (*parser).finishPolicyID},
	{object: "policy", names: []string{"flush"}, help: "deletes all policies of a type, also those of other programs, but no per-socket policies",
		keywords: []keyword{{name: "ptype", values: "PTYPE", help: "main is the default", parse: (*parser).flushType}}},
	{object: "policy", names: []string{"count"}, help: "prints the number of policies; with -s -s also the hash thresholds", anything: true},
	{object: "policy", names: []string{"set"}, help: "sets the prefix lengths from which on policies are hashed",
		keywords: []keyword{
			{name: "hthresh4", values: "BITS BITS", help: "IPv4: local, remote; at most 32", parse: func(p *parser) error {
				return p.hashThreshold("hthresh4", 32, &p.out.SPDInfo.IPv4)
			}},
			{name: "hthresh6", values: "BITS BITS", help: "IPv6: local, remote; at most 128", parse: func(p *parser) error {
				return p.hashThreshold("hthresh6", 128, &p.out.SPDInfo.IPv6)
			}},
		}, start: func(p *parser) { p.out.SPDInfo = &netlinkx.SPDInfo{} }},
	{object: "policy", names: []string{"setdefault"}, help: "sets what happens to traffic without a policy",
		keywords: []keyword{
			defaultKeyword("in", "received traffic", func(d *netlinkx.Defaults) *netlinkx.DefaultAction { return &d.In }),
			defaultKeyword("fwd", "forwarded traffic", func(d *netlinkx.Defaults) *netlinkx.DefaultAction { return &d.Fwd }),
			defaultKeyword("out", "sent traffic", func(d *netlinkx.Defaults) *netlinkx.DefaultAction { return &d.Out }),
		}, other: (*parser).unknownDirection, start: func(p *parser) { p.out.Defaults = &netlinkx.Defaults{} }},
	{object: "policy", names: []string{"getdefault"}, help: "prints what happens to traffic without a policy", anything: true},
	{object: "policy", names: []string{"help"}, help: "prints these words"},
	{object: "policy", names: []string{"migrate"}, ext: true, needs: "SELECTOR dir POLICY-DIR", help: "moves a policy's templates and their SAs to other addresses",
		keywords: migrateKeywords, other: (*parser).migrateOther, otherWords: selectorWords, start: startMigrate, finish: (*parser).finishMigrate},
}

// Keywords that several commands share.
var (
	policyDirWord = keyword{name: "dir", values: "POLICY-DIR", help: "direction; must be given", parse: func(p *parser) error {
		if err := p.once("dir"); err != nil {
			return err
		}
		v, err := p.choice("POLICY-DIR", "DIR value is invalid")
		p.policy.dir = netlinkx.PolicyDir(v)
		return err
	}}
	policyCtxWord   = keyword{name: "ctx", values: "CTX", help: "security context", parse: (*parser).secCtx}
	policyTypeWord  = keyword{name: "ptype", values: "PTYPE", help: "main is the default", parse: (*parser).policyType}
	policyIndexHelp = "the kernel's number; 0, the default, lets it choose"
)

// policyKeywords are those of add and update, less the selector.
var policyKeywords = []keyword{
	policyDirWord, policyCtxWord, markWord,
	{name: "index", values: "INDEX", help: policyIndexHelp, parse: func(p *parser) error {
		return p.into32(&p.out.Policy.Index, "INDEX", "INDEX value is invalid")
	}},
	policyTypeWord,
	{name: "action", values: "ACTION", help: "allow, the default, passes traffic in clear if there are no templates", parse: func(p *parser) error {
		v, err := p.choice("ACTION", "ACTION value is invalid\n")
		p.out.Policy.Action = netlinkx.Action(v)
		return err
	}},
	{name: "priority", values: "PRIORITY", help: "the lowest comes first; 0 by default", parse: func(p *parser) error {
		return p.into32(&p.out.Policy.Priority, "PRIORITY", "PRIORITY value is invalid")
	}},
	{name: "flag", values: "POLICY-FLAG-LIST", help: "flags of the policy", parse: func(p *parser) error {
		v, err := p.flags("POLICY-FLAG", "FLAG value is invalid", uint32(p.out.Policy.Flags), 0xff)
		p.out.Policy.Flags = netlinkx.PolicyFlags(v)
		return err
	}},
	ifIDWord(false, "IF_ID value is invalid"),
	limitWord,
	{name: "tmpl", values: "TMPL", help: "the SA that traffic needs; may be repeated, the innermost first", parse: (*parser).parseTemplate},
	{name: "offload", values: "packet dev DEV", help: "has the device apply the policy", parse: (*parser).policyOffload},
}

// templateKeywords are those of a TMPL besides its ID.
var templateKeywords = []keyword{
	{name: "mode", values: "MODE", help: "transport is the default", parse: func(p *parser) error {
		v, err := p.choice("MODE", "MODE value is invalid")
		p.template.Mode = netlinkx.Mode(v)
		return err
	}},
	{name: "reqid", values: "REQID", help: "only SAs with this reqid; 0: any", parse: func(p *parser) error {
		return p.into32(&p.template.ReqID, "REQID", "REQID value is invalid")
	}},
	{name: "level", values: "LEVEL", help: "required, the default, or use: not if there is no SA", parse: func(p *parser) error {
		v, err := p.choice("LEVEL", "LEVEL value is invalid\n")
		p.template.Optional = v != 0
		return err
	}},
	{name: "share", values: "SHARE", ext: true, help: "kept by the kernel and not used", parse: func(p *parser) error {
		v, err := p.choice("SHARE", "SHARE value is invalid")
		p.template.Share = uint8(v)
		return err
	}},
	{name: "enc-mask", values: "MASK32", ext: true, help: "ciphers that an SA may have; all by default", parse: func(p *parser) error {
		return p.into32(&p.template.EAlgos, "MASK32", "value after \"enc-mask\" is invalid")
	}},
	{name: "auth-mask", values: "MASK32", ext: true, help: "hashes that an SA may have; all by default", parse: func(p *parser) error {
		return p.into32(&p.template.AAlgos, "MASK32", "value after \"auth-mask\" is invalid")
	}},
	{name: "comp-mask", values: "MASK32", ext: true, help: "compressions that an SA may have; all by default", parse: func(p *parser) error {
		return p.into32(&p.template.CAlgos, "MASK32", "value after \"comp-mask\" is invalid")
	}},
}

// policyIDKeywords are those of get and delete, less the selector.
var policyIDKeywords = []keyword{
	policyDirWord, policyCtxWord, markWord,
	{name: "index", values: "INDEX", help: "the kernel's number, in place of a selector", parse: func(p *parser) error {
		if err := p.once("index"); err != nil {
			return err
		}
		return p.into32(&p.out.PolicyID.Index, "INDEX", "INDEX value is invalid")
	}},
	policyTypeWord,
	ifIDWord(false, "IF_ID value is invalid"),
}

func defaultKeyword(name, help string, field func(*netlinkx.Defaults) *netlinkx.DefaultAction) keyword {
	return keyword{name: name, values: "DEFAULT", help: help, parse: func(p *parser) error {
		if err := p.once(name); err != nil {
			return err
		}
		v, err := p.choice("DEFAULT", name+" policy value is invalid")
		*field(p.out.Defaults) = netlinkx.DefaultAction(v)
		return err
	}}
}

// migrateKeywords are those of migrate, less the selector.
var migrateKeywords = slices.Concat([]keyword{policyDirWord, policyTypeWord, ifIDWord(true, "IF_ID value is invalid")}, []keyword{
	{name: "from", values: "ID [ mode MODE ] [ reqid REQID ] to src ADDR dst ADDR", ext: true, help: "a template and its SAs as they are, and their new addresses; may be repeated", parse: (*parser).migrateEntry},
	{name: "kmaddress", values: "local ADDR remote ADDR", ext: true, help: "the key managers' own addresses, for other key managers", parse: (*parser).kmAddress},
	{name: "encap", values: "ENCAP-TYPE PORT PORT OADDR", ext: true, help: "encapsulation on the new path", parse: (*parser).encap},
	{name: "offload", values: "[ crypto | packet ] dev DEV dir DIR", ext: true, help: "offload on the new path", parse: (*parser).saOffload},
})
