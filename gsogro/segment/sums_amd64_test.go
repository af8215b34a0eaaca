package segment

// sums are the bodies that this CPU can run.
func sums() map[string]func([]byte) uint16 {
	all := map[string]func([]byte) uint16{"generic": sumGeneric, "chosen": Sum}
	if hasAVX512 {
		all["AVX-512"] = sumAVX512
	}
	if hasAVX2 {
		all["AVX2"] = sumAVX2
	}
	return all
}
