package ipxfrm

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func template(change func(t *netlinkx.Template)) netlinkx.Template {
	t := netlinkx.NewTemplate()
	t.Proto = netlinkx.ProtoESP
	change(&t)
	return t
}

func TestParsePolicy(t *testing.T) {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	const all = 1<<32 - 1
	for words, change := range map[string]func(p *netlinkx.Policy){
		"dir in":                               func(*netlinkx.Policy) {},
		"dir out":                              func(p *netlinkx.Policy) { p.Dir = netlinkx.PolicyOut },
		"dir fwd dev lo":                       func(p *netlinkx.Policy) { p.Dir, p.Selector.IfIndex = netlinkx.PolicyFwd, 1 },
		"dir in dev none":                      func(*netlinkx.Policy) {},
		"dir in action block":                  func(p *netlinkx.Policy) { p.Action = netlinkx.ActionBlock },
		"dir in priority 5":                    func(p *netlinkx.Policy) { p.Priority = 5 },
		"dir in index 8 index 16":              func(p *netlinkx.Policy) { p.Index = 16 },
		"dir in ptype main":                    func(p *netlinkx.Policy) { p.Type = netlinkx.Some(netlinkx.PolicyMain) },
		"dir in ptype sub":                     func(p *netlinkx.Policy) { p.Type = netlinkx.Some(netlinkx.PolicySub) },
		"dir in flag localok icmp cpu-acquire": func(p *netlinkx.Policy) { p.Flags = 7 },
		"dir in flag 0xf0":                     func(p *netlinkx.Policy) { p.Flags = 0xf0 },
		"dir in mark 0 mask 0xff":              func(p *netlinkx.Policy) { p.Mark = netlinkx.Mark{Mask: 0xff} },
		"dir in mark 1":                        func(p *netlinkx.Policy) { p.Mark = netlinkx.Mark{Value: 1, Mask: all} },
		"dir in if_id 7":                       func(p *netlinkx.Policy) { p.IfID = 7 },
		"dir in ctx a:b":                       func(p *netlinkx.Policy) { p.SecCtx = &netlinkx.SecCtx{DOI: 1, Alg: 1, Context: "a:b"} },
		"dir in limit packet-hard 3":           func(p *netlinkx.Policy) { p.Limits.HardPackets = 3 },
		"dir in offload packet dev lo":         func(p *netlinkx.Policy) { p.Offload = &netlinkx.Offload{IfIndex: 1, Flags: netlinkx.OffloadPacket} },
		"src 1.2.3.4/24 dst 10.0.0.0/8 proto 6 dport 80 dir in": func(p *netlinkx.Policy) {
			p.Selector.Src, p.Selector.Dst, p.Selector.Proto = prefix("1.2.3.4/24"), prefix("10.0.0.0/8"), 6
			p.Selector.DstPort = netlinkx.PortMatch{Port: 80, Mask: 0xffff}
		},
		"proto any dst fd00::/8 dir in": func(p *netlinkx.Policy) {
			p.Selector.Family, p.Selector.Dst = netlinkx.FamilyIPv6, prefix("fd00::/8")
		},
		"dir in tmpl proto esp": func(p *netlinkx.Policy) {
			p.Templates = []netlinkx.Template{template(func(*netlinkx.Template) {})}
		},
		"dir in tmpl reqid 3 mode tunnel": func(p *netlinkx.Policy) {
			p.Templates = []netlinkx.Template{template(func(m *netlinkx.Template) { m.Proto, m.ReqID, m.Mode = 0, 3, netlinkx.ModeTunnel })}
		},
		"src fd00::/8 dir in tmpl proto esp level use": func(p *netlinkx.Policy) {
			p.Selector.Family, p.Selector.Src = netlinkx.FamilyIPv6, prefix("fd00::/8")
			p.Templates = []netlinkx.Template{template(func(m *netlinkx.Template) { m.Family, m.Optional = netlinkx.FamilyIPv6, true })}
		},
		"src 10.0.0.0/8 dir in tmpl mode tunnel src fd00::1 dst fd00::2 proto ah spi 5 level required tmpl reqid 2 proto esp": func(p *netlinkx.Policy) {
			p.Selector.Src = prefix("10.0.0.0/8")
			p.Templates = []netlinkx.Template{
				template(func(m *netlinkx.Template) {
					m.Mode, m.Src, m.Dst, m.Proto, m.SPI, m.Family = netlinkx.ModeTunnel, addr("fd00::1"), addr("fd00::2"), netlinkx.ProtoAH, 5, netlinkx.FamilyIPv6
				}),
				template(func(m *netlinkx.Template) { m.ReqID, m.Family = 2, netlinkx.FamilyIPv6 }),
			}
		},
		"dir in tmpl proto esp share unique enc-mask 1 auth-mask 2 comp-mask 4": func(p *netlinkx.Policy) {
			p.Templates = []netlinkx.Template{template(func(m *netlinkx.Template) { m.Share, m.EAlgos, m.AAlgos, m.CAlgos = 3, 1, 2, 4 })}
		},
	} {
		want := netlinkx.NewPolicy()
		want.Selector.Family = netlinkx.FamilyIPv4
		change(want)
		if diff := cmp.Diff(want, mustParse(t, "policy add "+words).Policy, sameValues); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", words, diff)
		}
	}
}

