// Package sad is the SAD of the userspace engine: security associations as
// packets use them, with their numbers, windows and limits, and the Table in
// which packets and requests find them, as Linux 7.2 does both.
//
// It refuses no request: what may be asked for is the business of package sadb,
// which holds the lock that the Table's writers need. Packets look up and
// charge without it. Start at Table and SA.
package sad
