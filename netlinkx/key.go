package netlinkx

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every form of printing shows in place of key bytes.
const redacted = "<redacted>"

// Key is secret key material. No way of printing, logging or marshalling it
// shows its bytes; Reveal does. The bytes sit behind two pointers so that fmt
// prints no more than an address even where it may not call methods (a Key in
// an unexported field; it follows one pointer for a verb that does not fit).
// The zero Key is empty. Keys are immutable and safe to share.
type Key struct{ p **[]byte }

// NewKey returns a key that holds a copy of b.
func NewKey(b []byte) Key {
	k := &struct { // one allocation for most keys
		p     *[]byte
		b     []byte
		store [40]byte
	}{}
	k.b = append(k.store[:0:len(k.store)], b...)
	k.p = &k.b
	return Key{&k.p}
}

// Reveal returns the key's bytes, borrowed: do not modify.
func (k Key) Reveal() []byte {
	if k.p == nil {
		return nil
	}
	return **k.p
}

// Len returns the key's length in bytes.
func (k Key) Len() int { return len(k.Reveal()) }

// Equal reports whether both keys hold the same bytes. Not constant time: it
// is for tests and for comparing what one side owns already.
func (k Key) Equal(o Key) bool { return bytes.Equal(k.Reveal(), o.Reveal()) }

// String returns a placeholder.
func (k Key) String() string { return redacted }

// GoString returns a placeholder.
func (k Key) GoString() string { return redacted }

// Format writes a placeholder whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder, so that JSON shows no key.
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }
