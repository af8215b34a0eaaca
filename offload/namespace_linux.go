package offload

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// newNamespace makes a network namespace that lives as long as the file is
// open.
func newNamespace() (*os.File, error) {
	type result struct {
		f   *os.File
		err error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- result{nil, os.NewSyscallError("unshare", err)}
			return
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		done <- result{f, err}
	}()
	r := <-done
	return r.f, r.err
}

// probeInterface makes an XFRM interface in the namespace, which goes with it.
func probeInterface(ns *os.File) Outcome {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{NetNS: int(ns.Fd()), Strict: true})
	if err != nil {
		return Outcome{Why: err.Error()}
	}
	defer conn.Close() // the namespace goes next
	ae := netlink.NewAttributeEncoder()
	ae.String(unix.IFLA_IFNAME, "probe0")
	ae.Nested(unix.IFLA_LINKINFO, func(ae *netlink.AttributeEncoder) error {
		ae.String(unix.IFLA_INFO_KIND, "xfrm")
		ae.Nested(unix.IFLA_INFO_DATA, func(ae *netlink.AttributeEncoder) error {
			ae.Uint32(unix.IFLA_XFRM_IF_ID, 1)
			return nil
		})
		return nil
	})
	attrs, err := ae.Encode()
	if err != nil {
		return Outcome{Why: err.Error()}
	}
	_, err = conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_NEWLINK, Flags: netlink.Request | netlink.Acknowledge | netlink.Create | netlink.Excl},
		Data:   append(make([]byte, unix.SizeofIfInfomsg), attrs...),
	})
	if err == nil {
		return there
	}
	o := Outcome{Known: errors.Is(err, unix.EOPNOTSUPP), Why: fmt.Sprintf("%v", errors.Unwrap(err)), Fix: "load module xfrm_interface, or use a kernel with CONFIG_XFRM_INTERFACE; or run the userspace engine: xfrmctl esp"}
	var op *netlink.OpError
	if errors.As(err, &op) && op.Message != "" {
		o.Why += ": " + op.Message
	}
	return o
}
