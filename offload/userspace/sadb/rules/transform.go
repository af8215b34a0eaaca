package rules

import (
	"errors"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/esp"
)

// textCrypto is what the kernel says when its crypto layer refuses.
const textCrypto = "Kernel was unable to initialize cryptographic operations"

// Algorithms looks up the algorithms that sa asks for, in the kernel's order,
// and writes their long names and default lengths into out, which holds what
// a dump of the SA shows: Auth and AuthTrunc both, whichever was given.
func Algorithms(sa, out *netlinkx.SA) *Refusal {
	out.AEAD, out.Auth, out.AuthTrunc, out.Crypt, out.Comp = nil, nil, nil, nil, nil
	if a := sa.AEAD; a != nil {
		name, ok := esp.CanonicalName(esp.AEAD, a.Name)
		if !ok || !offersICV(name, a.ICVBits) {
			return Refuse(syscall.ENOSYS, "Requested AEAD algorithm not found")
		}
		out.AEAD = &netlinkx.AEAD{Name: name, Key: own(a.Key), ICVBits: a.ICVBits}
	}
	if err := authAlgorithm(sa, out); err != nil {
		return err
	}
	if c := sa.Crypt; c != nil {
		name, ok := esp.CanonicalName(esp.Crypt, c.Name)
		if !ok {
			return Refuse(syscall.ENOSYS, "Requested CRYPT algorithm not found")
		}
		out.Crypt = &netlinkx.Algo{Name: name, Key: own(c.Key)}
	}
	if sa.Comp != nil && sa.Comp.Name != "deflate" {
		return Refuse(syscall.ENOSYS, "Requested COMP algorithm not found")
	}
	return nil
}

// offersICV reports whether an AEAD has an ICV of that length: the kernel looks
// AEADs up by name and length.
func offersICV(name string, bits uint32) bool {
	return bits == 128 || name == "rfc4106(gcm(aes))" && (bits == 64 || bits == 96)
}

// authAlgorithm looks at AUTH_TRUNC and, if there is none, at AUTH.
func authAlgorithm(sa, out *netlinkx.SA) *Refusal {
	t := netlinkx.AuthTrunc{}
	switch {
	case sa.AuthTrunc != nil:
		name, ok := esp.CanonicalName(esp.Auth, sa.AuthTrunc.Name)
		if !ok {
			return Refuse(syscall.ENOSYS, "Requested AUTH_TRUNC algorithm not found")
		}
		t = netlinkx.AuthTrunc{Name: name, Key: own(sa.AuthTrunc.Key), ICVBits: sa.AuthTrunc.ICVBits}
		if t.ICVBits > uint32(digestBits[name]) {
			return invalid("Invalid length requested for truncated ICV")
		}
	case sa.Auth != nil:
		name, ok := esp.CanonicalName(esp.Auth, sa.Auth.Name)
		if !ok {
			return Refuse(syscall.ENOSYS, "Requested AUTH algorithm not found")
		}
		t = netlinkx.AuthTrunc{Name: name, Key: own(sa.Auth.Key)}
	default:
		return nil
	}
	if t.ICVBits == 0 {
		t.ICVBits = uint32(esp.DefaultICVBits(t.Name))
	}
	out.AuthTrunc = &t
	out.Auth = &netlinkx.Algo{Name: t.Name, Key: t.Key}
	return nil
}

// own returns a copy of a key that does not keep the whole request in memory.
func own(k netlinkx.Key) netlinkx.Key { return netlinkx.NewKey(k.Reveal()) }

// digestBits are the lengths of the digests of integrity algorithms.
var digestBits = map[string]int{"digest_null": 0, "hmac(sha1)": 160, "hmac(sha256)": 256, "hmac(sha384)": 384, "hmac(sha512)": 512}

// AuthBit returns the bit that an integrity algorithm has in a template's
// mask: 1 << its number in PF_KEY (linux/pfkeyv2.h, SADB_AALG_*), bit 0 for
// none.
func AuthBit(a *netlinkx.AuthTrunc) uint32 {
	if a == nil {
		return 1
	}
	switch a.Name {
	case "hmac(sha1)":
		return 1 << 3
	case "hmac(sha256)":
		return 1 << 5
	case "hmac(sha384)":
		return 1 << 6
	case "hmac(sha512)":
		return 1 << 7
	case "digest_null":
		return 1 << 27 // number 251; the kernel shifts a 32-bit 1 by it, which x86 takes modulo 32
	}
	return 1
}

