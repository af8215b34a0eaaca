package netlinkx

import (
	"bufio"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// TestGoldenReports decodes what Linux 7.2 sent (testdata/reports.txt: one
// object for each attribute that there is, their events, and answers) and
// encodes it again: the same bytes.
func TestGoldenReports(t *testing.T) {
	if host.Uint16([]byte{1, 0}) != 1 {
		t.Skip("needs a little-endian machine: the golden reports were not compared")
	}
	f, err := os.Open("testdata/reports.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, kinds := bufio.NewScanner(f), map[MsgType]int{}
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		kind, text, _ := strings.Cut(lines.Text(), " ")
		want, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		m, _, _, err := nextMessage(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := again(kind, m)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s %s: %v\n got %x\nwant %x", kind, MsgType(m.typ), err, got, want)
		}
		kinds[MsgType(m.typ)]++
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(kinds) < 14 {
		t.Errorf("only %d types of messages: %v", len(kinds), kinds)
	}
}

// again decodes a message and encodes it.
func again(kind string, m message) ([]byte, error) {
	h := Header{Flags: m.flags, Seq: m.seq, PortID: m.pid}
	switch t := MsgType(m.typ); {
	case kind == "dump" && t == MsgNewSA:
		sa, err := decodeSA(t, m.payload, SizeSAInfo)
		if err != nil {
			return nil, err
		}
		return AppendSA(nil, h, sa)
	case kind == "dump":
		p, err := decodePolicy(t, m.payload, SizePolicyInfo)
		if err != nil {
			return nil, err
		}
		return AppendPolicy(nil, h, p)
	case t == MsgNewSADInfo:
		i, err := decodeSADInfo(m.payload)
		if err != nil {
			return nil, err
		}
		return AppendSADInfo(nil, h, host.Uint32(m.payload), i)
	case t == MsgNewSPDInfo:
		i, err := decodeSPDInfo(m.payload)
		if err != nil {
			return nil, err
		}
		return AppendSPDInfo(nil, h, host.Uint32(m.payload), i)
	}
	e, err := DecodeEvent(MsgType(m.typ), m.flags, m.payload)
	if err != nil {
		return nil, err
	}
	return AppendEvent(nil, h, e)
}
