//go:build !amd64 && !arm64

package confine

// There is no list for this machine.
const arch = 0

var plain []uint32
