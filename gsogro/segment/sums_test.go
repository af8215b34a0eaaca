//go:build !amd64

package segment

// sums are the bodies that this CPU can run.
func sums() map[string]func([]byte) uint16 {
	return map[string]func([]byte) uint16{"generic": sumGeneric, "chosen": Sum}
}
