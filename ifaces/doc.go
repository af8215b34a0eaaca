// Package ifaces manages XFRM interfaces: the network devices of kind "xfrm"
// that tie routes to SAs and policies by an interface id (if_id).
//
// It creates, lists, changes, adopts, moves and deletes them over rtnetlink,
// in any network namespace without touching the caller's thread, reads back
// what it wrote, and says why the kernel refused: who holds an if_id, which
// module is missing, what a kernel silently left out. MTU computes what fits
// through an SA.
//
// VTIs, their predecessors, are listed, created, changed and deleted too, by
// methods of their own, so that they can be replaced.
//
// It does not install SAs, policies or routes, and it touches no device of
// another kind.
//
// Start with Dial and Conn.Create.
package ifaces
