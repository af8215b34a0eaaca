// Package rtnl carries rtnetlink messages: one with its answer, and many with
// few system calls and one acknowledgement for some hundred. It knows nothing of
// what is in them.
//
// Start with Dial and New.
package rtnl
