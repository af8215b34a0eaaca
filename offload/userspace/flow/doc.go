// Package flow looks into inner packets: Dissect finds what a policy selector
// compares, and what building an outer header needs; Reassembler puts
// fragments together where ESP must have whole datagrams (transport mode).
//
// It decodes as Linux does for policy lookups (kernel: __xfrm_decode_session,
// since 6.7 by the flow dissector, stopping at the first encapsulation), so
// that a packet meets the same policy on either engine. It verifies no
// checksums and decides nothing. Pure: no sockets, no clock of its own, no
// allocation per packet.
package flow
