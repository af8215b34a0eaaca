// Package keys finds the keys of SAs: it reads them from where a document says
// they are, and derives them from a root secret that both ends share.
//
// It keeps no keys and knows nothing of SAs. Start with Source.Read and Derive.
package keys

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// MinRoot is the least length of a root secret in bytes.
const MinRoot = 32

// Derivation names one direction of one tunnel in one epoch. Two derivations
// that differ in any field give keys that are unrelated.
type Derivation struct {
	Tunnel   string
	From, To string // names of the nodes that send and receive
	// FromBoot and ToBoot are the boot identifiers of both nodes: counters begin
	// anew with a boot, so the key must not be the old one.
	FromBoot, ToBoot string
	Epoch            uint64 // counts up whenever new keys are wanted
	// Parameters are all that an SA cannot change without a new key.
	Parameters string
}

// salt keeps keys apart from those of other uses of the same root secret.
const salt = "xfrmctl keys 1"

// Derive returns n bytes of key material: HKDF-SHA-256 (RFC 5869) of the root
// secret, with the purpose and all fields of d, each behind its length as 4
// bytes, as info. Errors never hold the secret.
func Derive(root []byte, purpose string, d *Derivation, n int) ([]byte, error) {
	if len(root) < MinRoot {
		return nil, fmt.Errorf("root secret has %d bytes, fewer than %d", len(root), MinRoot)
	}
	if d.Tunnel == "" || d.From == "" || d.To == "" || d.From == d.To {
		return nil, errors.New("a derived key belongs to one direction of a tunnel between two nodes")
	}
	var info []byte
	for _, s := range []string{purpose, d.Tunnel, d.From, d.To, d.FromBoot, d.ToBoot, d.Parameters} {
		info = binary.BigEndian.AppendUint32(info, uint32(len(s)))
		info = append(info, s...)
	}
	info = binary.BigEndian.AppendUint64(info, d.Epoch)
	return hkdf.Key(sha256.New, root, []byte(salt), string(info), n)
}
