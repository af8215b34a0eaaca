// Package server answers netlink requests to the userspace engine: those of
// NETLINK_XFRM on a sadb.DB, and link messages about the engine's XFRM
// interfaces. A client cannot tell it from Linux 7.2: the same checks of
// messages and attributes in the same order, the same errnos, texts and offsets
// in acknowledgements, the same bytes in answers, dumps and events.
//
// What is the same for every message is in dispatch.go and attrs.go (the
// kernel's netlink_rcv_skb and xfrm_user_rcv_msg); what a message does, in
// xfrm_*.go; links in link_*.go. Connections are those of package nlsock.
package server
