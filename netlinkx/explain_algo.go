package netlinkx

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// algoFacts is what the kernel's XFRM table and its ciphers say of one
// algorithm (net/xfrm/xfrm_algo.c and the min and max key sizes of crypto/).
type algoFacts struct {
	name    string
	old     string   // short name that the kernel takes too
	keys    []int    // bytes that a key may have, salt included; nil any
	maxKey  int      // with keys[0] the least: any length up to this; 0 those in keys
	salt    int      // bytes of salt or nonce at the key's end
	icvs    []uint32 // bits that an AEAD's ICV may have
	digest  uint32   // bits of an integrity algorithm's whole digest
	modules string   // or aliases of modules that bring it; aes itself is nearly always there
}

// AEAD algorithms.
var aeadFacts = []algoFacts{
	{name: "rfc4106(gcm(aes))", keys: []int{20, 28, 36}, salt: 4, icvs: []uint32{64, 96, 128}, modules: "gcm seqiv"},
	{name: "rfc4309(ccm(aes))", keys: []int{19, 27, 35}, salt: 3, icvs: []uint32{64, 96, 128}, modules: "ccm seqiv"},
	{name: "rfc4543(gcm(aes))", keys: []int{20, 28, 36}, salt: 4, icvs: []uint32{128}, modules: "gcm seqiv"},
	{name: "rfc7539esp(chacha20,poly1305)", keys: []int{36}, salt: 4, icvs: []uint32{128}, modules: "chacha20poly1305 seqiv"},
}

// Ciphers that need an integrity algorithm beside them.
var cryptFacts = []algoFacts{
	{name: "ecb(cipher_null)", old: "cipher_null", keys: []int{0}, modules: "crypto-cipher_null authenc"},
	{name: "cbc(aes)", old: "aes", keys: []int{16, 24, 32}, modules: "cbc authenc echainiv"},
	{name: "rfc3686(ctr(aes))", keys: []int{20, 28, 36}, salt: 4, modules: "ctr authenc seqiv"},
	{name: "cbc(des)", old: "des", keys: []int{8}, modules: "crypto-des cbc authenc echainiv"},
	{name: "cbc(des3_ede)", old: "des3_ede", keys: []int{24}, modules: "crypto-des3_ede cbc authenc echainiv"},
	{name: "cbc(cast5)", old: "cast5", keys: []int{5}, maxKey: 16, modules: "crypto-cast5 cbc authenc echainiv"},
	{name: "cbc(blowfish)", old: "blowfish", keys: []int{4}, maxKey: 56, modules: "crypto-blowfish cbc authenc echainiv"},
	{name: "cbc(serpent)", old: "serpent", keys: []int{0}, maxKey: 32, modules: "crypto-serpent cbc authenc echainiv"},
	{name: "cbc(camellia)", old: "camellia", keys: []int{16, 24, 32}, modules: "crypto-camellia cbc authenc echainiv"},
	{name: "cbc(twofish)", old: "twofish", keys: []int{16, 24, 32}, modules: "crypto-twofish cbc authenc echainiv"},
	{name: "cbc(sm4)", old: "sm4", keys: []int{16}, modules: "crypto-sm4 cbc authenc echainiv"},
}

// Integrity algorithms.
var authFacts = []algoFacts{
	{name: "hmac(sha1)", old: "sha1", digest: 160, modules: "hmac crypto-sha1 authenc"},
	{name: "hmac(sha256)", old: "sha256", digest: 256, modules: "hmac crypto-sha256 authenc"},
	{name: "hmac(sha384)", digest: 384, modules: "hmac crypto-sha384 authenc"},
	{name: "hmac(sha512)", digest: 512, modules: "hmac crypto-sha512 authenc"},
	{name: "hmac(md5)", old: "md5", digest: 128, modules: "hmac crypto-md5 authenc"},
	{name: "hmac(rmd160)", old: "rmd160", digest: 160, modules: "hmac crypto-rmd160 authenc"},
	{name: "hmac(sm3)", old: "sm3", digest: 256, modules: "hmac crypto-sm3 authenc"},
	{name: "xcbc(aes)", keys: []int{16}, digest: 128, modules: "xcbc authenc"},
	{name: "cmac(aes)", keys: []int{16, 24, 32}, digest: 128, modules: "cmac authenc"},
	{name: "digest_null", modules: "crypto-digest_null authenc"},
}

