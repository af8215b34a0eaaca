// Package segment is segmentation and coalescing for the userspace engine: what
// a NIC does for the kernel (TSO, USO, GRO), done on packets that come from and
// go to a TUN device with a virtio header (IFF_VNET_HDR).
//
//   - Splitter cuts a super-packet into segments, in its own buffer: payload
//     never moves.
//   - Coalescer merges received packets into super-packets. They are opened
//     (decrypted) to the place where their payload belongs.
//   - Sum is the Internet checksum, as fast as this CPU can.
//
// Splitting what was coalesced gives the same packets, to the byte; the
// exceptions are listed at Coalescer. Pure: no sockets, no allocation per
// packet, nothing safe for concurrent use unless it says so.
package segment
