package netlinkx

import (
	"fmt"
	"syscall"
)

// What hardware offload is refused for (net/xfrm/xfrm_device.c).
var offloadRules = []rule{
	{words: "unrecognized flags offload", say: sayOffloadFlags},
	{words: "mismatched offload direction", hint: "`offload ... dir` and the sa's own `dir` must name the same direction"},
	{words: "unrecognized offload direction", hint: "policies are offloaded in the directions in, out and fwd only"},
	{words: "if_id not supported rx path", hint: "this kernel offloads no inbound sa that has an if_id (6.16 and later); leave out the if_id or the offload"},
	{words: "tfc padding can't be offloaded", hint: "tfc padding needs software esp: leave out tfcpad or the offload; kernels before 6.11 refuse encapsulation here as well"},
	{words: "offload with esn", hint: "the device cannot follow 64-bit sequence numbers: leave out the esn flag or the offload"},
	{words: "type doesn't support offload", say: sayOffloadType},
	{words: "policy offload is not supported", hint: "this device's driver offloads no policies (packet offload); SAs may still use crypto offload; run: ethtool -k DEV | grep esp"},
	{errno: syscall.EACCES, say: sayIfOffload("the virtual function is not trusted, or ipsec for virtual functions is off; run: ip link set PF vf N trust on; ethtool --set-priv-flags PF vf-ipsec on")},
	{errno: syscall.ENOSPC, say: sayIfOffload("the nic's table of SAs or policies is full: delete some, or leave out the offload; run: xfrmctl state count")},
	{words: "no space for sa", hint: "the nic's table of SAs is full: delete some, or leave out the offload; run: xfrmctl state count"},
	{errno: syscall.EBUSY, say: sayIfOffload("the nic is in a state that excludes ipsec: tc rules are offloaded, its eswitch changes, or a virtual function uses ipsec; run: devlink dev eswitch show; tc filter show dev DEV ingress")},
	{errno: syscall.ENODEV, say: sayIfOffload("no device of the bond can take the sa now: is there an active slave?; run: cat /proc/net/bonding/DEV")},
	{errno: syscall.EOPNOTSUPP, say: sayOffloadRefused},
	{errno: errNotSupported, say: sayOffloadRefused},
	{words: "device failed to offload", say: sayOffloadRefused},
	{errno: syscall.EINVAL, bare: true, msgs: writePolicy, say: sayIfOffload("the offload device of a policy must exist in this network namespace; its index is not looked up by route as for SAs; run: ip link")},
}

// sayIfOffload answers for requests that ask for offload.
func sayIfOffload(hint string) func(*failure) string {
	return func(f *failure) string {
		if f.offload() == nil {
			return ""
		}
		return hint
	}
}

func sayOffloadFlags(f *failure) string {
	o := f.offload()
	_, policy := f.obj.(*Policy)
	switch {
	case o == nil:
		return "the offload request has flags that this kernel does not know"
	case policy:
		return fmt.Sprintf("policies take the flag packet and no other, this request has %#x", uint8(o.Flags))
	case o.Flags&OffloadPacket != 0:
		return "kernels before 6.2 know no packet offload: ask for crypto offload"
	}
	return fmt.Sprintf("the kernel does not know all of the offload flags %#x", uint8(o.Flags))
}

func sayOffloadType(f *failure) string {
	sa := f.sa()
	if sa == nil {
		return "only esp can be offloaded"
	}
	if sa.Proto != ProtoESP {
		return fmt.Sprintf("only esp can be offloaded, not %s", sa.Proto)
	}
	n := ipVersion(sa.ID())
	return fmt.Sprintf("the module esp%d_offload is not there (CONFIG_INET%s_ESP_OFFLOAD); run: modprobe esp%d_offload", n, six(n), n)
}

func sayOffloadRefused(f *failure) string {
	o := f.offload()
	switch {
	case o == nil:
		return ""
	case o.Flags&OffloadPacket != 0:
		return "the nic, its driver, or the bond's active slave cannot carry this whole (packet offload): try crypto offload, or without; run: ethtool -i DEV; ethtool -k DEV | grep esp"
	}
	return "the nic or its driver refuses this combination of algorithm, mode and flags: most take rfc4106(gcm(aes)) with a 128-bit icv only; run: ethtool -i DEV"
}

// packetOffloadFault is what packet offload fails for without a text.
func packetOffloadFault(o *Offload) string {
	dev := fmt.Sprintf("the device with index %d", o.IfIndex)
	if o.IfIndex == 0 {
		dev = "the device of the route between the addresses"
	}
	return dev + " must exist in this network namespace and its driver must do packet offload; run: ip link; ethtool -k DEV | grep esp-hw-offload"
}

// ipVersion returns 4 or 6.
func ipVersion(id SAID) int {
	if orIPv4(familyOf(id.Family, id.Dst, id.Src)) == FamilyIPv6 {
		return 6
	}
	return 4
}

// six is the digit in names like CONFIG_INET6_ESP.
func six(n int) string {
	if n == 6 {
		return "6"
	}
	return ""
}
