package ipxfrm

import (
	"strings"
	"testing"
)

func TestReadProtocols(t *testing.T) {
	p, err := ReadProtocols(strings.NewReader("# comment\nip 0 IP # pseudo\nhopopt\t0\tHOPOPT\ntcp\t6\tTCP\nbad line\nlonely\n\nmptcp 262 MPTCP\ntcp 7\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"ip": 0, "IP": 0, "hopopt": 0, "tcp": 6, "TCP": 6, "mptcp": 6, "bad": -1, "lonely": -1, "Tcp": -1, "": -1} {
		n, ok := p.ByName(name)
		if ok != (want >= 0) || ok && int(n) != want {
			t.Errorf("%q: got %d, %v, want %d", name, n, ok, want)
		}
	}
	if p.Name(0) != "ip" || p.Name(6) != "tcp" || p.Name(7) != "tcp" || p.Name(8) != "" || p.text(8) != "8" {
		t.Errorf("names: %q %q %q %q %q", p.Name(0), p.Name(6), p.Name(7), p.Name(8), p.text(8))
	}
	if _, err := ReadProtocols(strings.NewReader(strings.Repeat("x", 1<<17))); err == nil {
		t.Error("a line without end: no error")
	}
}

// Selectors know these protocols, so they have names without a file too.
func TestBuiltinProtocols(t *testing.T) {
	for _, name := range []string{"tcp", "udp", "sctp", "dccp", "icmp", "ipv6-icmp", "mobility-header", "gre"} {
		if _, ok := BuiltinProtocols().ByName(name); !ok {
			t.Errorf("no %s", name)
		}
	}
}

// The system's names are those that count.
func TestParseUsesProtocols(t *testing.T) {
	p, err := ReadProtocols(strings.NewReader("mine 6 MINE\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := testContext()
	c.Protocols = func() *Protocols { return p }
	cmd, err := parseLine("policy add dir in proto MINE dport 5", c)
	if err != nil || cmd.Policy.Selector.Proto != 6 {
		t.Errorf("got %+v, %v", cmd, err)
	}
	if _, err := parseLine("policy add dir in proto tcp", c); err == nil {
		t.Error("a name that the file does not have: no error")
	}
	_, err = parseLine("policy add dir in proto mine type 5", c)
	if err == nil || err.Error() != `"type" and "code" are invalid with PROTO value "mine"` {
		t.Errorf("got %v", err)
	}
}
