package outer

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// What a neighbour may be in to be believed, from include/uapi/linux/neighbour.h.
const neighbourGood = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT

// Hop finds the neighbour that packets from src to dst go to. It may change at
// any time: ask again every second, and send a packet by an ordinary socket then,
// so that the kernel keeps an eye on the neighbour.
func (r *Routes) Hop(src, dst netip.Addr, mark, device uint32) (Hop, error) {
	via, index, err := r.next(src, dst, mark, device)
	if err != nil {
		return Hop{}, err
	}
	if err := r.ethernet(index); err != nil {
		return Hop{}, err
	}
	ae := netlink.NewAttributeEncoder()
	ae.Bytes(unix.NDA_DST, via.AsSlice())
	attrs, err := ae.Encode()
	if err != nil {
		return Hop{}, err
	}
	head := make([]byte, unix.SizeofNdMsg)
	head[0] = byte(family(via))
	binary.NativeEndian.PutUint32(head[4:], index)
	replies, err := r.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETNEIGH, Flags: netlink.Request}, Data: append(head, attrs...),
	})
	if err != nil || len(replies) == 0 || len(replies[0].Data) < unix.SizeofNdMsg {
		return Hop{}, ErrNoHop
	}
	h := Hop{Index: int(index)}
	return h, h.neighbour(replies[0].Data)
}

// neighbour takes the address from an RTM_NEWNEIGH.
func (h *Hop) neighbour(m []byte) error {
	if binary.NativeEndian.Uint16(m[8:])&neighbourGood == 0 {
		return ErrNoHop
	}
	ad, err := netlink.NewAttributeDecoder(m[unix.SizeofNdMsg:])
	if err != nil {
		return err
	}
	for ad.Next() {
		if ad.Type() == unix.NDA_LLADDR && len(ad.Bytes()) == len(h.MAC) {
			copy(h.MAC[:], ad.Bytes())
			return nil
		}
	}
	return ErrNoHop
}

// next asks for the route as packets would take it: the next hop's address and
// the device's index.
func (r *Routes) next(src, dst netip.Addr, mark, device uint32) (via netip.Addr, index uint32, err error) {
	ae := netlink.NewAttributeEncoder()
	ae.Bytes(unix.RTA_DST, dst.AsSlice())
	ae.Bytes(unix.RTA_SRC, src.AsSlice())
	ae.Uint32(unix.RTA_MARK, mark)
	ae.Uint32(unix.RTA_OIF, device)
	attrs, err := ae.Encode()
	if err != nil {
		return via, 0, err
	}
	head := make([]byte, unix.SizeofRtMsg)
	head[0], head[1], head[2] = byte(family(dst)), byte(dst.BitLen()), byte(src.BitLen())
	replies, err := r.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETROUTE, Flags: netlink.Request}, Data: append(head, attrs...),
	})
	if err != nil {
		return via, 0, err
	}
	if len(replies) == 0 || len(replies[0].Data) < unix.SizeofRtMsg || replies[0].Data[7] != unix.RTN_UNICAST {
		return via, 0, ErrNoHop
	}
	ad, err := netlink.NewAttributeDecoder(replies[0].Data[unix.SizeofRtMsg:])
	if err != nil {
		return via, 0, err
	}
	via = dst
	for ad.Next() {
		switch ad.Type() {
		case unix.RTA_OIF:
			index = ad.Uint32()
		case unix.RTA_GATEWAY:
			via, _ = netip.AddrFromSlice(ad.Bytes())
		case unix.RTA_VIA, unix.RTA_ENCAP, unix.RTA_MULTIPATH:
			return via, 0, ErrNoHop
		}
	}
	return via, index, ad.Err()
}

// ethernet refuses devices that are not Ethernet, not up, or the loopback.
func (r *Routes) ethernet(index uint32) error {
	head := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(head[4:], index)
	replies, err := r.conn.Execute(netlink.Message{Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request}, Data: head})
	if err != nil {
		return fmt.Errorf("link %d: %w", index, err)
	}
	if len(replies) == 0 || len(replies[0].Data) < unix.SizeofIfInfomsg {
		return errShort
	}
	m := replies[0].Data
	flags := binary.NativeEndian.Uint32(m[8:])
	if binary.NativeEndian.Uint16(m[2:]) != unix.ARPHRD_ETHER || flags&unix.IFF_UP == 0 || flags&(unix.IFF_NOARP|unix.IFF_LOOPBACK) != 0 {
		return ErrNoHop
	}
	return nil
}
