package ifaces

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// KindError tells that a device is not of the kind that was meant, and was left
// alone.
type KindError struct {
	Op, Name string
	Kind     string // of the link, "" for hardware and loopback
	Want     string // what it should be, "" an XFRM interface
}

// Error returns one line.
func (e *KindError) Error() string {
	kind := e.Kind
	if kind == "" {
		kind = "without kind"
	} else {
		kind = "of kind " + kind
	}
	return fmt.Sprintf("%s %s: it is a device %s, not %s", e.Op, e.Name, kind, cmp.Or(e.Want, Kind))
}

// Difference is one field of an interface that is not as it should be.
type Difference struct {
	Field      string // "kind", "if_id", "external", "dev", "mtu", "state", "alias"
	Want, Have string
}

// MismatchError tells that an interface is not what was asked for: one to be
// adopted, or one that the kernel made otherwise than it was told.
type MismatchError struct {
	Op, Name    string
	Differences []Difference
}

// Error returns one line.
func (e *MismatchError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: ", e.Op, e.Name)
	for i, d := range e.Differences {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s is %s, not %s", d.Field, d.Have, d.Want)
	}
	return b.String()
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func notFound(op, object string) error {
	return &netlinkx.Error{Op: op, Object: object, Errno: syscall.ENODEV}
}

// kernelError makes a *netlinkx.Error of what the netlink library returns.
// Contexts that ended and other failures of the socket keep their identity.
func kernelError(r request, err error) error {
	e := &netlinkx.Error{Op: r.op, Object: r.object}
	if !errors.As(err, &e.Errno) {
		return fmt.Errorf("%s: %w", strings.TrimSpace(r.op+" "+r.object), err)
	}
	var op *netlink.OpError
	if errors.As(err, &op) {
		e.Text, e.Offset = op.Message, op.Offset
	}
	if e.Offset != 0 {
		if b, merr := r.msg.MarshalBinary(); merr == nil {
			e.Attr = attributeAt(b, e.Offset-16, headerLength(r.typ))
		}
	}
	e.Hint = hint(e)
	return e
}

// hint says what to do about a refusal.
func hint(e *netlinkx.Error) string {
	has := func(part string) bool { return strings.Contains(strings.ToLower(e.Text), part) }
	switch {
	case e.Errno == syscall.EOPNOTSUPP && has("device type") && e.Op == "create vti":
		return "the kernel has no VTIs: load module ip_vti or ip6_vti, or use a kernel with CONFIG_NET_IPVTI and CONFIG_IPV6_VTI; XFRM interfaces need neither: xfrmctl iface add"
	case e.Errno == syscall.EBUSY && e.Op == "rename interface":
		return "before Linux 6.2 an interface must be down to be renamed"
	case e.Errno == syscall.EOPNOTSUPP && has("device type"):
		return "the kernel has no XFRM interfaces: load module xfrm_interface, or use a kernel with CONFIG_XFRM_INTERFACE; or run the userspace engine: xfrmctl esp"
	case e.Errno == syscall.EPERM:
		return "this needs CAP_NET_ADMIN in the network namespace, and in the one that the interface was made in"
	case e.Errno == syscall.EINVAL && has("if_id must be non zero"):
		return "give an if_id from 1 to 4294967295; external interfaces need Linux 6.1"
	case e.Errno == syscall.EINVAL && has("collect_md"):
		return "an interface cannot become external or cease to be: delete it and create another"
	case e.Errno == syscall.EINVAL && has("link and if_id must be zero"):
		return "an external interface takes neither an if_id nor an underlying device"
	case e.Errno == syscall.EINVAL && e.Text == "" && e.Op == "change interface":
		return "only the if_id can change: not the underlying device"
	case e.Errno == syscall.EBUSY && has("ifindex"):
		return "the ifindex is taken in the target namespace"
	}
	return ""
}

// ackText returns the extended-ack text of an ack without error, or "".
//
//	0..3    4..19                 20…
//	errno   header of request     attributes, behind the request unless NLM_F_CAPPED
func ackText(m netlink.Message) string {
	const attrMsg = 1 // NLMSGERR_ATTR_MSG
	if m.Header.Type != netlink.Error || m.Header.Flags&netlink.AcknowledgeTLVs == 0 || len(m.Data) < 20 {
		return ""
	}
	at := 20
	if m.Header.Flags&netlink.Capped == 0 {
		at = 4 + int(binary.NativeEndian.Uint32(m.Data[4:]))
	}
	if at < 20 || at > len(m.Data) {
		return ""
	}
	ad, err := netlink.NewAttributeDecoder(m.Data[at:])
	if err != nil {
		return ""
	}
	for ad.Next() {
		if ad.Type() == attrMsg {
			return ad.String()
		}
	}
	return ""
}
