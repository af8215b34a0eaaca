//go:build !amd64

package segment

func sum(b []byte) uint16 { return sumGeneric(b) }
