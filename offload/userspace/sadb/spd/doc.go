// Package spd is the SPD of the userspace engine: policies with their limits,
// the Table in which packets and requests find them, and whether a packet that
// came out of SAs is what its policies want, as Linux 7.2 has it.
//
// It finds no SA for a packet that leaves, and refuses no request: that is the
// business of package sadb, which holds the lock that the Table's writers need.
// Start at Table and Policy.
package spd
