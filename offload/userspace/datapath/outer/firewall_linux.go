package outer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Of include/uapi/linux/netfilter.h and nf_tables.h.
const (
	hookLocalOut    = 3
	hookPostRouting = 4

	nftaChainHook     = 4
	nftaHookNumber    = 1
	nftMsgGetChain    = 4
	subsystemNFTables = 10
	nfgenmsgLen       = 4
)

// Filtered reports whether a firewall may look at packets that this namespace
// sends: chains of nftables in OUTPUT or POSTROUTING, or any table of the older
// iptables. What cannot be found out is an error.
func Filtered() (bool, error) {
	for _, name := range []string{"/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"} {
		b, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		if strings.TrimSpace(string(b)) != "" {
			return true, nil
		}
	}
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return false, nil // a kernel without nfnetlink has no nftables
	}
	if err != nil {
		return false, fmt.Errorf("open netfilter socket: %w", err)
	}
	defer c.Close()
	chains, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: subsystemNFTables<<8 | nftMsgGetChain, Flags: netlink.Request | netlink.Dump},
		Data:   make([]byte, nfgenmsgLen), // of all families
	})
	if errors.Is(err, unix.EINVAL) {
		return false, nil // nfnetlink knows no nftables
	}
	if err != nil {
		return false, fmt.Errorf("list nftables chains: %w", err)
	}
	for _, m := range chains {
		if hooked, err := sees(m.Data); hooked || err != nil {
			return hooked, err
		}
	}
	return false, nil
}

// sees reports whether a chain is hooked to where packets leave.
func sees(m []byte) (hooked bool, err error) {
	if len(m) < nfgenmsgLen {
		return false, errShort
	}
	switch m[0] {
	case unix.NFPROTO_INET, unix.NFPROTO_IPV4, unix.NFPROTO_IPV6:
	default:
		return false, nil // ARP, bridge and device chains see packet sockets' packets as well
	}
	ad, err := netlink.NewAttributeDecoder(m[nfgenmsgLen:])
	if err != nil {
		return false, err
	}
	for ad.Next() {
		if ad.Type() != nftaChainHook {
			continue
		}
		ad.Nested(func(h *netlink.AttributeDecoder) error {
			h.ByteOrder = binary.BigEndian
			for h.Next() {
				if h.Type() == nftaHookNumber {
					n := h.Uint32()
					hooked = n == hookLocalOut || n == hookPostRouting
				}
			}
			return nil
		})
	}
	return hooked, ad.Err()
}