// MaxTFC is the most that packets are padded to (IP_MAX_MTU).
const MaxTFC = 0xffff

// CheckTFC refuses padding beyond any packet.
func CheckTFC(pad uint32) *Refusal {
	if pad > MaxTFC {
		return invalid("Excessive TFC padding")
	}
	return nil
}

// CheckTransform returns what __xfrm_init_state refuses sa for, and its
// cipher. sa has the form that Algorithms gave it; its selector's family is
// that of its addresses unless it was asked to be unspecified.
func CheckTransform(sa *netlinkx.SA) (*esp.Cipher, *Refusal) {
	if err := checkInnerMode(sa); err != nil {
		return nil, err
	}
	if sa.Proto != netlinkx.ProtoESP {
		return nil, Refuse(syscall.EPROTONOSUPPORT, "Requested type not found")
	}
	c, err := newCipher(sa)
	if err != nil {
		return nil, err
	}
	if sa.Encap != nil && sa.Encap.Type != netlinkx.EncapESPinUDP {
		return nil, invalid("Unsupported encapsulation type for ESP")
	}
	return c, checkKeepalive(sa)
}

// checkInnerMode is the choice of inner and outer mode: BEET and tunnel may
// change the family; route optimisation is of IPv6, and belongs to protocols
// that are not here; IPTFS is not here.
func checkInnerMode(sa *netlinkx.SA) *Refusal {
	f := sa.Selector.Family
	if f == netlinkx.FamilyUnspec {
		f = sa.Family
	}
	known := sa.Mode == netlinkx.ModeTransport || sa.Mode == netlinkx.ModeTunnel || sa.Mode == netlinkx.ModeBEET ||
		sa.Mode == netlinkx.ModeRO && f == netlinkx.FamilyIPv6
	if !known {
		return Refuse(syscall.EPROTONOSUPPORT, "Requested mode not found")
	}
	if (sa.Mode == netlinkx.ModeTransport || sa.Mode == netlinkx.ModeRO) && f != sa.Family {
		return Refuse(syscall.EPROTONOSUPPORT, "Only tunnel modes can accommodate a change of family")
	}
	return nil
}

// newCipher makes the cipher as esp_init_aead and esp_init_authenc do.
func newCipher(sa *netlinkx.SA) (*esp.Cipher, *Refusal) {
	a := esp.Algorithms{}
	switch {
	case sa.AEAD != nil:
		a.AEAD, a.AEADKey, a.ICVBits = sa.AEAD.Name, sa.AEAD.Key, sa.AEAD.ICVBits
	case sa.Crypt == nil:
		return nil, invalid("ESP: AEAD or CRYPT must be provided")
	default:
		a.Crypt, a.CryptKey = sa.Crypt.Name, sa.Crypt.Key
		if t := sa.AuthTrunc; t != nil {
			a.Auth, a.AuthKey, a.ICVBits = t.Name, t.Key, t.ICVBits
		}
	}
	c, err := esp.New(a, sa.Flags&netlinkx.FlagESN != 0)
	if err == nil {
		return c, nil
	}
	var e *esp.AlgorithmError
	switch {
	case !errors.As(err, &e):
		return nil, invalid(textCrypto)
	case e.Reason == esp.ReasonForbidden:
		return nil, Refuse(syscall.ENOENT, textCrypto)
	case e.Reason == esp.ReasonKeyLength && e.Kind != esp.AEAD:
		return nil, invalid("")
	}
	return nil, invalid(textCrypto)
}

func checkKeepalive(sa *netlinkx.SA) *Refusal {
	switch {
	case sa.NATKeepalive == 0:
		return nil
	case sa.Dir != netlinkx.DirOut:
		return invalid("NAT keepalive is only supported for outbound SAs")
	case sa.Encap == nil:
		return invalid("NAT keepalive is only supported for UDP encapsulation")
	}
	return nil
}
