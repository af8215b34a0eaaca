package gsogro

import "testing"

// FuzzDecode: whatever the kernel sends, the decoders give a value or an
// error, and never both.
func FuzzDecode(f *testing.F) {
	link, err := encodeSize(3, iflaGSOMaxSize, 65536)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(link)
	change, err := encodeChange("v0", map[string]bool{RxGRO: true, TxGSO: false})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(change)
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := decodeLink(b); (l == nil) == (err == nil) {
			t.Errorf("decodeLink: %v, %v", l, err)
		}
		if m, err := decodeFeatures(b); (m == nil) == (err == nil) {
			t.Errorf("decodeFeatures: %v, %v", m, err)
		}
		if names, err := decodeStrings(b); names != nil && err != nil {
			t.Errorf("decodeStrings: %v, %v", names, err)
		}
	})
}
