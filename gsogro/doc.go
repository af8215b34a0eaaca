// Package gsogro reads and sets what decides how large the packets are that a
// network device and IPsec hand to each other: receive and segmentation
// offloads (ethtool netlink), their sizes (rtnetlink), and how the receive path
// is polled (sysfs).
//
// The kernel answers "done" to requests that it did not carry out: a bit that
// is fixed, one that depends on another that is off. So everything set is read
// back; when a part is refused the whole is taken back, and the answer says
// why. See Conn.Apply.
//
// Package segment below it is the other half of the subject: it cuts and joins
// packets for the userspace engine, and touches no device.
//
// Start with Dial.
package gsogro
