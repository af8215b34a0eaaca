package ifaces

import (
	"errors"
	"fmt"
	"sort"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// cipher has the lengths of a cipher in bytes. AEADs carry their own ICV.
type cipher struct {
	iv    int // explicit, in each packet
	block int
	aead  bool
}

// ciphers has the names of net/xfrm/xfrm_algo.c, old short names included.
var ciphers = map[string]cipher{
	"rfc4106(gcm(aes))":             {iv: 8, block: 1, aead: true},
	"rfc4309(ccm(aes))":             {iv: 8, block: 1, aead: true},
	"rfc4543(gcm(aes))":             {iv: 8, block: 1, aead: true},
	"rfc7539esp(chacha20,poly1305)": {iv: 8, block: 1, aead: true},
	"ecb(cipher_null)":              {iv: 0, block: 1},
	"cipher_null":                   {iv: 0, block: 1},
	"cbc(aes)":                      {iv: 16, block: 16},
	"aes":                           {iv: 16, block: 16},
	"rfc3686(ctr(aes))":             {iv: 8, block: 1},
	"cbc(des)":                      {iv: 8, block: 8},
	"des":                           {iv: 8, block: 8},
	"cbc(des3_ede)":                 {iv: 8, block: 8},
	"des3_ede":                      {iv: 8, block: 8},
	"cbc(cast5)":                    {iv: 8, block: 8},
	"cast5":                         {iv: 8, block: 8},
	"cbc(blowfish)":                 {iv: 8, block: 8},
	"blowfish":                      {iv: 8, block: 8},
	"cbc(serpent)":                  {iv: 16, block: 16},
	"serpent":                       {iv: 16, block: 16},
	"cbc(camellia)":                 {iv: 16, block: 16},
	"camellia":                      {iv: 16, block: 16},
	"cbc(twofish)":                  {iv: 16, block: 16},
	"twofish":                       {iv: 16, block: 16},
	"sm4":                           {iv: 16, block: 16},
	"cbc(sm4)":                      {iv: 16, block: 16},
	"rfc3686(ctr(sm4))":             {iv: 8, block: 1},
}

// authICVs is the ICV in bytes that the kernel takes for an integrity
// algorithm when the SA names none (XFRMA_ALG_AUTH).
var authICVs = map[string]int{
	"digest_null":  0,
	"hmac(md5)":    12,
	"md5":          12,
	"hmac(sha1)":   12,
	"sha1":         12,
	"hmac(sha256)": 12,
	"sha256":       12,
	"hmac(sha384)": 24,
	"hmac(sha512)": 32,
	"hmac(rmd160)": 12,
	"rmd160":       12,
	"xcbc(aes)":    12,
	"cmac(aes)":    12,
	"sm3":          32,
	"hmac(sm3)":    32,
}

// Ciphers returns the names of the ESP ciphers that MTU knows, sorted.
func Ciphers() []string { return sortedKeys(ciphers) }

// ICVBits returns the ICV of an integrity algorithm that interoperates, in bits,
// by RFC 4868 and RFC 8221; the kernel's own for hmac(sha256) is shorter. 0: the
// kernel's will do.
func ICVBits(auth string) uint32 {
	switch auth {
	case "hmac(sha256)", "sha256":
		return 128
	case "hmac(sha384)":
		return 192
	case "hmac(sha512)":
		return 256
	}
	return 0
}

// AuthAlgorithms returns the names of the integrity algorithms that MTU knows, sorted.
func AuthAlgorithms() []string { return sortedKeys(authICVs) }

// IsAEAD reports whether name is a combined cipher, for SA.AEAD; known is
// false for a name that MTU does not know.
func IsAEAD(name string) (aead, known bool) {
	c, ok := ciphers[name]
	return c.aead, ok
}

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// lengthsOf returns the cipher's lengths and the ICV's, in bytes.
func lengthsOf(sa *netlinkx.SA) (cipher, int, error) {
	if a := sa.AEAD; a != nil {
		c, ok := ciphers[a.Name]
		if !ok || !c.aead {
			return c, 0, unknownAlgorithm("aead", a.Name)
		}
		if a.ICVBits == 0 || a.ICVBits%8 != 0 || a.ICVBits > 256 {
			return c, 0, fmt.Errorf("mtu: icv of %d bits", a.ICVBits)
		}
		return c, int(a.ICVBits / 8), nil
	}
	c := ciphers["ecb(cipher_null)"]
	if a := sa.Crypt; a != nil {
		known := false
		if c, known = ciphers[a.Name]; !known || c.aead {
			return c, 0, unknownAlgorithm("cipher", a.Name)
		}
	} else if sa.Auth == nil && sa.AuthTrunc == nil {
		return c, 0, errors.New("mtu: the sa names no algorithm")
	}
	icv, err := authLength(sa)
	return c, icv, err
}

// authLength returns the length of the ICV in bytes. The kernel prefers
// AuthTrunc where an SA has both.
func authLength(sa *netlinkx.SA) (int, error) {
	name, bits := "", uint32(0)
	switch {
	case sa.AuthTrunc != nil:
		name, bits = sa.AuthTrunc.Name, sa.AuthTrunc.ICVBits
	case sa.Auth != nil:
		name = sa.Auth.Name
	default:
		return 0, nil
	}
	icv, ok := authICVs[name]
	if !ok {
		return 0, unknownAlgorithm("auth", name)
	}
	if bits%8 != 0 || bits > 512 {
		return 0, fmt.Errorf("mtu: icv of %d bits", bits)
	}
	if bits != 0 {
		icv = int(bits / 8)
	}
	return icv, nil
}

func unknownAlgorithm(kind, name string) error {
	return fmt.Errorf("mtu: %s %q is not known: %w", kind, name, errors.ErrUnsupported)
}
