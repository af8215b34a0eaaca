package tun

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Change says what Set changes; zero fields stay as they are.
type Change struct {
	MTU      int
	Up, Down bool
	Name     string
	// Namespace is a descriptor of the network namespace to move to, 0 for
	// none. The device is down afterwards and has lost addresses and routes;
	// its queues work on.
	Namespace int
	// TxQueueLen is how many packets wait for a reader, 0 leaves it.
	TxQueueLen int
	// GSOMaxSize bounds super-packets, in bytes; 0 leaves it.
	GSOMaxSize int
	// GSOMaxSegs bounds the segments of a super-packet; 0 leaves it.
	GSOMaxSegs int
}

// NetNS opens the network namespace in which the device is now. The caller
// closes the descriptor.
func (d *Device) NetNS() (int, error) {
	fd, err := unix.IoctlRetInt(d.queues[0].fd, unix.TUNGETDEVNETNS)
	if err != nil {
		return -1, os.NewSyscallError("ioctl TUNGETDEVNETNS", err)
	}
	unix.CloseOnExec(fd)
	return fd, nil
}

// Set changes the device, in whatever namespace it is. Errors are those of
// RTM_NEWLINK, with the kernel's text.
func (d *Device) Set(c Change) error {
	name, err := d.Name()
	if err != nil {
		return fmt.Errorf("change tun device: %w", err)
	}
	if err := d.set(name, c); err != nil {
		return fmt.Errorf("change tun device %s: %w", name, err)
	}
	return nil
}

func (d *Device) set(name string, c Change) error {
	ns, err := d.NetNS()
	if err != nil {
		return err
	}
	defer unix.Close(ns)
	cfg := &netlink.Config{Strict: true}
	if !isOwn(ns) { // else there is no need for the right to enter it
		cfg.NetNS = ns
	}
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	index, err := indexByName(conn, name)
	if err != nil {
		return err
	}
	body, err := c.encode(index)
	if err != nil {
		return err
	}
	_, err = conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_NEWLINK, Flags: netlink.Request | netlink.Acknowledge},
		Data:   body,
	})
	return err
}

// isOwn reports whether ns is the network namespace of the calling thread.
func isOwn(ns int) bool {
	var a, b unix.Stat_t
	if unix.Fstat(ns, &a) != nil || unix.Stat("/proc/thread-self/ns/net", &b) != nil {
		return false
	}
	return a.Ino == b.Ino && a.Dev == b.Dev
}

// indexByName asks for the device's index in the namespace of conn.
func indexByName(conn *netlink.Conn, name string) (int32, error) {
	ae := netlink.NewAttributeEncoder()
	ae.String(unix.IFLA_IFNAME, name)
	attrs, err := ae.Encode()
	if err != nil {
		return 0, err
	}
	replies, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request},
		Data:   append(make([]byte, unix.SizeofIfInfomsg), attrs...),
	})
	if err != nil {
		return 0, err
	}
	if len(replies) == 0 || len(replies[0].Data) < unix.SizeofIfInfomsg {
		return 0, fmt.Errorf("get link %s: short answer", name)
	}
	return int32(binary.NativeEndian.Uint32(replies[0].Data[4:])), nil
}

// encode makes an ifinfomsg and its attributes.
func (c Change) encode(index int32) ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	if c.Name != "" {
		ae.String(unix.IFLA_IFNAME, c.Name)
	}
	for _, a := range []struct {
		attr  uint16
		value int
	}{
		{unix.IFLA_MTU, c.MTU},
		{unix.IFLA_TXQLEN, c.TxQueueLen},
		{unix.IFLA_GSO_MAX_SIZE, c.GSOMaxSize},
		{unix.IFLA_GSO_MAX_SEGS, c.GSOMaxSegs},
		{unix.IFLA_NET_NS_FD, c.Namespace},
	} {
		if a.value != 0 {
			ae.Uint32(a.attr, uint32(a.value))
		}
	}
	attrs, err := ae.Encode()
	if err != nil {
		return nil, err
	}
	head := make([]byte, unix.SizeofIfInfomsg)
	native := binary.NativeEndian
	native.PutUint32(head[4:], uint32(index))
	if c.Up || c.Down {
		native.PutUint32(head[12:], unix.IFF_UP)
	}
	if c.Up {
		native.PutUint32(head[8:], unix.IFF_UP)
	}
	return append(head, attrs...), nil
}
