// Package journal sees to it that no counter-mode key is ever used twice with
// the same IV on one machine: not after a restart, a crash or a power cut, not
// by two engines at the same time.
//
// AES-GCM, GMAC, AES-CTR and ChaCha20-Poly1305 lose their protection when a
// (key, IV) pair repeats (RFC 4106 section 3.1). So each key has a Counter, which
// hands out its IVs in order. It takes them from a lease: a range that was
// written to a file and synced before the first IV of it is handed out. After
// a crash the next engine goes on behind the last lease. Sequence numbers
// go on as well, so that the peer's replay window accepts what comes.
//
// The file does not hold keys. It knows them by a fingerprint, HMAC-SHA-256 with
// a secret of this installation. Where the IVs of a key begin is random, so
// that a key that was used before there was a journal is unlikely to meet
// its old IVs again.
//
// Files in Config.Dir, all of mode 0600:
//
//	secret      the secret and the installation's name; written once
//	journal     a header and frames of records, appended and synced
//	generation  how many frames the journal has: it cannot lose any unnoticed
//	lock        held while one of the others is read or written (flock)
//
// What generation says stands in a file in Config.RunDir too, which notices when
// the whole directory is lost or put back to an older state, until the next
// boot. Then all counter-mode keys are refused, with a LostError: what they
// were used for is not known. A snapshot of a whole machine that is put
// back is not noticed.
//
// Start with Open. See docs/security.md for what follows for operators.
package journal