// Compression algorithms.
var compFacts = []algoFacts{
	{name: "deflate", modules: "deflate"},
	{name: "lzs"},
	{name: "lzjh"},
}

// AlgorithmNames returns the names that the kernel's XFRM table has for the
// algorithms of one attribute: AttrAlgAEAD, AttrAlgCrypt, AttrAlgAuth,
// AttrAlgAuthTrunc or AttrAlgComp; none for any other. A kernel offers those of
// them that were built into it or lie beside it as modules. The slice is the
// caller's.
func AlgorithmNames(t AttrType) []string {
	var names []string
	for _, a := range algoTable(t) {
		names = append(names, a.name)
	}
	return names
}

// algoTable returns the facts about the algorithms of one attribute.
func algoTable(t AttrType) []algoFacts {
	switch t {
	case AttrAlgAEAD:
		return aeadFacts
	case AttrAlgCrypt:
		return cryptFacts
	case AttrAlgAuth, AttrAlgAuthTrunc:
		return authFacts
	case AttrAlgComp:
		return compFacts
	}
	return nil
}

func findAlgo(table []algoFacts, name string) *algoFacts {
	for i := range table {
		if table[i].name == name || name != "" && table[i].old == name {
			return &table[i]
		}
	}
	return nil
}

// usedAlgo is one algorithm of an SA.
type usedAlgo struct {
	attr, name string
	table      []algoFacts
	keyLen     int
	icv        uint32 // bits, 0 not given
}

// usedAlgos returns an SA's algorithms, without their keys.
func usedAlgos(sa *SA) (us []usedAlgo) {
	if a := sa.AEAD; a != nil {
		us = append(us, usedAlgo{"AEAD", a.Name, aeadFacts, a.Key.Len(), a.ICVBits})
	}
	if a := sa.AuthTrunc; a != nil {
		us = append(us, usedAlgo{"AUTH_TRUNC", a.Name, authFacts, a.Key.Len(), a.ICVBits})
	}
	if a := sa.Auth; a != nil {
		us = append(us, usedAlgo{"AUTH", a.Name, authFacts, a.Key.Len(), 0})
	}
	if a := sa.Crypt; a != nil {
		us = append(us, usedAlgo{"CRYPT", a.Name, cryptFacts, a.Key.Len(), 0})
	}
	if a := sa.Comp; a != nil {
		us = append(us, usedAlgo{"COMP", a.Name, compFacts, a.Key.Len(), 0})
	}
	return us
}

// keyFault says which lengths the algorithm's key may have when it has
// another one, else "".
func (u usedAlgo) keyFault() string {
	a := findAlgo(u.table, u.name)
	if a == nil || a.keys == nil || slices.Contains(a.keys, u.keyLen) {
		return ""
	}
	if a.maxKey != 0 && u.keyLen >= a.keys[0] && u.keyLen <= a.maxKey {
		return ""
	}
	want := orList(a.keys) + " bytes"
	if a.maxKey != 0 {
		want = fmt.Sprintf("%d to %d bytes", a.keys[0], a.maxKey)
	}
	if a.maxKey == 0 && len(a.keys) == 1 && a.keys[0] == 0 {
		want = "no bytes: write its key as ''"
	}
	s := fmt.Sprintf("%s takes a key of %s", a.name, want)
	if a.salt > 0 {
		s += fmt.Sprintf(", the last %d of them the salt", a.salt)
	}
	s += fmt.Sprintf("; this one has %d", u.keyLen)
	if a.salt > 0 && slices.Contains(a.keys, u.keyLen+a.salt) {
		s += ": the salt is missing"
	}
	return s
}

// icvFault says which ICV lengths an AEAD is offered with, or how long the
// digest is that is to be cut, when the SA's length does not fit; else "".
func (u usedAlgo) icvFault() string {
	a := findAlgo(u.table, u.name)
	switch {
	case a == nil:
	case a.icvs != nil && !slices.Contains(a.icvs, u.icv):
		return fmt.Sprintf("%s is offered with an icv of %s bits, not %d", a.name, orList(a.icvs), u.icv)
	case a.digest != 0 && u.icv > a.digest:
		return fmt.Sprintf("%s makes %d bits, an icv of %d cannot be cut from them", a.name, a.digest, u.icv)
	}
	return ""
}

