package offload

import "github.com/xfrmctl/xfrmctl/netlinkx"

// sample is an algorithm with the sizes to try it with.
type sample struct {
	name     string
	kind     string // aead, crypt, auth
	keyBytes int    // the salt included
	icvBits  uint32
}

func samples() []sample {
	return []sample{
		{"rfc4106(gcm(aes))", "aead", 20, 128},
		{"rfc4543(gcm(aes))", "aead", 20, 128},
		{"rfc7539esp(chacha20,poly1305)", "aead", 36, 128},
		{"rfc4309(ccm(aes))", "aead", 19, 128},
		{"cbc(aes)", "crypt", 16, 0},
		{"rfc3686(ctr(aes))", "crypt", 20, 0},
		{"ecb(cipher_null)", "crypt", 0, 0},
		{"hmac(sha1)", "auth", 20, 96},
		{"hmac(sha256)", "auth", 32, 128},
		{"hmac(sha384)", "auth", 48, 192},
		{"hmac(sha512)", "auth", 64, 256},
	}
}

// KnownAlgorithms returns the kernel's names of the algorithms that Probe can
// try, best first within each kind.
func KnownAlgorithms() []string {
	var names []string
	for _, s := range samples() {
		names = append(names, s.name)
	}
	return names
}

// setAlgorithm gives an SA a named algorithm with a key of zeros, which
// protects nothing, and what must be next to it.
func setAlgorithm(sa *netlinkx.SA, name string) {
	for _, s := range samples() {
		if s.name != name {
			continue
		}
		key := netlinkx.NewKey(make([]byte, s.keyBytes))
		switch s.kind {
		case "aead":
			sa.AEAD = &netlinkx.AEAD{Name: name, Key: key, ICVBits: s.icvBits}
			return
		case "crypt":
			sa.Crypt = &netlinkx.Algo{Name: name, Key: key}
			sa.AuthTrunc = &netlinkx.AuthTrunc{Name: "hmac(sha1)", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 96}
		case "auth":
			sa.Crypt = &netlinkx.Algo{Name: "ecb(cipher_null)"}
			sa.AuthTrunc = &netlinkx.AuthTrunc{Name: name, Key: key, ICVBits: s.icvBits}
		}
	}
}
