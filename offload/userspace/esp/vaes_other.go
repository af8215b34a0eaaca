//go:build !amd64 || purego

package esp

func haveVAES() bool { return false }

// vaesKey is never used where there is no assembly.
type vaesKey struct{}

func (k *vaesKey) expand([]byte) {}

func (k *vaesKey) hashKey() {}

func vaesSeal(*vaesKey, *byte, *byte, int, uint64, uint64, uint64, uint64, int) (lo, hi uint64) {
	return 0, 0
}

func vaesOpen(*vaesKey, *byte, *byte, int, uint64, uint64, uint64, uint64, int) (lo, hi uint64) {
	return 0, 0
}

func vaesCTR(*vaesKey, *byte, *byte, int, *[16]byte) {}
