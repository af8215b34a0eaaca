// Package pmtu is path MTU discovery on both sides of a tunnel: it reads the
// ICMP errors that come from outside (Quote), remembers what they taught
// (Table), and writes the ones that go inward (AppendTooBig).
//
// Anybody can send an ICMP error. Quote therefore hands out the SPI that the
// error quotes, and a caller must believe it only when an SA of its own has
// sent that (RFC 4301 section 8.2.1); Table bounds what a forged one can do:
// never below the floor, not too often, not for long. Pure: the caller brings
// packets and the time.
package pmtu
