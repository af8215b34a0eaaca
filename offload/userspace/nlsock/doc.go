// Package nlsock carries netlink between the userspace engine and its clients:
// datagrams of netlink messages over a unix socket of type SOCK_SEQPACKET, the
// same bytes as on AF_NETLINK.
//
// A client's first datagram is a hello that names the protocol (NETLINK_XFRM,
// NETLINK_ROUTE, or the engine's status) and the multicast groups; an
// acknowledgement with the client's port id answers it. From then on both sides
// send netlink datagrams. A client that does not read its events loses some,
// and then reads ENOBUFS, as from the kernel.
//
// Only root and the user that the engine was started as may connect. Linux only.
package nlsock
