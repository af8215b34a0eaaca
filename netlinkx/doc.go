// Package netlinkx speaks NETLINK_XFRM, the netlink protocol of Linux's IPsec
// stack: every message and attribute of linux/xfrm.h as Go values, both ways.
//
// Values (SA, Policy, Event and the small types they are made of) are plain
// data in host byte order with net/netip addresses; encoding and decoding are
// pure and ask no kernel. Conn sends requests, Batch sends thousands of them
// at once, Monitor receives events. Errors say which object, which attribute
// and what to do next.
//
// The package decides nothing: it does not choose algorithms, offload or
// policy order, and it does not speak IKE.
//
// Start with Dial and NewSA.
package netlinkx
