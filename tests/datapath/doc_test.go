// Package datapath tests the devices and sockets of the userspace engine's data
// path on a real kernel: TUN devices in namespaces, UDP and raw ESP sockets over a
// veth pair.
package datapath