func TestParsePolicyTemplates(t *testing.T) {
	line := "policy update dir out" + strings.Repeat(" tmpl proto esp", 16)
	if n := len(mustParse(t, line).Policy.Templates); n != 16 {
		t.Errorf("got %d templates", n)
	}
	_, err := parseLine(line+" tmpl proto esp", nil)
	var e *Error
	if !errors.As(err, &e) || e.Code != 1 || e.Text != "Too many tmpls: buffer overflow" {
		t.Errorf("17 templates: %v", err)
	}
}

// An ID with -6 takes the family for itself, a policy's does not.
func TestParseFamilyOfIDs(t *testing.T) {
	six := testContext()
	six.Family = netlinkx.FamilyIPv6
	cmd, err := parseLine("state delete proto esp spi 1", six)
	if err != nil || cmd.SAID.Family != netlinkx.FamilyIPv6 {
		t.Errorf("state: %+v, %v", cmd, err)
	}
	cmd, err = parseLine("policy delete index 9 dir out", six)
	if err != nil || cmd.PolicyID.Selector.Family != netlinkx.FamilyIPv4 {
		t.Errorf("policy: %+v, %v", cmd, err)
	}
	cmd, err = parseLine("policy add dir out", six)
	if err != nil || cmd.Policy.Selector.Family != netlinkx.FamilyIPv6 {
		t.Errorf("policy add: %+v, %v", cmd, err)
	}
}

