package export

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
)

// static reports whether the keys of a tunnel can be used again as they are:
// the engine shows them, documents name their suite, and no counter begins anew
// under them.
func (t *tunnel) static() bool {
	return t.suite != nil && !provision.CounterMode(t.out) && len(material(t.out)) == t.suite.KeyLen() && len(material(t.in)) == t.suite.KeyLen()
}

// material returns the keys of an SA in the order of documents, nil when the
// engine hides them: under lockdown the kernel shows zeros.
func material(sa *netlinkx.SA) []byte {
	if sa.Crypt == nil || sa.AuthTrunc == nil {
		return nil
	}
	all := append(append([]byte(nil), sa.Crypt.Key.Reveal()...), sa.AuthTrunc.Key.Reveal()...)
	for _, b := range all {
		if b != 0 {
			return all
		}
	}
	return nil
}

// directions are the names of a tunnel's two ways, inbound first.
func (t *tunnel) directions() (in, out string) {
	return t.peer.name + "-to-" + t.near.name, t.near.name + "-to-" + t.peer.name
}

func (t *tunnel) spis() string {
	in, out := t.directions()
	return fmt.Sprintf("{%s: %s, %s: %s}", in, t.in.SPI, out, t.out.SPI)
}

// reference says where the keys of a tunnel are. New keys come with new SPIs.
func (w *writer) reference(t *tunnel) (keys, spi string) {
	if w.o.KeyFile == "" || !t.static() {
		return fmt.Sprintf("{derive: %q, epoch: 1}", w.o.Root), ""
	}
	in, out := t.directions()
	ref := func(direction string) string { return fmt.Sprintf("%q", "keys:"+w.o.KeyFile+"#"+t.name+"."+direction) }
	return fmt.Sprintf("{%s: %s, %s: %s}", in, ref(in), out, ref(out)), t.spis()
}

// keyLines returns the lines of the key file.
func (w *writer) keyLines() []byte {
	if w.o.KeyFile == "" {
		return nil
	}
	var b strings.Builder
	for _, t := range w.tunnels {
		if !t.static() {
			continue
		}
		in, out := t.directions()
		fmt.Fprintf(&b, "%s.%s 0x%s\n", t.name, in, hex.EncodeToString(material(t.in)))
		fmt.Fprintf(&b, "%s.%s 0x%s\n", t.name, out, hex.EncodeToString(material(t.out)))
	}
	if b.Len() == 0 {
		return nil
	}
	return []byte(b.String())
}

// introduce writes the comments at the top.
func (w *writer) introduce(keys bool) {
	w.head = []string{"Written by xfrmctl export from what a machine has; it is node " + w.o.Node + "."}
	fresh, counters := 0, 0
	for _, t := range w.tunnels {
		switch {
		case provision.CounterMode(t.out):
			counters++
			fresh++
		case w.o.KeyFile == "" || !t.static():
			fresh++
		}
	}
	if keys {
		w.head = append(w.head, "Keys are in "+w.o.KeyFile+".", "For keys rotate take spi out at both ends, which makes the SAs anew.")
	}
	if fresh > 0 {
		from := w.o.Root
		if path, ok := strings.CutPrefix(w.o.Root, "file:"); ok {
			from = "a secret that both ends have: xfrmctl keys new --root " + path
		}
		w.head = append(w.head, fmt.Sprintf("New keys: %d, from %s", fresh, from))
	}
	if counters > 0 && w.o.KeyFile != "" {
		w.head = append(w.head, fmt.Sprintf("Old keys that must not come again: %d; with a new counter they would repeat IVs (RFC 8221 section 5).", counters))
	}
	w.head = append(w.head, "GRO settings of underlays (gro) were not looked at.")
	told := len(w.rest)
	for _, t := range w.tunnels {
		told += len(t.notes)
	}
	if told > 0 {
		w.head = append(w.head, strings.TrimSpace(lostMark)+" tells what is otherwise there, or not in the document.")
	}
}
