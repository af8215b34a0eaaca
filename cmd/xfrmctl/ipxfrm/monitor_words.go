package ipxfrm

import "github.com/xfrmctl/xfrmctl/netlinkx"

// monitorCommands has one element: monitor has words, but no commands.
var monitorCommands = []command{
	{object: "monitor", help: "prints events until it is interrupted; without OBJECTS all of them",
		keywords: monitorKeywords, other: (*parser).monitorOther,
		start: func(p *parser) { p.out.Monitor = &MonitorSpec{} }},
}

// monitorKeywords are in the order in which ip compares, extensions last.
var monitorKeywords = []keyword{
	{name: "file", values: "PATH", abbrev: true, help: "decodes recorded messages instead", parse: func(p *parser) (err error) {
		p.out.Monitor.File, err = p.value("PATH")
		return err
	}},
	{name: "nokeys", help: "prints no keys, even with --show-keys", parse: func(p *parser) error {
		p.out.NoKeys = true
		return nil
	}},
	{name: "all", help: "changes nothing", parse: func(*parser) error { return nil }},
	{name: "all-nsid", abbrev: true, help: "events of all network namespaces that have an id in this one", parse: func(p *parser) error {
		p.out.Monitor.AllNSID = true
		return nil
	}},
	groupWord("acquire", "traffic that wants an SA", netlinkx.GroupAcquire, false),
	groupWord("expire", "limits that were reached", netlinkx.GroupExpire, false),
	groupWord("SA", "SAs that were added, updated, deleted or flushed", netlinkx.GroupSA, false),
	groupWord("aevent", "replay state and counters of SAs; costs an event for nearly every packet of slow traffic", netlinkx.GroupAEvents, false),
	groupWord("policy", "policies that were added, updated, deleted or flushed, and default actions", netlinkx.GroupPolicy, false),
	groupWord("report", "reports of Mobile IPv6", netlinkx.GroupReport, false),
	{name: "help", abbrev: true, help: "prints these words", parse: func(*parser) error { return errHelp }},
	groupWord("migrate", "SAs and policies that moved", netlinkx.GroupMigrate, true),
	groupWord("mapping", "peers whose NAT gave them another address or port", netlinkx.GroupMapping, true),
}

// errHelp stands for the usage, which a keyword cannot know.
var errHelp = &Error{Code: codeWords, Text: "help"}

// groupWord restricts a monitor to a group, and to others named so.
func groupWord(name, help string, g netlinkx.Group, ext bool) keyword {
	return keyword{name: name, help: help, ext: ext, abbrev: !ext, parse: func(p *parser) error {
		m := p.out.Monitor
		for _, have := range m.Groups {
			if have == g {
				return nil
			}
		}
		m.Groups = append(m.Groups, g)
		return nil
	}}
}

func (p *parser) monitorOther() error {
	w := p.peek()
	p.pos++
	e := p.fail(codeWords, "Argument \"%s\" is unknown, try \"xfrmctl monitor help\".", w)
	e.Suggest = Nearest(w, p.command.words())
	return e
}
