package esp

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"io"
)

const (
	headerLen  = 8 // SPI, sequence number
	trailerLen = 2 // pad length, next header
	saltLen    = 4
	// maxPacket is the longest ESP packet: what fits a UDP datagram or an
	// IPv4 packet, rounded up.
	maxPacket = 1 << 16
)

// Errors of Seal and Open. They are built once: nothing is formatted per packet.
var (
	// ErrShort is a packet too short for its SA, or not of whole blocks.
	ErrShort = errors.New("esp: packet shorter than header, IV, trailer and ICV, or not of whole cipher blocks")
	// ErrAuth is an ICV that does not verify: wrong key, forged, corrupted,
	// another truncation, or another high half of the sequence number.
	ErrAuth = errors.New("esp: integrity check failed")
	// ErrPadding is an authentic packet whose pad length does not fit it.
	ErrPadding = errors.New("esp: pad length beyond the payload")
	// ErrRoom is a destination too short, see Cipher.SealedLen.
	ErrRoom = errors.New("esp: destination too short for the packet")
	// ErrSequence is a sequence number above 2^32-1 without ESN, or 0.
	ErrSequence = errors.New("esp: sequence number out of range: the SA must be replaced")
	// ErrTooLong is a payload that no IP packet carries once sealed.
	ErrTooLong = errors.New("esp: payload too long for an IP packet")
	// ErrRandom is no randomness for the IV of a CBC packet.
	ErrRandom = errors.New("esp: no random bytes for the IV")
)

// transform is what differs between suites. pkt is the whole ESP packet;
// header and IV are in place. text is payload and trailer.
type transform interface {
	// seal encrypts text into pkt after the IV and appends the ICV. text is
	// either that very place or does not overlap pkt.
	seal(c *Cipher, pkt, text []byte, hi uint32, s *Scratch)
	// open verifies pkt and decrypts into out, which is as long as the
	// ciphertext and either that very place or does not overlap pkt. Unless
	// it returns true, out holds no plaintext.
	open(c *Cipher, out, pkt []byte, hi uint32, s *Scratch) bool
}

// Cipher is the keys and the algorithms of one SA. It is immutable and safe
// for concurrent use; each goroutine brings its own Scratch. It cannot be
// printed with its keys.
type Cipher struct {
	t       transform
	suite   suite
	esn     bool
	ivLen   uint8
	icvLen  uint8
	block   uint8
	counter bool
	salt    [saltLen]byte
}

// New returns the cipher of an SA. esn says whether its sequence numbers have
// 64 bits, the high half of which is authenticated but not sent. Refusals are
// *AlgorithmError.
func New(a Algorithms, esn bool) (*Cipher, error) {
	// The assembly is not part of a FIPS 140-3 module: then it stays out.
	return newCipher(&a, esn, haveVAES() && !fips140.Enabled())
}

// newCipher is New with a choice of the assembly bodies, for tests.
func newCipher(a *Algorithms, esn, vaes bool) (*Cipher, error) {
	switch {
	case a.AEAD != "" && a.Crypt == "" && a.Auth == "":
		return newAEAD(a, esn, vaes)
	case a.AEAD == "" && a.Crypt != "":
		return newPair(a, esn, vaes)
	}
	return nil, &AlgorithmError{Reason: ReasonCombination}
}

func newAEAD(a *Algorithms, esn, vaes bool) (*Cipher, error) {
	d := find(AEAD, a.AEAD)
	if d == nil {
		return nil, &AlgorithmError{Kind: AEAD, Name: a.AEAD, Reason: ReasonUnknown}
	}
	icv, err := d.icv(a.ICVBits)
	if err != nil {
		return nil, err
	}
	key := a.AEADKey.Reveal()
	if err := d.checkKey(len(key)); err != nil {
		return nil, err
	}
	c := &Cipher{suite: d.suite, esn: esn, ivLen: uint8(d.ivLen), icvLen: uint8(icv), block: uint8(d.block), counter: true}
	copy(c.salt[:], key[len(key)-saltLen:])
	if c.t, err = newAEADTransform(d, key[:len(key)-saltLen], icv, vaes); err != nil {
		return nil, err
	}
	return c, nil
}

func newPair(a *Algorithms, esn, vaes bool) (*Cipher, error) {
	d := find(Crypt, a.Crypt)
	if d == nil {
		return nil, &AlgorithmError{Kind: Crypt, Name: a.Crypt, Reason: ReasonUnknown}
	}
	auth := a.Auth
	if auth == "" {
		auth = "digest_null" // as the kernel does
	}
	h := find(Auth, auth)
	if h == nil {
		return nil, &AlgorithmError{Kind: Auth, Name: a.Auth, Reason: ReasonUnknown}
	}
	bits := a.ICVBits
	if a.Auth == "" {
		bits = 0
	}
	icv, err := h.icv(bits)
	if err != nil {
		return nil, err
	}
	key := a.CryptKey.Reveal()
	if err := d.checkKey(len(key)); err != nil {
		return nil, err
	}
	c := &Cipher{suite: d.suite, esn: esn, ivLen: uint8(d.ivLen), icvLen: uint8(icv), block: uint8(d.block)}
	if d.suite == suiteCTR {
		c.counter = true
		copy(c.salt[:], key[len(key)-saltLen:])
		key = key[:len(key)-saltLen]
	}
	m, err := newMAC(h.hash, a.AuthKey.Reveal())
	if err != nil {
		return nil, &AlgorithmError{Kind: Auth, Name: h.name, Reason: ReasonForbidden}
	}
	if c.t, err = newPairTransform(d, key, m, vaes); err != nil {
		return nil, err
	}
	return c, nil
}

// Format prints no key, whatever the verb.
func (Cipher) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "<esp cipher>") }

// Headroom returns how many bytes stand before the payload: ESP header and IV.
func (c *Cipher) Headroom() int { return headerLen + int(c.ivLen) }

// ICVLen returns the length of the ICV in bytes; 0 for an SA without integrity.
func (c *Cipher) ICVLen() int { return int(c.icvLen) }

// Tailroom returns the most bytes that follow the payload: padding, pad
// length, next header and ICV. TFC padding comes on top.
func (c *Cipher) Tailroom() int { return int(c.block) - 1 + trailerLen + int(c.icvLen) }

// BlockLen returns what the encrypted part is a multiple of, in bytes.
func (c *Cipher) BlockLen() int { return int(c.block) }

// ESN reports whether sequence numbers have 64 bits.
func (c *Cipher) ESN() bool { return c.esn }

// Counter reports whether the IV is a counter that must never repeat under
// this key (GCM, GMAC, ChaCha20-Poly1305, CTR).
func (c *Cipher) Counter() bool { return c.counter }

// textLen returns the length of payload, TFC padding and trailer.
func (c *Cipher) textLen(payload, padTo int) int {
	n := max(payload, padTo) + trailerLen
	return (n + int(c.block) - 1) &^ (int(c.block) - 1)
}

// SealedLen returns the length of the whole ESP packet around a payload.
// padTo is Seal.PadTo, 0 for none.
func (c *Cipher) SealedLen(payload, padTo int) int {
	return c.Headroom() + c.textLen(payload, padTo) + int(c.icvLen)
}

// MaxPayload returns the longest payload whose ESP packet is at most espBytes
// long, 0 if there is none. This is the rule of the kernel's xfrm_state_mtu.
func (c *Cipher) MaxPayload(espBytes int) int {
	room := espBytes - c.Headroom() - int(c.icvLen)
	return max(0, room&^(int(c.block)-1)-trailerLen)
}
