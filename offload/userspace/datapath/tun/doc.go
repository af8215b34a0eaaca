// Package tun makes and drives TUN devices: the network interfaces whose
// packets the userspace ESP engine carries.
//
// A device hands out whole IP packets, each behind a virtio_net_hdr of HeaderLen
// bytes, and with it super-packets of up to 64 KiB that the reader has to cut
// (TSO, USO), and takes such super-packets back. It may have several queues, so
// that each packet thread has one of its own.
//
// Start with Create.
package tun

// HeaderLen is the length of the virtio_net_hdr before each packet (struct
// virtio_net_hdr of linux/virtio_net.h, in the host's byte order).
const HeaderLen = 10

// MaxPacket is the most bytes that a read returns, header included.
const MaxPacket = HeaderLen + 65535