// Marks of requests that look something up are left out when no bit counts.
func TestParseIDs(t *testing.T) {
	want := netlinkx.SAID{Dst: netip.MustParseAddr("10.0.0.2"), Proto: netlinkx.ProtoESP, SPI: 1, Family: netlinkx.FamilyIPv4}
	for _, line := range []string{
		"state get dst 10.0.0.2 proto esp spi 1",
		"state d proto esp dst 10.0.0.2 spi 1 mark 0 mask 0xff",
		"state delete proto esp dst 10.0.0.2/9 spi 1 mark 1 mask 2",
	} {
		if got := mustParse(t, line).SAID; got != want {
			t.Errorf("%s: got %+v", line, got)
		}
	}
	id := mustParse(t, "policy get src 10.0.0.0/8 dir fwd ptype sub if_id 3 mark 5 mask 4").PolicyID
	wantID := netlinkx.PolicyID{Dir: netlinkx.PolicyFwd, Type: netlinkx.Some(netlinkx.PolicySub), IfID: 3, Mark: netlinkx.Mark{Value: 5, Mask: 4},
		Selector: netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.0.0.0/8")}}
	if diff := cmp.Diff(wantID, id, sameValues); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseAllocSPI(t *testing.T) {
	for words, want := range map[string]netlinkx.SPIRange{
		"proto esp":                 {Min: 0x100, Max: 0x0fffffff, SA: netlinkx.SA{Proto: netlinkx.ProtoESP}},
		"proto comp":                {Min: 0x100, Max: 0xffff, SA: netlinkx.SA{Proto: netlinkx.ProtoComp}},
		"proto ah min 1 max 1":      {Min: 1, Max: 1, SA: netlinkx.SA{Proto: netlinkx.ProtoAH}},
		"proto esp if_id 5 reqid 2": {Min: 0x100, Max: 0x0fffffff, SA: netlinkx.SA{Proto: netlinkx.ProtoESP, IfID: 5, ReqID: 2}},
		"proto esp mark 0 dir in pcpu-num 1 seq 0": {Min: 0x100, Max: 0x0fffffff,
			SA: netlinkx.SA{Proto: netlinkx.ProtoESP, Dir: netlinkx.DirIn, PCPU: netlinkx.Some[uint32](1)}},
	} {
		want.SA.Family = netlinkx.FamilyIPv4
		if diff := cmp.Diff(&want, mustParse(t, "state allocspi "+words).Range, sameValues); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", words, diff)
		}
	}
}

func TestParseVerbs(t *testing.T) {
	for line, want := range map[string]string{
		"state": "state list", "s": "state list", "sa": "state list", "p": "policy list",
		"s a proto esp enc a b": "state add", "s al proto esp": "state allocspi",
		"s d": "state delete", "s delete": "state delete", "s deletea": "state deleteall", "s dela": "state deleteall", "s delall": "state deleteall",
		"s s": "state list", "s ls": "state list", "s li": "state list", "s g": "state get", "s f": "state flush", "s c x y": "state count",
		"p s": "policy list", "p sh": "policy list", "p se": "policy set", "p set": "policy set", "p setd": "policy setdefault",
		"p g dir in index 1": "policy get", "p getd x": "policy getdefault", "p c x": "policy count",
		"state ae get proto esp": "state ae get", "state ae set proto esp bytes 1": "state ae set",
		"m": "monitor ",
	} {
		if cmd := mustParse(t, line); cmd.Object+" "+cmd.Verb != want {
			t.Errorf("%s: got %s %s, want %s", line, cmd.Object, cmd.Verb, want)
		}
	}
}

// Extensions are not abbreviated: nothing that ip may come to know is taken.
func TestParseExtensionsAreSpelledOut(t *testing.T) {
	for _, line := range []string{
		"state migr proto esp new-dst 10.0.0.1", "state ae g proto esp", "policy m", "state add proto esp enc a b mode ipt",
		"monitor mi", "monitor mapp", "state add proto esp enc a b nat-keep 3",
	} {
		if cmd, err := parseLine(line, nil); err == nil {
			t.Errorf("%s: parsed as %s %s", line, cmd.Object, cmd.Verb)
		}
	}
}

func TestParseMonitor(t *testing.T) {
	for words, want := range map[string]MonitorSpec{
		"":                       {},
		"all nokeys":             {},
		"a":                      {AllNSID: true},
		"al all":                 {AllNSID: true},
		"ac":                     {Groups: []netlinkx.Group{netlinkx.GroupAcquire}},
		"S ae p r e":             {Groups: []netlinkx.Group{netlinkx.GroupSA, netlinkx.GroupAEvents, netlinkx.GroupPolicy, netlinkx.GroupReport, netlinkx.GroupExpire}},
		"SA SA":                  {Groups: []netlinkx.Group{netlinkx.GroupSA}},
		"all migrate mapping":    {Groups: []netlinkx.Group{netlinkx.GroupMigrate, netlinkx.GroupMapping}},
		"f one file two acquire": {File: "two", Groups: []netlinkx.Group{netlinkx.GroupAcquire}},
	} {
		cmd := mustParse(t, strings.TrimSpace("monitor "+words))
		if diff := cmp.Diff(&want, cmd.Monitor); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", words, diff)
		}
		if cmd.NoKeys != strings.Contains(words, "nokeys") {
			t.Errorf("%q: nokeys %v", words, cmd.NoKeys)
		}
	}
}

func TestParseSettings(t *testing.T) {
	cmd := mustParse(t, "policy set hthresh6 64 0 hthresh4 24 16")
	want := &netlinkx.SPDInfo{IPv4: netlinkx.Some(netlinkx.HashThreshold{Local: 24, Remote: 16}), IPv6: netlinkx.Some(netlinkx.HashThreshold{Local: 64})}
	if diff := cmp.Diff(want, cmd.SPDInfo); diff != "" {
		t.Error(diff)
	}
	if got := *mustParse(t, "policy setdefault fwd allow in block").Defaults; got != (netlinkx.Defaults{In: netlinkx.DefaultBlock, Fwd: netlinkx.DefaultAccept}) {
		t.Errorf("got %+v", got)
	}
	if got := mustParse(t, "state flush proto ipsec-any").FlushProto; got != netlinkx.ProtoIPsecAny {
		t.Errorf("got %v", got)
	}
	if got := mustParse(t, "policy flush").FlushType; got.Valid {
		t.Errorf("got %v", got)
	}
}
