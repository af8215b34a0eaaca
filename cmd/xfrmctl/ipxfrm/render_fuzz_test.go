package ipxfrm

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// printerFrom makes a printer from the bits of a fuzz input, always without
// keys.
func printerFrom(bits uint8) *Printer {
	return &Printer{
		Stats: int(bits & 3), OneLine: bits&4 != 0, Extensions: bits&8 != 0, AllNSID: bits&16 != 0,
		NoKeys: bits&32 != 0, ShowKeys: bits&32 != 0, Location: time.UTC,
	}
}

// eventSA returns the SA of an event, nil if it has none.
func eventSA(e netlinkx.Event) *netlinkx.SA {
	switch e := e.(type) {
	case *netlinkx.SAEvent:
		return &e.SA
	case *netlinkx.ExpireEvent:
		return &e.SA
	}
	return nil
}

// rekey gives an SA other keys of the same lengths.
func rekey(sa *netlinkx.SA) {
	other := func(k netlinkx.Key) netlinkx.Key {
		b := bytes.Clone(k.Reveal())
		for i := range b {
			b[i] ^= 0x5a
		}
		return netlinkx.NewKey(b)
	}
	for _, a := range []*netlinkx.Algo{sa.Auth, sa.Crypt, sa.Comp} {
		if a != nil {
			a.Key = other(a.Key)
		}
	}
	if a := sa.AuthTrunc; a != nil {
		a.Key = other(a.Key)
	}
	if a := sa.AEAD; a != nil {
		a.Key = other(a.Key)
	}
}

// renderAll returns all that p makes of an event.
func renderAll(t *testing.T, p *Printer, n *netlinkx.Notice) (text, js string) {
	t.Helper()
	b, err := json.Marshal(p.JSONEvent(n))
	if err != nil {
		t.Fatalf("JSON: %v", err)
	}
	return string(p.AppendEvent(nil, n)), string(b)
}

// FuzzRender: whatever can be decoded can be rendered, as text that ends its
// line and as JSON; and where keys are hidden, the output does not depend on
// them.
func FuzzRender(f *testing.F) {
	for i, m := range readMessages(f) {
		f.Add(binary.NativeEndian.Uint16(m.data[4:]), m.data[16:], uint8(i*7))
	}
	f.Fuzz(func(t *testing.T, typ uint16, payload []byte, bits uint8) {
		e, err := netlinkx.DecodeEvent(netlinkx.MsgType(typ), 0, payload)
		if err != nil {
			return
		}
		n := &netlinkx.Notice{Event: e, Type: netlinkx.MsgType(typ)}
		p := printerFrom(bits)
		text, js := renderAll(t, p, n)
		if !strings.HasSuffix(text, "\n") {
			t.Errorf("text does not end its line: %q", text)
		}
		sa := eventSA(e)
		if sa == nil {
			return
		}
		rekey(sa)
		if text2, js2 := renderAll(t, p, n); text2 != text || js2 != js {
			t.Errorf("hidden keys show:\n%s\n%s\n%s\n%s", text, text2, js, js2)
		}
		all := *p
		all.ShowKeys, all.NoKeys = true, false
		renderAll(t, &all, n)
	})
}

// TestKeysHidden is the same law for what the fuzzer starts from, and its
// other half: the keys are there when they are asked for.
func TestKeysHidden(t *testing.T) {
	shown := 0
	for i, m := range readMessages(t) {
		n := decodeNotice(t, m)
		sa := eventSA(n.Event)
		if sa == nil || sa.AEAD == nil || sa.AEAD.Key.Len() < 4 {
			continue
		}
		hidden, all := printerFrom(uint8(i)), &Printer{ShowKeys: true, Location: time.UTC}
		text, js := renderAll(t, hidden, n)
		fullText, fullJS := renderAll(t, all, n)
		rekey(sa)
		text2, js2 := renderAll(t, hidden, n)
		fullText2, fullJS2 := renderAll(t, all, n)
		if text != text2 || js != js2 {
			t.Errorf("message %d: hidden keys show", i)
		}
		if fullText == fullText2 || fullJS == fullJS2 {
			t.Errorf("message %d: keys do not show", i)
		}
		shown++
	}
	if shown < 3 {
		t.Errorf("%d messages with keys; too few for a test", shown)
	}
}
