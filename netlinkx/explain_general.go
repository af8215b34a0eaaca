package netlinkx

import (
	"fmt"
	"syscall"
)

// What migrations are refused for (xfrm_do_migrate of net/xfrm/xfrm_user.c,
// xfrm_policy.c, xfrm_state.c).
var migrateRules = []rule{
	{msgs: bothMigrate, errno: syscall.ENOPROTOOPT, hint: "this kernel was built without CONFIG_XFRM_MIGRATE"},
	{words: "missing required migrate", hint: "a migration names at least one sa: old and new addresses, protocol, mode and reqid"},
	{msgs: []MsgType{MsgMigrate}, errno: syscall.ERANGE, hint: "a migration names at least one sa: old and new addresses, protocol, mode and reqid"},
	{words: "number of sas to migrate", hint: "a migration moves 1 to 6 SAs"},
	{words: "migrate cannot be null", hint: "all four addresses of every entry must be given and must not be unspecified"},
	{words: "migrate must be unique", hint: "two entries name the same old addresses, protocol, mode and reqid"},
	{msgs: bothMigrate, errno: errNoData, hint: "the policy is there, but no sa has an entry's old addresses, protocol, mode and reqid; run: xfrmctl state list"},
	{msgs: bothMigrate, errno: syscall.EEXIST, hint: "an sa with the new destination, the same spi and protocol exists already; run: xfrmctl state list"},
	{words: "invalid spi 0x0", hint: "a migration names the sa by its spi, which must not be 0"},
	{words: "reserved field", hint: "the kernel knows a field that this package does not set: a newer kernel may have changed the message"},
	{msgs: bothMigrate, words: "unknown flags", hint: "migration flags are clear-offload (1) and update-h2h-sel (2)"},
	{words: "selector not single-host match", hint: "update-h2h-sel rewrites a selector of one host to one host only: leave the flag out and give the new selector"},
	{words: "unsupported attribute migrate_state", hint: "a migration takes encap, offload, mark, output mark, mtimer threshold and nat keepalive; the rest is inherited from the old sa"},
	{words: "state already deleted", hint: "the sa went away during the migration; run: xfrmctl state list"},
	{words: "migration clone", say: sayMigrateClone},
	{words: "migrated state", say: sayMigrateClone},
	{words: "clone and setup state", say: sayMigrateClone},
	{words: "migration notification", hint: "the sa moved, but listeners were not told: they must list the SAs again"},
	{msgs: []MsgType{MsgMigrateState}, errno: syscall.EINVAL, bare: true, hint: "this kernel does not know the message: moving one sa needs linux 7.2; move its policy (migrate), or make a new sa"},
	{msgs: []MsgType{MsgMigrate}, errno: syscall.EINVAL, bare: true, hint: "a migration has 1 to 6 entries, each with four addresses that are not unspecified, no two of them alike"},
}

func sayMigrateClone(f *failure) string {
	if f.offload() != nil {
		return "the copy of the sa could not be made: the new offload device may refuse it; try clear-offload in its place"
	}
	return "the copy of the sa could not be made: are the new addresses of one family, and does mode transport keep the selector's?"
}

// Other messages.
var otherRules = []rule{
	{msgs: []MsgType{MsgSetDefault, MsgGetDefault}, errno: syscall.EINVAL, bare: true, hint: "this kernel does not know default actions: they need linux 5.15"},
	{msgs: []MsgType{MsgNewSPDInfo}, errno: syscall.EINVAL, bare: true, hint: "hash thresholds are prefix lengths: at most 32 for inet (hthresh4), 128 for inet6 (hthresh6); they need linux 3.18"},
	{msgs: []MsgType{MsgNewAE}, errno: syscall.EINVAL, bare: true, hint: "nothing to set, or a replay state of another size than the sa's; run: xfrmctl state list"},
}

// Errnos that mean the same for every message.
var generalRules = []rule{
	{errno: syscall.EPERM, hint: "xfrm needs CAP_NET_ADMIN in the user namespace that owns the network namespace, for reading too; run as root, or in a namespace of your own: unshare -rn"},
	{errno: syscall.EACCES, hint: "a security module (selinux, apparmor) refused; run: dmesg | grep -i denied"},
	{errno: syscall.EAFNOSUPPORT, hint: "this kernel has no ipv6 (CONFIG_IPV6, or ipv6.disable=1 on its command line)"},
	{errno: syscall.ERANGE, say: sayRange},
	{words: "failed policy validation", say: sayRange},
	{words: "attribute length", say: sayRange},
	{words: "header length", hint: "this kernel wants a longer fixed part of the message than linux 7.2 does"},
	{errno: syscall.EOPNOTSUPP, say: say32Bit},
	{errno: syscall.ENOBUFS, hint: "the receive buffer was full and answers were lost: read the state again; a larger buffer helps: sysctl net.core.rmem_max"},
	{errno: syscall.ENOMEM, hint: "the kernel has no memory for this, or the message is too large for the socket's send buffer"},
	{errno: syscall.EMSGSIZE, hint: "the message is larger than the socket's send buffer: send fewer requests at once"},
	{errno: syscall.ENODEV, hint: "no such device in this network namespace; run: ip link"},
	{errno: syscall.EBUSY, hint: "the kernel is changing this object, or a dump runs on the same socket: try again"},
	{errno: syscall.EINVAL, bare: true, say: sayOldKernel},
}

func sayRange(f *failure) string {
	switch f.attr {
	case "":
		return "a value or an attribute's length is outside what this kernel takes"
	case AttrSADir.String():
		return "a direction is 1 (in) or 2 (out)"
	}
	return fmt.Sprintf("the value or the length of %s is outside what this kernel takes", f.attr)
}

func say32Bit(f *failure) string {
	if f.wordBits != 32 {
		return ""
	}
	return "a 32-bit program on a 64-bit kernel needs CONFIG_XFRM_USER_COMPAT: use a 64-bit build of this program"
}

// sayOldKernel: EINVAL without a text answers a message type beyond the
// kernel's last.
func sayOldKernel(f *failure) string {
	return fmt.Sprintf("the kernel does not say why: it may be too old for the message %s; kernels before 6.1 give no reasons", f.typ)
}

// explainDial says what a socket's failure to open or to join groups means.
func explainDial(errno syscall.Errno) string {
	switch errno {
	case syscall.EPROTONOSUPPORT:
		return "this kernel has no xfrm (CONFIG_XFRM_USER), or may not load its module; run: modprobe xfrm_user"
	case syscall.EAFNOSUPPORT:
		return "this kernel, or the sandbox around this program, has no netlink"
	case syscall.EPERM, syscall.EACCES:
		return "entering a network namespace needs CAP_SYS_ADMIN in it, joining groups CAP_NET_ADMIN; run as root, or in a namespace of your own: unshare -rn"
	case syscall.ENOENT:
		return "no such network namespace; run: ip netns list"
	case syscall.EINVAL:
		return "the file is not a network namespace, or the kernel does not know a group"
	case syscall.EMFILE, syscall.ENFILE:
		return "too many open files: ulimit -n"
	}
	return ""
}
