package offload

import (
	"strings"
	"syscall"
	"testing"
)

var errnos = map[string]syscall.Errno{
	"OK": 0, "EINVAL": syscall.EINVAL, "EOPNOTSUPP": syscall.EOPNOTSUPP, "ENOSPC": syscall.ENOSPC, "EBUSY": syscall.EBUSY,
	"ENODEV": syscall.ENODEV, "EACCES": syscall.EACCES,
}

// TestEveryTextIsExplained gives the kernel's words back, as drivers send them.
func TestEveryTextIsExplained(t *testing.T) {
	all := packs(t)
	for driver, p := range all {
		module := driver
		if module == "" {
			module = "core"
		}
		for _, r := range p.Rules {
			if r.Text == "" {
				continue
			}
			x, ok := Explain(all, driver, errnos[r.Errno], module+": "+r.Text)
			if !ok || x.Fix == "" || x.Cause == "" {
				t.Errorf("%s: %q is not explained: %+v", driver, r.Text, x)
			}
		}
		for _, a := range p.Answers {
			errno, known := errnos[a.Errno]
			if !known {
				t.Errorf("%s: unknown errno %s", driver, a.Errno)
			}
			for _, text := range []string{a.Text, a.Text + "."} {
				if a.Text == "" {
					text = ""
				}
				x, ok := Explain(all, driver, errno, text)
				if !ok || x.Cause != a.Cause && x.Rule == "" {
					t.Errorf("%s: %s %q is explained as %+v, want %q", driver, a.Errno, text, x, a.Cause)
				}
			}
		}
	}
}

func TestExplain(t *testing.T) {
	all := packs(t)
	tests := []struct {
		name, driver string
		errno        syscall.Errno
		text         string
		fix          string // "" unknown
	}{
		{"of the driver", "mlx5_core", syscall.EINVAL, "mlx5_core: Cannot offload without reqid", "reqid"},
		{"longer than known", "mlx5_core", syscall.EINVAL, "Cannot offload without reqid (0)", "reqid"},
		{"without the driver", "", syscall.ENOSPC, "ixgbe: No space for SA in Tx table", "delete outbound SAs"},
		{"another driver", "veth", syscall.EINVAL, "XFRM if_id is not supported in RX path", "outbound"},
		{"errno alone", "mlx5_core", syscall.EBUSY, "", "eswitch"},
		{"new words for a full table", "mlx5_core", syscall.ENOSPC, "table is full", "delete SAs"},
		{"a full table in 6.1", "netdevsim", syscall.ENOSPC, "Device failed to offload this state", "delete SAs"},
		{"no reason at all", "netdevsim", syscall.EINVAL, "Device failed to offload this state", "dmesg"},
		{"mlx5 is busy", "mlx5_core", syscall.EBUSY, "Device failed to offload this state", "eswitch"},
		{"a kernel's own errno", "netdevsim", 524, "", "crypto offload or none"},
		{"unknown", "mlx5_core", syscall.EINVAL, "the moon is full", ""},
		{"unknown errno", "", syscall.ENOMEM, "", ""},
	}
	for _, tt := range tests {
		x, ok := Explain(all, tt.driver, tt.errno, tt.text)
		if ok != (tt.fix != "") || !strings.Contains(x.Fix, tt.fix) {
			t.Errorf("%s: %+v, %v, want a fix that says %q", tt.name, x, ok, tt.fix)
		}
	}
}
