package ipxfrm

import (
	"slices"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// stateCommands are those of `state`, in the order in which ip compares.
var stateCommands = []command{
	{object: "state", names: []string{"add"}, needs: "ID", help: "adds an SA; the kernel refuses one that has the same ID and mark as another",
		keywords: saKeywords, other: (*parser).saOther, otherWords: idOrAlgoWords, start: startSA, finish: (*parser).finishSA},
	{object: "state", names: []string{"update"}, needs: "ID", help: "completes an SA that allocspi made; of an installed SA it changes limits, output-mark, if_id, the ports of encap and coa, and silently nothing else",
		keywords: saKeywords, other: (*parser).saOther, otherWords: idOrAlgoWords, start: startSA, finish: (*parser).finishSA},
	{object: "state", names: []string{"allocspi"}, needs: "ID", help: "reserves an SPI for 30 seconds and prints it; update makes an SA of it",
		keywords: allocKeywords, other: (*parser).allocOther, otherWords: idWordList, start: startAlloc, finish: (*parser).finishAlloc},
	{object: "state", names: []string{"delete"}, needs: "ID", help: "deletes an SA",
		keywords: saIDKeywords, other: (*parser).saIDOther, otherWords: idWordList, start: startSAID, finish: (*parser).finishSAID},
	{object: "state", names: []string{"deleteall", "delall"}, needs: "[ ID ]", help: "deletes the SAs that match",
		keywords: stateFilterKeywords, other: (*parser).stateFilterOther, otherWords: idWordList, start: startStateFilter},
	{object: "state", names: []string{"list", "show", "lst"}, needs: "[ ID ]", help: "lists the SAs that match",
		keywords: stateFilterKeywords, other: (*parser).stateFilterOther, otherWords: idWordList, start: startStateFilter},
	{object: "state", names: []string{"get"}, needs: "ID", help: "prints an SA",
		keywords: saIDKeywords, other: (*parser).saIDOther, otherWords: idWordList, start: startSAID, finish: (*parser).finishSAID},
	{object: "state", names: []string{"flush"}, help: "deletes all SAs, also those of other programs",
		keywords: []keyword{{name: "proto", values: "XFRM-PROTO", help: "only these SAs; ipsec-any is esp, ah and comp", parse: func(p *parser) error {
			if err := p.once("proto"); err != nil {
				return err
			}
			v, err := p.choice("XFRM-PROTO", "XFRM-PROTO value is invalid")
			p.out.FlushProto = netlinkx.Proto(v)
			return err
		}}}},
	{object: "state", names: []string{"count"}, help: "prints the number of SAs", anything: true},
	{object: "state", names: []string{"help"}, help: "prints these words"},
	{object: "state", names: []string{"migrate"}, ext: true, needs: "ID", help: "moves an SA to other addresses (Linux 7.2); what is not named stays as it is",
		keywords: migrateStateKeywords, other: (*parser).migrateStateOther, otherWords: idWordList, start: startMigrateState, finish: (*parser).finishMigrateState},
	{object: "state", names: []string{"ae get"}, ext: true, needs: "ID", help: "prints the replay state, counters and thresholds of an SA",
		keywords: aeIDKeywords, other: (*parser).aeOther, otherWords: idWordList, finish: (*parser).finishGetAE},
	{object: "state", names: []string{"ae set"}, ext: true, needs: "ID", help: "sets the replay state, counters and thresholds of an SA",
		keywords: slices.Concat(aeIDKeywords, aeKeywords), other: (*parser).aeOther, otherWords: idWordList, start: startSetAE, finish: (*parser).finishSetAE},
}

func idWordList() []keyword { return idKeywords }

func idOrAlgoWords() []keyword { return slices.Concat(idKeywords, algoKeywords) }

// Keywords that several commands share.
var (
	modeWord = keyword{name: "mode", values: "MODE", help: "transport is the default", parse: func(p *parser) error {
		v, err := p.choice("MODE", "MODE value is invalid")
		p.state.mode = netlinkx.Mode(v)
		return err
	}}
	markWord = keyword{name: "mark", values: "MARK [ mask MASK ]", help: "matched when the SA or policy is looked up; the mask is all-ones by default, and with mask 0 there is no mark", parse: func(p *parser) error {
		return p.mark(&p.state.mark)
	}}
	reqIDWord = keyword{name: "reqid", values: "REQID", help: "ties SAs to templates", parse: func(p *parser) error {
		return p.into32(&p.state.reqID, "REQID", "REQID value is invalid")
	}}
	seqWord = keyword{name: "seq", values: "SEQ", help: "that of the acquire which is answered; taken in network byte order", parse: (*parser).seqWord}
	dirWord = keyword{name: "dir", values: "DIR", help: "direction; also sets that of offload", parse: func(p *parser) error {
		return p.saDir()
	}}
	pcpuWord = keyword{name: "pcpu-num", values: "CPU", help: "the CPU that the SA serves", parse: func(p *parser) error {
		v, err := p.number32("CPU", "value after \"pcpu-num\" is invalid")
		p.state.pcpu = netlinkx.Opt[uint32]{}
		if v != noCPU {
			p.state.pcpu = netlinkx.Some(v)
		}
		return err
	}}
	outputMarkWord = keyword{name: "output-mark", values: "MARK [ mask MASK ]", help: "set on packets after they were transformed; 0 sets none", parse: (*parser).outputMark}
	encapWord      = keyword{name: "encap", values: "ENCAP-TYPE PORT PORT OADDR", help: "encapsulation in UDP or TCP: source port, destination port, original address", parse: (*parser).encap}
	mappingWord    = keyword{name: "mapping-thresh", values: "SECONDS", ext: true, help: "least time between events about a changed NAT mapping", parse: func(p *parser) error {
		return p.opt32(&p.state.mapping, "SECONDS", "value after \"mapping-thresh\" is invalid")
	}}
	keepaliveWord = keyword{name: "nat-keepalive", values: "SECONDS", ext: true, help: "time between NAT keepalives; needs encap and dir out", parse: func(p *parser) error {
		return p.opt32(&p.state.keepalive, "SECONDS", "value after \"nat-keepalive\" is invalid")
	}}
	replayThreshWord = keyword{name: "replay-thresh", values: "COUNT", ext: true, help: "packets between aevents", parse: func(p *parser) error {
		return p.opt32(&p.state.replayThresh, "COUNT", "value after \"replay-thresh\" is invalid")
	}}
	etimerThreshWord = keyword{name: "etimer-thresh", values: "TICKS", ext: true, help: "time between aevents", parse: func(p *parser) error {
		return p.opt32(&p.state.etimerThresh, "TICKS", "value after \"etimer-thresh\" is invalid")
	}}
)

// noCPU is the number that means no CPU.
const noCPU = 1<<32 - 1

// ifIDWord reads an if_id with the message that the command has for it.
func ifIDWord(ext bool, msg string) keyword {
	return keyword{name: "if_id", values: "IF_ID", ext: ext, help: "the XFRM interface's number", parse: func(p *parser) error {
		p.state.hasIfID = true
		return p.into32(&p.state.ifID, "IF_ID", msg)
	}}
}

// saKeywords are those of add and update, less ID and algorithms.
var saKeywords = slices.Concat([]keyword{
	modeWord, markWord, reqIDWord, dirWord, seqWord,
	{name: "replay-window", values: "SIZE", help: "anti-replay window; 0, the default, is no protection", parse: func(p *parser) error {
		p.state.hasWindow = true
		return p.into32(&p.state.window, "SIZE", "value after \"replay-window\" is invalid")
	}},
}, replayKeywords, []keyword{
	{name: "flag", values: "FLAG-LIST", help: "flags of the SA", parse: func(p *parser) (err error) {
		p.state.flags, err = p.flags("FLAG", "FLAG value is invalid", p.state.flags, 0xff)
		return err
	}},
	{name: "sel", values: "SELECTOR", help: "traffic that the SA is for", parse: (*parser).saSelector},
	limitWord,
	encapWord,
	{name: "coa", values: "ADDR[/PLEN]", help: "care-of address of route2 and hao", parse: (*parser).careOf},
	{name: "ctx", values: "CTX", help: "security context", parse: (*parser).secCtx},
	{name: "extra-flag", values: "EXTRA-FLAG-LIST", help: "more flags", parse: func(p *parser) (err error) {
		p.state.extraFlags, err = p.flags("EXTRA-FLAG", "\"EXTRA-FLAG\" is invalid", p.state.extraFlags, 1<<32-1)
		return err
	}},
	{name: "offload", values: "[ WISH ] [ crypto | packet ] dev DEV dir DIR", help: "asks the device to do the cryptography, or all of the work; auto (which needs no dev) and prefer take the next best with a word, require refuses", parse: (*parser).saOffloadWish},
	outputMarkWord,
	ifIDWord(false, "value after \"if_id\" is invalid"),
	{name: "tfcpad", values: "BYTES", help: "length that tunnel packets are padded to", parse: func(p *parser) error {
		return p.into32(&p.out.SA.TFCPad, "BYTES", "value after \"tfcpad\" is invalid")
	}},
	pcpuWord,
	{name: "iptfs", values: "IPTFS-LIST", ext: true, help: "parameters of mode iptfs", parse: (*parser).iptfsList},
	keepaliveWord, mappingWord, replayThreshWord, etimerThreshWord,
})

// replayKeywords are the counters that an SA starts with.
var replayKeywords = []keyword{
	{name: "replay-seq", values: "SEQ", help: "last sequence number received", parse: func(p *parser) error {
		return p.into32(&p.state.replay.Seq, "SEQ", "value after \"replay-seq\" is invalid")
	}},
	{name: "replay-oseq", values: "SEQ", help: "last sequence number sent", parse: func(p *parser) error {
		return p.into32(&p.state.replay.OSeq, "SEQ", "value after \"replay-oseq\" is invalid")
	}},
	{name: "replay-seq-hi", values: "SEQ", help: "its upper half, with esn or a window above 32", parse: func(p *parser) error {
		p.ae.large = true
		return p.into32(&p.state.replay.SeqHi, "SEQ", "value after \"replay-seq-hi\" is invalid")
	}},
	{name: "replay-oseq-hi", values: "SEQ", help: "its upper half, with esn or a window above 32", parse: func(p *parser) error {
		p.ae.large = true
		return p.into32(&p.state.replay.OSeqHi, "SEQ", "value after \"replay-oseq-hi\" is invalid")
	}},
}

// algoKeywords begin an ALGO of add and update.
var algoKeywords = []keyword{
	{name: "enc", values: "ALGO-NAME ALGO-KEYMAT", help: "encryption", parse: (*parser).encAlgo},
	{name: "auth", values: "ALGO-NAME ALGO-KEYMAT", help: "integrity, cut to the kernel's default length: 96 bits for hmac(sha256)", parse: (*parser).authAlgo},
	{name: "auth-trunc", values: "ALGO-NAME ALGO-KEYMAT ALGO-TRUNC-LEN", help: "integrity of a given length", parse: (*parser).authTruncAlgo},
	{name: "aead", values: "ALGO-NAME ALGO-KEYMAT ALGO-ICV-LEN", help: "encryption and integrity in one", parse: (*parser).aeadAlgo},
	{name: "comp", values: "ALGO-NAME", help: "compression", parse: (*parser).compAlgo},
}

// iptfsKeywords are the parameters of IP-TFS; each applies to one direction.
var iptfsKeywords = []keyword{
	{name: "drop-time", values: "USEC", ext: true, help: "in: time that a missing packet is waited for", parse: func(p *parser) error {
		return p.opt32(&p.iptfs.DropTime, "USEC", "value after \"drop-time\" is invalid")
	}},
	{name: "reorder-window", values: "COUNT", ext: true, help: "in: packets that may come out of order, at most 65535", parse: (*parser).reorderWindow},
	{name: "dont-frag", ext: true, help: "out: do not split inner packets over outer ones", parse: func(p *parser) error {
		p.iptfs.DontFrag = true
		return nil
	}},
	{name: "init-delay", values: "USEC", ext: true, help: "out: time that a first packet waits for company", parse: func(p *parser) error {
		return p.opt32(&p.iptfs.InitDelay, "USEC", "value after \"init-delay\" is invalid")
	}},
	{name: "max-queue-size", values: "BYTES", ext: true, help: "out: length of the queue", parse: func(p *parser) error {
		return p.opt32(&p.iptfs.MaxQSize, "BYTES", "value after \"max-queue-size\" is invalid")
	}},
	{name: "pkt-size", values: "BYTES", ext: true, help: "out: length of outer packets, 0 for the path's MTU", parse: func(p *parser) error {
		return p.opt32(&p.iptfs.PktSize, "BYTES", "value after \"pkt-size\" is invalid")
	}},
}

// allocKeywords are those of allocspi.
var allocKeywords = []keyword{
	modeWord, markWord, reqIDWord, dirWord, seqWord,
	{name: "min", values: "SPI", help: "least SPI, 0x100 by default", parse: func(p *parser) error {
		return p.spiBound("min", &p.out.Range.Min)
	}},
	{name: "max", values: "SPI", help: "largest SPI, 0x0fffffff by default, 0xffff for comp", parse: func(p *parser) error {
		return p.spiBound("max", &p.out.Range.Max)
	}},
	pcpuWord,
	ifIDWord(true, "value after \"if_id\" is invalid"),
}

// saIDKeywords are those of get and delete.
var saIDKeywords = []keyword{markWord}