// orList prints "64, 96 or 128".
func orList[T int | uint32](ns []T) string {
	var b strings.Builder
	for i, n := range ns {
		switch {
		case i > 0 && i == len(ns)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(strconv.FormatInt(int64(n), 10))
	}
	return b.String()
}

var algoRules = []rule{
	{msgs: writeSA, errno: syscall.ENOSYS, words: "algorithm not found", say: sayNoAlgo},
	{msgs: writeSA, errno: syscall.ENOSYS, bare: true, say: sayNoAlgo},
	{msgs: writeSA, errno: syscall.ENOENT, words: "unable to initialize cryptographic", say: sayNoTemplate},
	{msgs: writeSA, errno: syscall.ENOENT, bare: true, say: sayNoTemplate},
	{msgs: writeSA, errno: syscall.EINVAL, words: "unable to initialize cryptographic", say: sayCryptoInit},
	{msgs: writeSA, errno: syscall.EINVAL, words: "truncated icv", say: sayICV},
	{msgs: writeSA, errno: syscall.ENAMETOOLONG, hint: "the kernel builds one name of cipher, integrity algorithm and iv generator, and it has room for 127 characters; are the names those of /proc/crypto?"},
}

// sayNoAlgo tells a wrong ICV, an unknown name and a missing module apart: the
// kernel answers ENOSYS to all of them.
func sayNoAlgo(f *failure) string {
	sa := f.sa()
	if sa == nil {
		return ""
	}
	var parts []string
	for _, u := range usedAlgos(sa) {
		if f.text != "" && !strings.Contains(f.text, "requested "+strings.ToLower(u.attr)+" algorithm") {
			continue
		}
		parts = append(parts, u.noAlgo())
	}
	return join(parts...)
}

func (u usedAlgo) noAlgo() string {
	a := findAlgo(u.table, u.name)
	if a == nil {
		return fmt.Sprintf("xfrm knows no %s algorithm %q; it knows %s", u.attr, u.name, knownAlgos(u.table))
	}
	if s := u.icvFault(); s != "" {
		return s + "; the kernel answers a wrong icv length like a missing algorithm"
	}
	if a.modules == "" {
		return fmt.Sprintf("xfrm knows the name %s but linux has no such algorithm", a.name)
	}
	return fmt.Sprintf("xfrm knows %s but this kernel has no module for it, or may not load it; run: modprobe -a %s; see /proc/crypto", a.name, a.modules)
}

func knownAlgos(table []algoFacts) string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].name
	}
	return strings.Join(names, ", ")
}

// sayNoTemplate: the names are known, but a template around them is missing.
func sayNoTemplate(f *failure) string {
	sa := f.sa()
	if sa == nil {
		return ""
	}
	var modules []string
	for _, u := range usedAlgos(sa) {
		if a := findAlgo(u.table, u.name); a != nil {
			for m := range strings.FieldsSeq(a.modules) {
				if !slices.Contains(modules, m) {
					modules = append(modules, m)
				}
			}
		}
	}
	return join("the algorithm is known, but a crypto module that combines it is missing, or fips mode forbids it",
		"run: modprobe -a "+strings.Join(modules, " ")+"; see /proc/crypto")
}

func sayCryptoInit(f *failure) string {
	sa := f.sa()
	if sa == nil {
		return ""
	}
	if s := keyFaults(sa); s != "" {
		return s
	}
	return "the cipher refused key or icv although their lengths look right: a weak key (des, 3des with equal parts), or fips mode (hmac keys of 112 bits or more)"
}

// keyFaults says what is wrong with the lengths of an SA's keys.
func keyFaults(sa *SA) string {
	var parts []string
	for _, u := range usedAlgos(sa) {
		parts = append(parts, u.keyFault())
	}
	return join(parts...)
}

func sayICV(f *failure) string {
	sa := f.sa()
	if sa == nil {
		return ""
	}
	for _, u := range usedAlgos(sa) {
		if s := u.icvFault(); s != "" {
			return s
		}
	}
	return "the truncation length, in bits, must not be above the digest's"
}
