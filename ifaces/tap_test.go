package ifaces

import (
	"encoding/binary"
	"testing"
)

// TestTap: requests and answers come by as datagrams; what was refused leaves an
// empty one.
func TestTap(t *testing.T) {
	k := newFake(t, &fakeLink{name: "ipsec0", kind: Kind, data: Driver{IfID: 5}})
	c, _ := k.conn()
	var types []uint16
	empty := 0
	c.exchange = tapped(c.exchange, func(sent bool, b []byte) {
		if len(b) == 0 {
			empty++
			return
		}
		if n := int(binary.NativeEndian.Uint32(b)); n != len(b) {
			t.Errorf("a message of %d bytes says %d", len(b), n)
		}
		types = append(types, binary.NativeEndian.Uint16(b[4:]))
	})
	if links, err := c.List(t.Context()); err != nil || len(links) != 1 {
		t.Fatal(links, err)
	}
	if len(types) < 3 || types[0] != rtmGetLink || types[1] != rtmNewLink || empty > 0 {
		t.Errorf("the tap saw messages %v, %d of them empty", types, empty)
	}
	if _, err := c.Get(t.Context(), "none"); err == nil || empty != 1 {
		t.Errorf("what is not there: %v, %d empty", err, empty)
	}
}
