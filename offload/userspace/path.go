package userspace

// PathConfig tunes the data path. The zero value finds out what the kernel can
// do and uses it.
type PathConfig struct {
	// Queues is how many packet threads there are; 0: one for two CPUs.
	Queues int
	// NoGSO switches off sending many packets with one call (UDP_SEGMENT), for
	// kernels or network cards that get it wrong.
	NoGSO bool
	// NoGRO switches off receiving merged packets (UDP_GRO) and merging what
	// was decrypted.
	NoGRO bool
	// NoTSO and NoUSO switch off super-packets of TCP and UDP from devices.
	NoTSO, NoUSO bool
	// NoDirect switches off packet sockets for plain ESP: all of it passes the
	// routing of the kernel, and its firewall.
	NoDirect bool
}
