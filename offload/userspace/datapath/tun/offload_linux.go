package tun

import "golang.org/x/sys/unix"

// Offloads says which super-packets a device hands out.
type Offloads struct {
	// Checksum: packets may come with a checksum that is still to be completed.
	Checksum bool
	TSO      bool // TCP over IPv4 and IPv6
	USO      bool // UDP over IPv4 and IPv6, Linux 6.2
}

// setOffloads asks for as much as the kernel knows. Unknown bits refuse the
// whole request with EINVAL, so it is repeated with less.
func setOffloads(fd int, c Config) Offloads {
	const (
		tso = unix.TUN_F_TSO4 | unix.TUN_F_TSO6
		uso = unix.TUN_F_USO4 | unix.TUN_F_USO6
	)
	tries := []struct {
		bits int
		is   Offloads
	}{
		{unix.TUN_F_CSUM | tso | uso, Offloads{Checksum: true, TSO: true, USO: true}},
		{unix.TUN_F_CSUM | tso, Offloads{Checksum: true, TSO: true}},
		{unix.TUN_F_CSUM | uso, Offloads{Checksum: true, USO: true}},
		{unix.TUN_F_CSUM, Offloads{Checksum: true}},
	}
	for _, t := range tries {
		if t.is.TSO && c.NoTSO || t.is.USO && c.NoUSO {
			continue
		}
		if unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, t.bits) == nil {
			return t.is
		}
	}
	return Offloads{}
}
