package netlinkx

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestKeyIsNeverPrinted prints an SA with a known key in every way that
// programs use.
func TestKeyIsNeverPrinted(t *testing.T) {
	secret := "correct horse battery"
	sa := NewSA()
	sa.AEAD = &AEAD{"rfc4106(gcm(aes))", NewKey([]byte(secret)), 128}
	hidden := struct{ k Key }{sa.AEAD.Key} // fmt may not call methods here
	holder := struct{ a *AEAD }{sa.AEAD}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%p"} {
		for _, v := range []any{sa, *sa, *sa.AEAD, sa.AEAD.Key, &sa.AEAD.Key, hidden, &hidden, holder, []Key{sa.AEAD.Key}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "key", sa.AEAD.Key, "sa", sa, "aead", sa.AEAD)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "key", sa.AEAD.Key, "sa", sa, "aead", sa.AEAD)
	if err := json.NewEncoder(&out).Encode(sa); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprint([]byte(secret)), fmt.Sprintf("%#v", []byte(secret))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("key printed as %q", form)
		}
	}
	if !strings.Contains(out.String(), redacted) {
		t.Error("no placeholder in the output")
	}
	if string(sa.AEAD.Key.Reveal()) != secret {
		t.Error("Reveal does not give the key")
	}
}

func TestNewKeyCopies(t *testing.T) {
	b := []byte{1, 2, 3}
	k := NewKey(b)
	b[0] = 9
	if k.Reveal()[0] != 1 {
		t.Error("key changes with its source")
	}
	if !k.Equal(NewKey([]byte{1, 2, 3})) || k.Equal(Key{}) || (Key{}).Len() != 0 {
		t.Error("Equal or Len is wrong")
	}
}
