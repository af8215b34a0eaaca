// Package userspace is an ESP engine for kernels that have none: it answers the
// kernel's own netlink messages on a unix socket, keeps SAs and policies with the
// kernel's semantics, and carries the packets of its XFRM interfaces, which
// are TUN devices, as ESP.
//
// This package puts the parts together and does nothing itself: server answers
// messages, sadb is the SAD and the SPD, datapath moves packets, journal keeps
// keys from being used twice with the same IV, confine drops privileges.
//
// Start with Open. The engine is of the network namespace of the process.
package userspace
