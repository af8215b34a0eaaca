// Package sadb is the databases of the userspace engine: security associations
// (package sad) and policies (package spd) under one lock, with the semantics of
// Linux 7.2, without sockets, packets or netlink messages.
//
// Two sides use a DB. The control side calls one typed operation per netlink
// request (AddSA, DeletePolicy, Migrate and so on) and gets what the kernel
// would answer: an object, or a *Refusal with the kernel's errno and text. The
// packet side looks up (Inbound, Outbound, CheckInbound) and reserves or
// charges on the SA it found (SA.Reserve, SA.CheckReplay, SA.Charge); it takes
// no lock to look up and nothing that it meets can make a table grow, except
// the bounded number of larval SAs of ACQUIRE.
//
// What happens by itself (expiry, acquires, replay notifications, changed NAT
// mappings) is told to the Config's Listener as netlinkx events.
//
// Start at New.
package sadb
