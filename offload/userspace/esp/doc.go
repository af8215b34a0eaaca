// Package esp is the ESP transform of RFC 4303: it seals payloads into ESP
// packets and opens them again, in place and without allocation.
//
// A Cipher holds the keys of one SA. Seal and Open know the packet from the
// SPI to the ICV and nothing around it: no IP headers, no replay window, no
// SAD, and they never choose a sequence number or the counter of a
// counter-mode IV; those come from the caller, who answers for their being
// unique.
//
// Algorithms carry the names that Linux uses (net/xfrm/xfrm_algo.c).
//
// Start with New.
package esp
