//go:build !amd64 || purego

package esp

func haveVAES() bool { return false }

// vaesRounds and vaesKey are never used where there is no assembly.
type vaesRounds struct{}

type vaesKey struct{ vaesRounds }

func (k *vaesRounds) expand([]byte) {}

func (k *vaesRounds) invert(*vaesRounds) {}

func (k *vaesKey) hashKey() {}

func vaesSeal(*vaesKey, *byte, *byte, int, uint64, uint64, uint64, uint64, int) (lo, hi uint64) {
	return 0, 0
}

func vaesOpen(*vaesKey, *byte, *byte, int, uint64, uint64, uint64, uint64, int) (lo, hi uint64) {
	return 0, 0
}

func vaesCTR(*vaesRounds, *byte, *byte, int, *[16]byte) {}

func vaesCBCSeal(*vaesRounds, *byte, *byte, int, *[16]byte) {}

func vaesCBCOpen(*vaesRounds, *byte, *byte, int) {}
