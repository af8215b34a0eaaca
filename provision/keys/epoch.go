package keys

import (
	"fmt"
	"strings"
)

// OfEpoch returns where the key of an epoch is, from where that of the first
// is: of a file, a line of one, or a credential its number is added to the name,
// behind a dot.
func OfEpoch(ref string, epoch uint64) (string, error) {
	switch kind, _, _ := strings.Cut(ref, ":"); {
	case epoch <= 1:
		return ref, nil
	case kind == "file" || kind == "keys" || kind == "credential":
		return fmt.Sprintf("%s.%d", ref, epoch), nil
	}
	return "", fmt.Errorf("key %s has no further epochs: those of file:, keys: and credential: have, as NAME.%d", ref, epoch)
}
