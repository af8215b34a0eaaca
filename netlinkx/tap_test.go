package netlinkx_test

import (
	"encoding/binary"
	"testing"

	. "github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/netlinkx/netlinkxtest"
)

// TestTap: what is sent and received comes by, in order, of requests and of dumps;
// and messages that are ready-made get the same answer.
func TestTap(t *testing.T) {
	k := &netlinkxtest.Kernel{Handle: func(req netlinkxtest.Message) []netlinkxtest.Message {
		if req.Type == MsgGetSA {
			return netlinkxtest.Dump(netlinkxtest.Object(AddSA(testSA(1))))
		}
		return nil
	}}
	var seen []string
	var dump []byte
	c, err := Dial(&Config{Dial: k.Dial, Tap: func(sent bool, b []byte) {
		what := "received"
		if sent {
			what = "sent"
		}
		seen = append(seen, what)
		if sent && MsgType(binary.NativeEndian.Uint16(b[4:])) == MsgGetSA {
			dump = append([]byte(nil), b...)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.AddSA(t.Context(), testSA(1)); err != nil {
		t.Fatal(err)
	}
	if list, err := c.ListSAs(t.Context(), nil); err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if len(seen) < 4 || seen[0] != "sent" || seen[1] != "received" || seen[2] != "sent" || seen[3] != "received" {
		t.Errorf("the tap saw %q", seen)
	}
	tr, err := DialTransport(&Config{Dial: k.Dial})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if err := tr.Send(dump); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64<<10)
	n, err := tr.Recv(b)
	if err != nil || n < 16 || MsgType(binary.NativeEndian.Uint16(b[4:])) != MsgNewSA {
		t.Errorf("%d bytes, %v", n, err)
	}
}
