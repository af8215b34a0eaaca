package ipxfrm

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // no time zone database is needed

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// The golden texts are what iproute2 7.3.0 prints for the messages in
// testdata/render/messages.hex, by `ip OPTIONS xfrm monitor file MESSAGES`.
// With -ip both are made anew; with -sweep as well, that many rounds of random
// messages are compared and nothing is written.
var (
	ipProgram = flag.String("ip", "", "path of iproute2's ip: make the golden texts anew")
	sweep     = flag.Int("sweep", 0, "with -ip: rounds of random messages to compare instead")
)

const goldenDir = "testdata/render"

type textVariant struct {
	name    string
	options []string
	zone    string
	printer Printer
}

func textVariants() []textVariant {
	return []textVariant{
		{"plain", nil, "UTC", Printer{}},
		{"stats", []string{"-s"}, "America/New_York", Printer{Stats: 1}},
		{"oneline", []string{"-o"}, "UTC", Printer{OneLine: true}},
		{"stats-oneline", []string{"-s", "-s", "-o"}, "Asia/Kolkata", Printer{Stats: 2, OneLine: true}},
		{"family", []string{"-6"}, "UTC", Printer{Family: netlinkx.FamilyIPv6}},
	}
}

// printerOf completes a variant's printer so that it prints all.
func printerOf(t *testing.T, v textVariant) *Printer {
	t.Helper()
	loc, err := time.LoadLocation(v.zone)
	if err != nil {
		t.Fatal(err)
	}
	p := v.printer
	p.ShowKeys, p.Location = true, loc
	p.DeviceName = func(i int32) string { return map[int32]string{1: "lo"}[i] }
	names := readProtocols(t)
	p.ProtoName = func(n uint8) string { return names[n] }
	return &p
}

// readProtocols reads the names that the C library gave to ip's protocols.
func readProtocols(t testing.TB) map[uint8]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(goldenDir, "protocols.txt"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[uint8]string{}
	for line := range strings.Lines(string(text)) {
		var n uint8
		var name string
		if _, err := fmt.Sscan(line, &n, &name); err != nil {
			t.Fatalf("protocols.txt: %q: %v", line, err)
		}
		names[n] = name
	}
	return names
}

// separator is an unknown message that carries a number: ip prints it in hex,
// and so its output can be cut.
func separator(n int) []byte {
	b := header(0x3f)
	binary.NativeEndian.PutUint16(b[6:], uint16(n))
	return sealed("", b).data
}

// TestTextGolden compares the text of every kind of event, which contains
// that of SAs and policies, with what ip printed.
func TestTextGolden(t *testing.T) {
	if *ipProgram != "" {
		remake(t)
	}
	if *sweep > 0 {
		return
	}
	msgs := readMessages(t)
	for _, v := range textVariants() {
		t.Run(v.name, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join(goldenDir, v.name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			compareTexts(t, printerOf(t, v), msgs, want)
		})
	}
}

// compareTexts renders the messages and compares them one by one with ip's
// output, cut at the separators.
func compareTexts(t *testing.T, p *Printer, msgs []message, ipText []byte) {
	t.Helper()
	bad := 0
	for i, m := range msgs {
		cut := fmt.Appendf(nil, "Unknown message: 00000016 0x0000003f 0x%08x\n", uint16(i))
		want, rest, ok := bytes.Cut(ipText, cut)
		if !ok {
			t.Fatalf("ip's output ends before message %d", i)
		}
		ipText = rest
		got := p.AppendEvent(nil, decodeNotice(t, m))
		if d := cmp.Diff(strings.SplitAfter(string(want), "\n"), strings.SplitAfter(string(got), "\n")); d != "" {
			t.Errorf("message %d, %s: -ip +xfrmctl\n%s\n%x", i, m.name, d, m.data)
			if bad++; bad == 5 {
				t.Fatal("…")
			}
		}
	}
	if len(ipText) > 0 {
		t.Errorf("ip printed more: %q", ipText)
	}
}

func decodeNotice(t testing.TB, m message) *netlinkx.Notice {
	t.Helper()
	typ := netlinkx.MsgType(binary.NativeEndian.Uint16(m.data[4:]))
	flags := binary.NativeEndian.Uint16(m.data[6:])
	e, err := netlinkx.DecodeEvent(typ, flags, m.data[16:])
	if err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	return &netlinkx.Notice{Event: e, Type: typ, Flags: flags}
}

func readMessages(t testing.TB) (msgs []message) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(goldenDir, "messages.hex"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, digits, ok := strings.Cut(strings.TrimSpace(line), ": ")
		data, err := hex.DecodeString(digits)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if !ok || err != nil {
			t.Fatalf("messages.hex: %q: %v", line, err)
		}
		msgs = append(msgs, message{name, data})
	}
	return msgs
}

// remake makes the golden files, or compares with ip directly.
func remake(t *testing.T) {
	rounds, live := 6, *sweep > 0
	seed := uint64(20260729)
	if live {
		rounds, seed = *sweep, uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
	}
	m := newMessageMaker(seed)
	var msgs []message
	for range rounds {
		msgs = append(msgs, m.all(t)...)
	}
	if !live {
		writeMessages(t, msgs)
		writeProtocols(t)
	}
	for _, v := range textVariants() {
		text := runIP(t, v, msgs)
		if live {
			compareTexts(t, printerOf(t, v), msgs, text)
		} else if err := os.WriteFile(filepath.Join(goldenDir, v.name+".txt"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func writeMessages(t *testing.T, msgs []message) {
	t.Helper()
	b := []byte("# Random netlink messages, made by messageMaker. The texts beside this file are what\n" +
		"# iproute2 7.3.0 prints for them: see render_golden_test.go.\n")
	for _, m := range msgs {
		b = fmt.Appendf(b, "%s: %x\n", m.name, m.data)
	}
	if err := os.MkdirAll(goldenDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(goldenDir, "messages.hex"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func writeProtocols(t *testing.T) {
	t.Helper()
	var b []byte
	for n := range 256 {
		out, err := exec.Command("getent", "protocols", fmt.Sprint(n)).Output()
		if f := strings.Fields(string(out)); err == nil && len(f) > 0 {
			b = fmt.Appendf(b, "%d %s\n", n, f[0])
		}
	}
	if err := os.WriteFile(filepath.Join(goldenDir, "protocols.txt"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// runIP has ip decode the messages, each followed by a separator.
func runIP(t *testing.T, v textVariant, msgs []message) []byte {
	t.Helper()
	var stream []byte
	for i, m := range msgs {
		stream = append(stream, m.data...)
		stream = append(stream, make([]byte, -len(stream)&3)...)
		stream = append(stream, separator(i)...)
	}
	file := filepath.Join(t.TempDir(), "messages")
	if err := os.WriteFile(file, stream, 0o600); err != nil {
		t.Fatal(err)
	}
	// In a new namespace lo is the only device.
	cmd := exec.Command("unshare", append([]string{"-rn", *ipProgram}, append(v.options, "xfrm", "monitor", "file", file)...)...)
	cmd.Env = append(os.Environ(), "TZ="+v.zone)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%v: %v %s", cmd, err, stderr.Bytes())
	}
	return out
}
