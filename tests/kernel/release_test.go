// Package kernel_test checks on a running kernel what the rest of the tests
// stand on.
package kernel_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

// netlinkXFRM is NETLINK_XFRM of linux/netlink.h.
const netlinkXFRM = 6

// TestKernelRelease names the kernel in the log and asserts that it answers on
// NETLINK_XFRM, which needs CONFIG_XFRM_USER. This
// machine's own kernel may lack it; the kernels of tests/lab may not.
func TestKernelRelease(t *testing.T) {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("kernel %s (%s)", strings.TrimSpace(string(release)), os.Getenv("XFRMCTL_KERNEL"))
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, netlinkXFRM)
	if errors.Is(err, syscall.EPROTONOSUPPORT) && os.Getenv("XFRMCTL_KERNEL") == "native" {
		t.Skip("needs NETLINK_XFRM (CONFIG_XFRM_USER, module xfrm_user); what the kernel has was not compared")
	}
	if err != nil {
		t.Fatalf("open NETLINK_XFRM: %v", err)
	}
	if err := syscall.Close(fd); err != nil {
		t.Errorf("close NETLINK_XFRM: %v", err)
	}
}
