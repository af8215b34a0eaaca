package esp

import (
	"fmt"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Kind is the kind of an algorithm, as the kernel sorts them.
type Kind uint8

// Kinds of algorithms.
const (
	AEAD  Kind = iota + 1 // XFRMA_ALG_AEAD
	Auth                  // XFRMA_ALG_AUTH and XFRMA_ALG_AUTH_TRUNC
	Crypt                 // XFRMA_ALG_CRYPT
)

// String returns the kernel's word for the kind: "AEAD", "AUTH", "CRYPT".
func (k Kind) String() string {
	switch k {
	case AEAD:
		return "AEAD"
	case Auth:
		return "AUTH"
	case Crypt:
		return "CRYPT"
	}
	return fmt.Sprintf("algorithm kind %d", uint8(k))
}

// Algorithms says how an SA protects its packets. Either AEAD is set, or Crypt
// and, unless the SA shall have no integrity, Auth. Names are the kernel's,
// long or short ("hmac(sha256)" or "sha256").
type Algorithms struct {
	AEAD    string
	AEADKey netlinkx.Key // ends in the salt of 4 bytes

	Crypt    string
	CryptKey netlinkx.Key // rfc3686(ctr(aes)): ends in the nonce of 4 bytes

	Auth    string
	AuthKey netlinkx.Key

	// ICVBits is the length of the ICV in bits. With Auth, 0 means the
	// kernel's default truncation, see DefaultICVBits.
	ICVBits uint32
}

// Reason says what is wrong with an algorithm.
type Reason uint8

// Reasons for which New refuses.
const (
	ReasonUnknown     Reason = iota + 1 // name not known here; the kernel answers ENOSYS
	ReasonICV                           // ICV length not offered with this algorithm; ENOSYS for an AEAD, EINVAL for an Auth
	ReasonKeyLength                     // EINVAL
	ReasonCombination                   // none, or AEAD together with others; EINVAL
	ReasonForbidden                     // the Go runtime refuses the algorithm (GODEBUG=fips140=only)
)

// AlgorithmError is why New refuses. It never holds a key.
type AlgorithmError struct {
	Kind   Kind // 0 with ReasonCombination
	Name   string
	Reason Reason
	// Got is what was asked for: key length in bytes, or ICV length in bits.
	Got int
}

// Error says which algorithm, what is wrong, and what would be right.
func (e *AlgorithmError) Error() string {
	switch e.Reason {
	case ReasonUnknown:
		return fmt.Sprintf("%s algorithm %q: not known to the userspace engine", e.Kind, e.Name)
	case ReasonICV:
		return fmt.Sprintf("%s algorithm %s: an ICV of %d bits is not offered%s", e.Kind, e.Name, e.Got, e.icvHint())
	case ReasonKeyLength:
		return fmt.Sprintf("%s algorithm %s: key of %d bytes%s", e.Kind, e.Name, e.Got, e.keyHint())
	case ReasonForbidden:
		return fmt.Sprintf("%s algorithm %s: refused by this program's FIPS mode", e.Kind, e.Name)
	}
	return "ESP needs either an AEAD, or an encryption algorithm with or without authentication"
}

func (e *AlgorithmError) icvHint() string {
	if d := find(e.Kind, e.Name); d != nil && e.Kind == AEAD {
		return fmt.Sprintf("; offered: %v", d.icvBits)
	} else if d != nil {
		return fmt.Sprintf("; at most %d", d.fullBits)
	}
	return ""
}

func (e *AlgorithmError) keyHint() string {
	if d := find(e.Kind, e.Name); d != nil {
		return fmt.Sprintf("; takes %v", d.keyLens)
	}
	return ""
}

type suite uint8

const (
	suiteGCM suite = iota + 1
	suiteGMAC
	suiteChaCha
	suiteCBC
	suiteCTR
	suiteNull
)

// algorithm is a row of the kernel's tables.
type algorithm struct {
	kind   Kind
	name   string
	compat string // old short name, "" if none

	suite   suite // AEAD and Crypt
	ivLen   int
	block   int   // the plaintext's length is a multiple of this
	keyLens []int // bytes, salt included; nil for any
	icvBits []int // AEAD: offered lengths

	hash     hashKind // Auth
	fullBits int      // Auth: of the digest
	defBits  int      // Auth: kernel's truncation in bits
}

// algorithms are those of net/xfrm/xfrm_algo.c that the engine carries, with
// the same lengths.
var algorithms = []algorithm{
	{kind: AEAD, name: "rfc4106(gcm(aes))", suite: suiteGCM, ivLen: 8, block: 4, keyLens: []int{20, 28, 36}, icvBits: []int{64, 96, 128}},
	{kind: AEAD, name: "rfc4543(gcm(aes))", suite: suiteGMAC, ivLen: 8, block: 4, keyLens: []int{20, 28, 36}, icvBits: []int{128}},
	{kind: AEAD, name: "rfc7539esp(chacha20,poly1305)", suite: suiteChaCha, ivLen: 8, block: 4, keyLens: []int{36}, icvBits: []int{128}},
	{kind: Crypt, name: "cbc(aes)", compat: "aes", suite: suiteCBC, ivLen: 16, block: 16, keyLens: []int{16, 24, 32}},
	{kind: Crypt, name: "rfc3686(ctr(aes))", suite: suiteCTR, ivLen: 8, block: 4, keyLens: []int{20, 28, 36}},
	{kind: Crypt, name: "ecb(cipher_null)", compat: "cipher_null", suite: suiteNull, block: 4, keyLens: []int{0}},
	{kind: Auth, name: "digest_null"},
	{kind: Auth, name: "hmac(sha1)", compat: "sha1", hash: hashSHA1, fullBits: 160, defBits: 96},
	{kind: Auth, name: "hmac(sha256)", compat: "sha256", hash: hashSHA256, fullBits: 256, defBits: 96},
	{kind: Auth, name: "hmac(sha384)", hash: hashSHA384, fullBits: 384, defBits: 192},
	{kind: Auth, name: "hmac(sha512)", hash: hashSHA512, fullBits: 512, defBits: 256},
}

func find(k Kind, name string) *algorithm {
	for i := range algorithms {
		a := &algorithms[i]
		if a.kind == k && (a.name == name || a.compat != "" && a.compat == name) {
			return a
		}
	}
	return nil
}

// CanonicalName returns the kernel's long name of an algorithm, which is what
// its dumps show, and whether the algorithm is known here.
func CanonicalName(k Kind, name string) (string, bool) {
	if a := find(k, name); a != nil {
		return a.name, true
	}
	return "", false
}

// DefaultICVBits returns the truncation in bits that the kernel gives an Auth
// algorithm when none is asked for, 0 if the algorithm is not known here. Note
// that hmac(sha256) gets 96, not the 128 of RFC 4868.
func DefaultICVBits(auth string) int {
	if a := find(Auth, auth); a != nil {
		return a.defBits
	}
	return 0
}

func (a *algorithm) checkKey(n int) error {
	for _, want := range a.keyLens {
		if n == want {
			return nil
		}
	}
	if a.keyLens == nil {
		return nil
	}
	return &AlgorithmError{Kind: a.kind, Name: a.name, Reason: ReasonKeyLength, Got: n}
}

// icv returns the length of the ICV in bytes.
func (a *algorithm) icv(bits uint32) (int, error) {
	refused := &AlgorithmError{Kind: a.kind, Name: a.name, Reason: ReasonICV, Got: int(bits)}
	if a.kind == Auth {
		if int64(bits) > int64(a.fullBits) || bits > 0 && bits < 8 {
			return 0, refused
		}
		if bits == 0 {
			return a.defBits / 8, nil
		}
		return int(bits / 8), nil // the kernel rounds down too
	}
	for _, b := range a.icvBits {
		if int64(b) == int64(bits) {
			return b / 8, nil
		}
	}
	return 0, refused
}
