package document

import (
	"net/netip"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
)

// Version is the version of documents that this package reads.
const Version = 1

// Value is a value of a document and its place there. Set tells whether the
// document gives it; V is the default where it does not.
type Value[T any] struct {
	V   T
	Set bool
	at  spot
}

// Document describes tunnels between nodes: both ends of each.
type Document struct {
	Owner   Owner
	Engine  Value[string] // auto, kernel, userspace; default auto
	Nodes   map[string]*Node
	Tunnels []*Tunnel
	version Value[uint64]
	r       *reader
}

// Owner names in whose name objects are made, and its ranges of ids.
type Owner struct {
	Name        Value[string]
	ReqID, IfID Value[provision.Range]
	at          spot
	node        *yaml.Node // until all has been read
}

// Node is a machine at an end of tunnels.
type Node struct {
	Name     string
	Endpoint Value[netip.Addr] // outer address
	Underlay Value[string]     // device that the outer packets take
	PathMTU  Value[uint32]     // of the outer path; absent: the underlay's, else 1500
	BootID   Value[string]     // for keys that are derived; absent: this boot's, for the own node
	GRO      GRO               // of the underlay
	Default  DefaultPolicy     // of the node's namespace
}

// EngineFor returns the engine that the document is for, when another is not
// asked for: auto, kernel or userspace. One that is, which the document does not
// want, is a mistake at its line: *ProblemsError.
func (d *Document) EngineFor(asked string) (string, error) {
	switch {
	case d.Engine.V == "auto" || d.Engine.V == asked:
		return asked, nil
	case asked == "auto":
		return d.Engine.V, nil
	}
	d.r.problems = nil
	d.r.fail(d.Engine.at, "this document is for engine %s, and --engine %s is asked for", d.Engine.V, asked)
	return "", d.r.err()
}

// GRO is how a device shall join and cut packets: a profile, or settings by the
// names that `xfrmctl gro set` takes. The zero GRO is silent.
type GRO struct {
	Profile Value[string]            // keep: nothing is changed; fast: what ESP is fastest with
	Values  map[string]Value[uint64] // of features 0 off, 1 on
	at      spot
}

// DefaultPolicy is what becomes of traffic that no policy matches, by direction:
// block or accept; absent: left as it is.
type DefaultPolicy struct{ In, Fwd, Out Value[string] }

// InOut is a value for each direction of a tunnel, the same at both ends: In is
// for what comes in there.
type InOut[T any] struct{ In, Out Value[T] }

// Tunnel is a pair of SAs with its policies, and an XFRM interface with routes
// unless Interface is absent. Its fields are those of the document; the table
// in rule tells what they mean and which defaults they have.
type Tunnel struct {
	Name      Value[string]
	Between   [2]Value[string] // names of both nodes
	Mode      Value[string]    // tunnel, transport; default tunnel
	Cipher    Value[string]    // see Suites; default aes-gcm-128
	ESN       Value[bool]      // default true
	Window    Value[uint32]    // packets; default 1024
	TFCPad    Value[uint32]
	ReqID     Value[uint32] // absent: chosen from the owner's range by name
	Keys      Keys
	SPI       map[string]Value[uint32] // by "EAST-to-WEST"; absent: derived from the key
	Interface Value[string]
	IfID      Value[uint32]                // absent: chosen from the owner's range by name
	MTU       Value[uint32]                // absent: what fits through the SA
	Endpoints map[string]Value[netip.Addr] // by node; absent: the node's
	Underlays map[string]Value[string]     // by node; absent: the node's
	Addresses map[string][]Value[netip.Prefix]
	NetNS     map[string]Value[string] // namespace that the interface lives in, by node
	Traffic   []Traffic
	Routes    Value[string] // true, false, or multipath
	Guard     Value[string] // true, false, routes, policies; default true
	Forward   Value[bool]   // default true
	EncapPort Value[uint32] // UDP, both ends
	Mark      InOut[Mark]   // that packets must have
	Output    InOut[Mark]   // that packets get
	Offload   InOut[string] // auto, prefer, require, off; default off
	OffloadOf Value[string] // crypto, packet; default crypto
	Limits    Limits
	at        spot
	trafficAt spot
	node      *yaml.Node // until all has been read
}

// Mark is a value under a mask.
type Mark struct{ Value, Mask uint32 }

// Keys says where the keys of a tunnel come from: a root secret, or one key for
// each direction. Epochs are numbered from 1; see Clock.
type Keys struct {
	Derive       Value[string]
	Epoch        Value[uint64]
	Start        Value[time.Time]
	Every, Slack Value[time.Duration]
	Static       map[string]Value[string] // by "EAST-to-WEST"
	at           spot
	node         *yaml.Node // until all has been read
}

// Traffic is what a tunnel carries: a prefix behind each of its nodes.
type Traffic struct {
	Prefix map[string]Value[netip.Prefix]
	at     spot
}

// Limits end SAs; absent ones are never reached.
type Limits struct {
	SoftBytes, HardBytes, SoftPackets, HardPackets, SoftSeconds, HardSeconds Value[uint64]
}

// Suite is a cipher as documents name it.
type Suite struct {
	Name    string
	AEAD    string // kernel's name; "" a cipher with a separate integrity check
	Crypt   string
	Auth    string
	Key     int // bytes of the cipher's key, with the salt
	AuthKey int // bytes
	ICVBits uint32
}

// KeyLen returns the bytes of key material: the cipher's, then the integrity
// algorithm's.
func (s *Suite) KeyLen() int { return s.Key + s.AuthKey }

// Describe gives an SA the algorithms of the suite, without keys.
func (s *Suite) Describe(sa *netlinkx.SA) {
	if s.AEAD != "" {
		sa.AEAD = &netlinkx.AEAD{Name: s.AEAD, ICVBits: s.ICVBits}
		return
	}
	sa.Crypt = &netlinkx.Algo{Name: s.Crypt}
	sa.AuthTrunc = &netlinkx.AuthTrunc{Name: s.Auth, ICVBits: s.ICVBits}
}

// Suites returns the ciphers that a document can name.
func Suites() []Suite {
	return []Suite{
		{Name: "aes-gcm-128", AEAD: "rfc4106(gcm(aes))", Key: 20, ICVBits: 128},
		{Name: "aes-gcm-256", AEAD: "rfc4106(gcm(aes))", Key: 36, ICVBits: 128},
		{Name: "chacha20-poly1305", AEAD: "rfc7539esp(chacha20,poly1305)", Key: 36, ICVBits: 128},
		{Name: "aes-cbc-128-sha256", Crypt: "cbc(aes)", Auth: "hmac(sha256)", Key: 16, AuthKey: 32, ICVBits: 128},
		{Name: "aes-cbc-256-sha256", Crypt: "cbc(aes)", Auth: "hmac(sha256)", Key: 32, AuthKey: 32, ICVBits: 128},
		{Name: "aes-cbc-256-sha512", Crypt: "cbc(aes)", Auth: "hmac(sha512)", Key: 32, AuthKey: 64, ICVBits: 256},
	}
}

// Names returns the names of Suites.
func Names() (names []string) {
	for _, s := range Suites() {
		names = append(names, s.Name)
	}
	return names
}

func suiteOf(name string) *Suite {
	for _, s := range Suites() {
		if s.Name == name {
			return &s
		}
	}
	return nil
}
