// Package classify finds the policy of a packet: of all rules whose selector
// matches, the one with the lowest priority number, among equal ones the
// oldest. It is read without locks while one writer changes it.
//
// Rules lie in bins (direction, type, if_id, family). In a bin there is one
// hash table over (length, prefix) for destinations, and below each
// destination another for sources. A lookup asks for each length of prefix
// that is in use, so that its cost depends on how many different lengths there
// are (33 for IPv4, 129 for IPv6 at most), not on how many rules, and lengths
// whose best rule is worse than what was found are not asked for at all. What
// is looked up leaves no trace: nothing grows with traffic.
//
// Rules with the same two prefixes lie in one list in order of priority.
// Start at Table.
package classify
