package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// devices translates between names and indexes of network devices, in the
// namespace of -n. What it found it keeps for the run. It opens its socket
// with the first question.
type devices struct {
	open    func() (linkConn, error)
	conn    linkConn
	names   map[int32]string
	indexes map[string]int32
}

// linkConn is the socket, or a test's.
type linkConn interface {
	Execute(netlink.Message) ([]netlink.Message, error)
	Close() error
}

// dialLinks opens a routing socket in the run's namespace.
func (e *env) dialLinks() (linkConn, error) {
	cfg := &netlink.Config{Strict: true}
	if e.netnsFD != nil {
		cfg.NetNS = int(e.netnsFD.Fd())
	}
	return netlink.Dial(unix.NETLINK_ROUTE, cfg)
}

// index finds a device by name, alternative name, or ifN.
func (d *devices) index(name string) (int32, error) {
	if i, ok := d.indexes[name]; ok {
		return i, nil
	}
	typ := uint16(unix.IFLA_IFNAME)
	if len(name) >= unix.IFNAMSIZ {
		typ = unix.IFLA_ALT_IFNAME
	}
	i, _, err := d.get(0, netlink.Attribute{Type: typ, Data: append([]byte(name), 0)})
	if err != nil {
		if n, ok := strings.CutPrefix(name, "if"); ok {
			if v, perr := strconv.ParseUint(n, 10, 31); perr == nil && v > 0 {
				return int32(v), nil
			}
		}
		return 0, fmt.Errorf("device %q: %w", name, err)
	}
	if d.indexes == nil {
		d.indexes = make(map[string]int32)
	}
	d.indexes[strings.Clone(name)] = i // words of a batch do not last
	return i, nil
}

// name returns a device's name, or ifN when there is none.
func (d *devices) name(index int32) string {
	if n, ok := d.names[index]; ok {
		return n
	}
	_, n, err := d.get(index)
	if err != nil || n == "" {
		n = fmt.Sprintf("if%d", index)
	}
	if d.names == nil {
		d.names = make(map[int32]string)
	}
	d.names[index] = n
	return n
}

// get asks the kernel for one link.
func (d *devices) get(index int32, attrs ...netlink.Attribute) (int32, string, error) {
	if d.conn == nil {
		c, err := d.open()
		if err != nil {
			return 0, "", err
		}
		d.conn = c
	}
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	b, err := netlink.MarshalAttributes(attrs)
	if err != nil {
		return 0, "", err
	}
	msgs, err := d.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request},
		Data:   append(body, b...),
	})
	if err != nil {
		return 0, "", linkError(err)
	}
	for _, m := range msgs {
		if m.Header.Type == unix.RTM_NEWLINK {
			return decodeLink(m.Data)
		}
	}
	return 0, "", unix.ENODEV
}

// linkError keeps the errno alone: the caller names the device.
func linkError(err error) error {
	var op *netlink.OpError
	if errors.As(err, &op) {
		if sys, ok := op.Err.(*os.SyscallError); ok {
			return sys.Err
		}
		return op.Err
	}
	return err
}

// decodeLink reads index and name from a link message.
func decodeLink(b []byte) (int32, string, error) {
	if len(b) < unix.SizeofIfInfomsg {
		return 0, "", fmt.Errorf("link message of %d bytes", len(b))
	}
	index := binary.NativeEndian.Uint32(b[4:])
	if index > math.MaxInt32 {
		return 0, "", fmt.Errorf("link index %d", index)
	}
	ad, err := netlink.NewAttributeDecoder(b[unix.SizeofIfInfomsg:])
	if err != nil {
		return 0, "", err
	}
	name := ""
	for ad.Next() {
		if ad.Type() == unix.IFLA_IFNAME {
			name = ad.String()
		}
	}
	return int32(index), name, ad.Err()
}

// forget drops what is known, after devices may have changed.
func (d *devices) forget() { d.names, d.indexes = nil, nil }

func (d *devices) close() {
	if d.conn != nil {
		_ = d.conn.Close()
	}
}
