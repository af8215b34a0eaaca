// Package provision brings a network namespace from whatever IPsec state it is
// in to the one that is wanted: XFRM interfaces with their addresses, SAs,
// policies and routes.
//
// Plan is a pure function from (wanted, observed, what is known to be ours) to
// steps. It keeps two laws. After every prefix of the steps, traffic that both
// the old and the new state protect is protected or dropped, never sent in
// clear. And what was reached needs no further step. Run observes, plans,
// writes down what it is about to make, carries the steps out, reads back, and
// takes its own steps back when one fails.
//
// Objects that others made are never changed or deleted: ours is what the
// ledger of the state directory names and what has its reqid or if_id in the
// owner's ranges.
//
// Start with Plan, or with Open and Session.Apply.
package provision
