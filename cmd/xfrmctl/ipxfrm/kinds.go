package ipxfrm

import "github.com/xfrmctl/xfrmctl/netlinkx"

// kind is a kind of value: the words that it has, or what it is.
type kind struct {
	words []choice
	// abbrev allows any beginning of a word that ip knows.
	abbrev bool
	help   string // for values that are no fixed words
}

// choice is one word of a kind.
type choice struct {
	name string
	v    uint32
	ext  bool
	// quiet words are accepted but not offered.
	quiet bool
}

// find looks a word up.
func (k *kind) find(word string) (uint32, bool) {
	for i := range k.words {
		c := &k.words[i]
		if c.name == word || k.abbrev && !c.ext && abbreviates(word, c.name) {
			return c.v, true
		}
	}
	return 0, false
}

// names returns the words that are offered.
func (k *kind) names() []string {
	names := make([]string, 0, len(k.words))
	for i := range k.words {
		if !k.words[i].quiet {
			names = append(names, k.words[i].name)
		}
	}
	return names
}

// kinds are the kinds of values by the names that usage has for them. Words
// are in the order in which ip compares.
var kinds = map[string]*kind{
	"XFRM-PROTO": {words: []choice{
		{name: "esp", v: uint32(netlinkx.ProtoESP)},
		{name: "ah", v: uint32(netlinkx.ProtoAH)},
		{name: "comp", v: uint32(netlinkx.ProtoComp)},
		{name: "route2", v: uint32(netlinkx.ProtoRoute2)},
		{name: "hao", v: uint32(netlinkx.ProtoHAO)},
		{name: "ipsec-any", v: uint32(netlinkx.ProtoIPsecAny)},
	}},
	"WISH": {words: []choice{
		{name: string(OffloadAuto), ext: true},
		{name: string(OffloadPrefer), ext: true},
		{name: string(OffloadRequire), ext: true},
	}},
	"MODE": {abbrev: true, words: []choice{
		{name: "transport", v: uint32(netlinkx.ModeTransport)},
		{name: "tunnel", v: uint32(netlinkx.ModeTunnel)},
		{name: "ro", v: uint32(netlinkx.ModeRO)},
		{name: "in_trigger", v: uint32(netlinkx.ModeInTrigger)},
		{name: "beet", v: uint32(netlinkx.ModeBEET)},
		{name: "iptfs", v: uint32(netlinkx.ModeIPTFS), ext: true},
	}},
	"FLAG": {words: []choice{
		{name: "noecn", v: uint32(netlinkx.FlagNoECN)},
		{name: "decap-dscp", v: uint32(netlinkx.FlagDecapDSCP)},
		{name: "nopmtudisc", v: uint32(netlinkx.FlagNoPMTUDisc)},
		{name: "wildrecv", v: uint32(netlinkx.FlagWildRecv)},
		{name: "icmp", v: uint32(netlinkx.FlagICMP)},
		{name: "af-unspec", v: uint32(netlinkx.FlagAFUnspec)},
		{name: "align4", v: uint32(netlinkx.FlagAlign4)},
		{name: "esn", v: uint32(netlinkx.FlagESN)},
	}},
	"EXTRA-FLAG": {words: []choice{
		{name: "dont-encap-dscp", v: uint32(netlinkx.ExtraDontEncapDSCP)},
		{name: "oseq-may-wrap", v: uint32(netlinkx.ExtraOSeqMayWrap)},
	}},
	"POLICY-FLAG": {words: []choice{
		{name: "localok", v: uint32(netlinkx.PolicyLocalOK)},
		{name: "icmp", v: uint32(netlinkx.PolicyICMP)},
		{name: "cpu-acquire", v: uint32(netlinkx.PolicyCPUAcquire), ext: true},
	}},
	"MIGRATE-FLAG": {words: []choice{
		{name: "clear-offload", v: uint32(netlinkx.MigrateClearOffload)},
		{name: "update-sel", v: uint32(netlinkx.MigrateUpdateH2HSel)},
	}},
	"DIR": {words: []choice{
		{name: "in", v: uint32(netlinkx.DirIn)},
		{name: "out", v: uint32(netlinkx.DirOut)},
	}},
	"POLICY-DIR": {words: []choice{
		{name: "in", v: uint32(netlinkx.PolicyIn)},
		{name: "out", v: uint32(netlinkx.PolicyOut)},
		{name: "fwd", v: uint32(netlinkx.PolicyFwd)},
	}},
	"PTYPE": {words: []choice{
		{name: "main", v: uint32(netlinkx.PolicyMain)},
		{name: "sub", v: uint32(netlinkx.PolicySub)},
	}},
	"ACTION": {words: []choice{
		{name: "allow", v: uint32(netlinkx.ActionAllow)},
		{name: "block", v: uint32(netlinkx.ActionBlock)},
	}},
	"DEFAULT": {words: []choice{
		{name: "accept", v: uint32(netlinkx.DefaultAccept)},
		{name: "block", v: uint32(netlinkx.DefaultBlock)},
		{name: "allow", v: uint32(netlinkx.DefaultAccept), quiet: true},
	}},
	"LEVEL": {words: []choice{{name: "required", v: 0}, {name: "use", v: 1}}},
	"SHARE": {words: []choice{
		{name: "any", v: 0, ext: true}, {name: "session", v: 1, ext: true},
		{name: "user", v: 2, ext: true}, {name: "unique", v: 3, ext: true},
	}},
	"ENCAP-TYPE": {words: []choice{
		{name: "espinudp", v: uint32(netlinkx.EncapESPinUDP)},
		{name: "espinudp-nonike", v: uint32(netlinkx.EncapESPinUDPNonIKE)},
		{name: "espintcp", v: uint32(netlinkx.EncapESPinTCP)},
	}},

	"ADDR":           {help: "an IPv4 or IPv6 address; missing parts of an IPv4 address are zero on the right: 10.1 is 10.1.0.0"},
	"ADDR[/PLEN]":    {help: "an address, and how many of its leading bits count, as a number or as a netmask; any, all and default are ADDR/0 once the family is known"},
	"ALGO-NAME":      {help: "the kernel's name of an algorithm, quoted for the shell, for example 'rfc4106(gcm(aes))'"},
	"ALGO-KEYMAT":    {help: "a key: 0x and hex digits, or else the bytes of the word itself; @FILE, @- (one line of standard input) or env:NAME reads it from elsewhere. Ciphers in counter mode have their salt at the key's end"},
	"ALGO-ICV-LEN":   {help: "the length of the integrity check value in bits"},
	"ALGO-TRUNC-LEN": {help: "the length in bits to which the hash is cut; 0 is the kernel's default"},
	"BYTES":          {help: "a number of bytes"},
	"COUNT":          {help: "a number of packets"},
	"CPU":            {help: "the number of a CPU"},
	"CTX":            {help: "a security context (SELinux label)"},
	"DEV":            {help: "the name of a network device"},
	"HEX":            {help: "32-bit words of a bitmap, lowest first, with commas between"},
	"IF_ID":          {help: "the number that ties SAs and policies to an XFRM interface; 0 is none"},
	"INDEX":          {help: "the kernel's number of a policy; its three low bits are the direction"},
	"MARK":           {help: "a 32-bit packet mark"},
	"MASK":           {help: "the bits of the mark that count"},
	"NUMBER":         {help: "a number from 0 to 255"},
	"OADDR":          {help: "the original address (NAT-OA); 0.0.0.0 for none"},
	"PATH":           {help: "a file of netlink messages as they come from the kernel"},
	"PORT":           {help: "a port number"},
	"PRIORITY":       {help: "a number; the lowest comes first"},
	"PROTO":          {help: "the name of an upper-layer protocol from /etc/protocols, its number, or any"},
	"REQID":          {help: "the number that ties SAs to templates; 0 is none"},
	"SECONDS":        {help: "a number of seconds"},
	"SEQ":            {help: "a sequence number"},
	"SIZE":           {help: "a number of packets, at most 4096"},
	"SPI":            {help: "a security parameter index"},
	"USEC":           {help: "a number of microseconds"},
	"KEY":            {help: "a GRE key, as a number or as A.B.C.D"},
	"BITS":           {help: "a prefix length"},
	"MASK32":         {help: "a bit mask of algorithms, as in an acquire"},
	"TICKS":          {help: "a number of ticks of the kernel's clock, of which a second has 100 to 1000; lists show it in units of 100 ms"},
}
