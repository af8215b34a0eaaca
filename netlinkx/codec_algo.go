package netlinkx

import (
	"bytes"
	"fmt"
)

// appendAlgos writes the algorithm attributes.
func (sa *SA) appendAlgos(b []byte) (_ []byte, err error) {
	if a := sa.Auth; a != nil {
		b, err = appendAlgo(b, AttrAlgAuth, a.Name, a.Key, nil)
	}
	if a := sa.AuthTrunc; a != nil && err == nil {
		b, err = appendAlgo(b, AttrAlgAuthTrunc, a.Name, a.Key, &a.ICVBits)
	}
	if a := sa.Crypt; a != nil && err == nil {
		b, err = appendAlgo(b, AttrAlgCrypt, a.Name, a.Key, nil)
	}
	if a := sa.Comp; a != nil && err == nil {
		b, err = appendAlgo(b, AttrAlgComp, a.Name, a.Key, nil)
	}
	if a := sa.AEAD; a != nil && err == nil {
		b, err = appendAlgo(b, AttrAlgAEAD, a.Name, a.Key, &a.ICVBits)
	}
	return b, err
}

// appendAlgo writes struct xfrm_algo or, with icv, xfrm_algo_auth and
// xfrm_algo_aead, which have the ICV's length in bits behind the key's.
func appendAlgo(b []byte, t AttrType, name string, k Key, icv *uint32) ([]byte, error) {
	if len(name) >= algoNameLen {
		return b, fmt.Errorf("%s: algorithm name of %d bytes, at most %d", t, len(name), algoNameLen-1)
	}
	key, n := k.Reveal(), SizeAlgo
	if icv != nil {
		n = SizeAlgoTrunc
	}
	if n+len(key) > 0xffff-sizeAttr {
		return b, fmt.Errorf("%s: key of %d bytes is too long", t, len(key))
	}
	b, p := attr(b, t, n+len(key))
	copy(p, name)
	host.PutUint32(p[algoNameLen:], uint32(len(key)*8))
	if icv != nil {
		host.PutUint32(p[SizeAlgo:], *icv)
	}
	copy(p[n:], key)
	return b, nil
}

// algo decodes one algorithm attribute whose fixed part has size bytes. The
// key is copied into the box. before is the name that the box held: lists
// mostly repeat it.
func (x *saBox) algo(a *attrs, size int, before string) (name string, k Key, icv uint32) {
	if len(a.data) < size {
		a.fail(fmt.Sprintf("length %d, want at least %d", len(a.data), size))
		return "", Key{}, 0
	}
	bits := host.Uint32(a.data[algoNameLen:])
	if bits > 8*0xffff || !a.want(size+int(bits+7)/8) {
		a.fail(fmt.Sprintf("key of %d bits", bits))
		return "", Key{}, 0
	}
	if size == SizeAlgoTrunc {
		icv = host.Uint32(a.data[SizeAlgo:])
	}
	raw := a.data[:algoNameLen]
	if i := bytes.IndexByte(raw, 0); i >= 0 {
		raw = raw[:i]
	}
	if name = before; name != string(raw) {
		name = intern(raw)
	}
	return name, x.key(a.data[size:]), icv
}

// key stores a copy of b in the box, so that a whole SA is one allocation.
func (x *saBox) key(b []byte) Key {
	if x.nkeys == len(x.keys) {
		return NewKey(b)
	}
	slot, ref := &x.keys[x.nkeys], &x.refs[x.nkeys]
	x.nkeys++
	*ref = slot
	if len(b) <= len(x.store)-x.used {
		*slot = x.store[x.used : x.used+len(b) : x.used+len(b)]
		x.used += len(b)
		copy(*slot, b)
	} else {
		*slot = bytes.Clone(b)
	}
	return Key{ref}
}

// intern returns the string of b, without an allocation for names that the
// kernel knows (net/xfrm/xfrm_algo.c).
func intern(b []byte) string {
	if s, ok := knownNames[string(b)]; ok {
		return s
	}
	return string(b)
}

var knownNames = internTable(
	"rfc4106(gcm(aes))", "rfc4543(gcm(aes))", "rfc4309(ccm(aes))", "rfc7539esp(chacha20,poly1305)",
	"digest_null", "hmac(md5)", "hmac(sha1)", "hmac(sha256)", "hmac(sha384)", "hmac(sha512)", "hmac(rmd160)",
	"hmac(sm3)", "xcbc(aes)", "cmac(aes)",
	"ecb(cipher_null)", "cbc(des)", "cbc(des3_ede)", "cbc(cast5)", "cbc(blowfish)", "cbc(aes)", "cbc(serpent)",
	"cbc(camellia)", "cbc(twofish)", "rfc3686(ctr(aes))", "rfc3686(ctr(sm4))", "cbc(sm4)",
	"deflate", "lzs", "lzjh",
)

func internTable(names ...string) map[string]string {
	m := make(map[string]string, len(names))
	for _, n := range names {
		m[n] = n
	}
	return m
}
