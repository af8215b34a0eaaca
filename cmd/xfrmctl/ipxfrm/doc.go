// Package ipxfrm is the language of `ip xfrm`, both ways: Parse turns its
// words into netlinkx values, Printer turns values into its text or JSON.
//
// The grammar is a table (see grammar.go); Usage, Complete, ManSections and
// the suggestions in errors read the same one. Nothing here asks the kernel,
// prints, or reads the environment: what parsing needs from outside comes in a
// Context.
//
// Differences from ip are listed in docs/differences.md.
package ipxfrm
