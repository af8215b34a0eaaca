package ipxfrm

import "github.com/xfrmctl/xfrmctl/netlinkx"

// Context is what parsing needs to know from outside. Its functions are called
// synchronously, and only for words that ask for them.
type Context struct {
	// Family is that of -4 and -6: what addresses must be, and in lists a
	// filter. Zero leaves it to the addresses.
	Family netlinkx.Family
	// Device finds the index of a network device; nil knows none.
	Device func(name string) (int32, error)
	// Key reads the key that a word "@FILE", "@-" or "env:NAME" stands for. The
	// bytes are the key itself. Errors must not hold any of it. nil refuses
	// such words.
	Key func(word string) ([]byte, error)
	// Protocols returns the names of upper-layer protocols; nil stands for
	// BuiltinProtocols.
	Protocols func() *Protocols
}

// Command is one parsed command. Which of its fields are set follows from
// Object and Verb, see Verb.
type Command struct {
	Object string // "state", "policy" or "monitor", never abbreviated
	// Verb is the first name of the command, never an abbreviation or a
	// synonym. The fields that belong to it:
	//
	//	state add, update          SA
	//	state allocspi             Range
	//	state get, delete          SAID
	//	state list, deleteall      StateFilter, NoKeys
	//	state flush                FlushProto
	//	state ae get               AEID
	//	state ae set               AE
	//	state migrate              MigrateState (call Inherit before sending it)
	//	policy add, update         Policy
	//	policy get, delete         PolicyID
	//	policy list, deleteall     PolicyFilter
	//	policy flush               FlushType
	//	policy set                 SPDInfo
	//	policy setdefault          Defaults
	//	policy migrate             Migrate
	//	monitor                    Monitor, NoKeys (Verb is empty)
	//
	// state count, policy count and policy getdefault carry nothing.
	Verb string

	SA           *netlinkx.SA
	SAID         netlinkx.SAID
	Range        *netlinkx.SPIRange
	Policy       *netlinkx.Policy
	PolicyID     netlinkx.PolicyID
	StateFilter  *StateFilter
	PolicyFilter *PolicyFilter
	FlushProto   netlinkx.Proto
	FlushType    netlinkx.Opt[netlinkx.PolicyType]
	SPDInfo      *netlinkx.SPDInfo
	Defaults     *netlinkx.Defaults
	Monitor      *MonitorSpec
	AE           *netlinkx.AE
	AEID         netlinkx.AEID
	Migrate      *netlinkx.Migrate
	MigrateState *netlinkx.MigrateState

	// Wish is set for a `state add … offload auto|prefer|require`; SA.Offload
	// is then what shall be tried, and its device may be 0: that of the route.
	// WishType is "crypto", "packet" or "".
	Wish     OffloadWish
	WishType string

	// NoKeys is the word nokeys: print no keys, even if asked to otherwise.
	NoKeys bool
	// KeyOnArgv reports that a key was among the words.
	KeyOnArgv bool
	// Warnings are about what the kernel will accept but hardly anybody
	// wants; one line each, without keys.
	Warnings []string

	inherit inherited
}

// MonitorSpec says what a monitor listens to.
type MonitorSpec struct {
	// File holds recorded netlink messages to decode instead; empty: listen.
	File string
	// Groups are those that were named; nil for all.
	Groups []netlinkx.Group
	// AllNSID asks for the events of all namespaces that have an id here.
	AllNSID bool
}

// Error says what is wrong with the words of a command. It holds no word that
// may be a key.
type Error struct {
	// Code is the exit code of ip: 255 for words that cannot be understood, 1
	// for what a check after parsing refuses.
	Code int
	// Text is what ip prints, less its last newline. For help it is the usage.
	Text string
	// Suggest is the word that may have been meant, or "".
	Suggest string
}

// Error returns Text.
func (e *Error) Error() string { return e.Text }

// Exit codes of Error.
const (
	codeWords = 255
	codeCheck = 1
)

// OffloadWish says what shall become of an SA that no NIC takes.
type OffloadWish string

// Wishes.
const (
	OffloadAuto    OffloadWish = "auto"    // the best there is
	OffloadPrefer  OffloadWish = "prefer"  // that device, else software
	OffloadRequire OffloadWish = "require" // that device, else nothing
)
