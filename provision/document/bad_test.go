package document

import (
	"strings"
	"testing"
)

// TestBadInput is what people write by mistake, and the first thing that they are
// told: where, and what to do. One mistake has one message.
func TestBadInput(t *testing.T) {
	rep := func(from, to string) string {
		s := strings.Replace(good, from, to, 1)
		if s == good {
			t.Fatalf("%q is not in the document", from)
		}
		return s
	}
	const second = "  - name: second\n    between: [west, east]\n    keys: {derive: \"env:ROOT\"}\n    interface: ipsec1\n    traffic: [{east: 10.5.0.0/16, west: 10.6.0.0/16}]\n"
	const noInterface = "    interface: ipsec0\n    addresses:\n      east: [10.255.0.1/30]\n      west: [10.255.0.2/30]\n"
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "1:1: the document is empty"},
		{"blank", " \n\n", "1:1: the document is empty"},
		{"null", "null\n", "1:1: the document is empty"},
		{"comment only", "# x\n", "1:1: the document is empty"},
		{"list", "- a\n", "1:1: a document has fields: version, owner, nodes, tunnels"},
		{"scalar", "hello\n", "1:1: a document has fields: version, owner, nodes, tunnels"},
		{"number", "5\n", "1:1: a document has fields: version, owner, nodes, tunnels"},
		{"just dashes", "---\n", "1:1: the document is empty"},
		{"two documents", good + "---\nversion: 1\n", "19:1: a second document follows"},
		{"tab", rep("    interface: ipsec0", "\tinterface: ipsec0"), "11:1: a tab: YAML is indented with blanks"},
		{"bad utf8", rep("ipsec0", "ips\xffec0"), "11:19: a byte that is not UTF-8: save the document as UTF-8"},
		{"utf16", "\xff\xfev\x00e\x00", "1:1: a byte that is not UTF-8: save the document as UTF-8"},
		{"nul", rep("ipsec0", "ip\x00"), "11:18: a control character (0x00)"},
		{"control", rep("ipsec0", "\"ip\\u0001\""), "11:16: interface: \"ip\\x01\" is no name of a device: at most 15 bytes without / : % and blanks"},
		{"unicode name", rep("name: main", "name: münchen"), `7:11: name: "münchen" is no name: letters, digits, - _ . and at most 64 of them, without -to-`},
		{"unicode before", rep("traffic:\n      - {east: 10.1.0.0/16", "traffic:\n      - {ost: ü, east: 10.1.0.0/99"), `16:15: prefix: "ü" is not a prefix like 10.1.0.0/16`},
		{"crlf", strings.ReplaceAll(rep("ipsec0", "a:b"), "\n", "\r\n"), `11:16: interface: "a:b" is no name of a device: at most 15 bytes without / : % and blanks`},
		{"string for map", rep("{name: office, reqid: 10000-19999, if_id: 20000-29999}", "office"), "2:8: owner: expected fields with values"},
		{"null owner", rep("{name: office, reqid: 10000-19999, if_id: 20000-29999}", ""), "2:7: owner: expected fields with values"},
		{"null name", rep("name: main", "name:"), "7:10: name: it has no value"},
		{"list name", rep("name: main", "name: [a]"), "7:11: name: expected a single value"},
		{"null tunnels", "version: 1\nowner: {name: a, reqid: 1-2, if_id: 1-2}\nnodes: {a: {endpoint: 1.1.1.1}}\ntunnels:\n", "4:9: tunnels: expected a list"},
		{"empty tunnels", "version: 1\nowner: {name: a, reqid: 1-2, if_id: 1-2}\nnodes: {a: {endpoint: 1.1.1.1}}\ntunnels: []\n", `office.yaml has no node "east"; it has a`},
		{"null tunnel", "version: 1\nowner: {name: a, reqid: 1-2, if_id: 1-2}\nnodes: {a: {endpoint: 1.1.1.1}}\ntunnels: [null]\n", "4:11: tunnel: expected fields with values"},
		{"no nodes", "version: 1\nowner: {name: a, reqid: 1-2, if_id: 1-2}\ntunnels: []\n", `office.yaml has no node "east"; it has none`},
		{"null node", rep("{endpoint: 192.0.2.2, boot_id: boot-west}", ""), "5:8: node west: expected fields with values"},
		{"huge", rep("replay_window: 2048", "replay_window: 99999999999999999999999"), "17:20: replay_window: the number is too large"},
		{"negative", rep("replay_window: 2048", "replay_window: -1"), `17:20: replay_window: "-1" is not a whole number`},
		{"float", rep("replay_window: 2048", "replay_window: 1.5"), `17:20: replay_window: "1.5" is not a whole number`},
		{"exp", rep("replay_window: 2048", "replay_window: 1e3"), `17:20: replay_window: "1e3" is not a whole number`},
		{"octal", rep("replay_window: 2048", "replay_window: 0100"), "17:20: replay_window: 0100 is 64 when read as octal; write it without the 0 in front, or as 0o100"},
		{"window too big", rep("replay_window: 2048", "replay_window: 5000"), "17:20: replay_window: 5000 is not in 1 to 4096"},
		{"yes", rep("replay_window: 2048", "esn: yes"), `17:10: esn: "yes" is neither true nor false`},
		{"True", rep("replay_window: 2048", "esn: True"), `17:10: esn: "True" is neither true nor false`},
		{"spi low", rep("replay_window: 2048", "spi: {east-to-west: 255, west-to-east: 0}"), "17:25: spi: 255 is not in 256 to 4294967295"},
		{"spi max", rep("replay_window: 2048", "spi: {east-to-west: 0xffffffff, west-to-east: 4294967296}"), "17:51: spi: 4294967296 is not in 256 to 4294967295"},
		{"ranges overlap other owner", rep("10000-19999", "20000-10000"), `2:30: reqid: "20000-10000" is not a range like 1000-1999`},
		{"range one", rep("10000-19999", "10000"), `2:30: reqid: "10000" is not a range like 1000-1999`},
		{"range zero", rep("10000-19999", "0-5"), `2:30: reqid: "0-5" is not a range like 1000-1999`},
		{"range small", rep("reqid: 10000-19999", "reqid: 10000-10000") + second, "2:30: the range has fewer reqids than there are tunnels"},
		{"range huge", rep("10000-19999", "1-99999999999"), `2:30: reqid: "1-99999999999" is not a range like 1000-1999`},
		{"overlapping selectors", good + strings.Replace(second, "10.5.0.0/16, west: 10.6.0.0/16", "10.1.5.0/24, west: 10.2.0.0/16", 1), "23:41: the route of east to 10.2.0.0/16 leads to tunnel main already; with routes: multipath at both"},
		{"same selectors", good + strings.Replace(second, "10.5.0.0/16, west: 10.6.0.0/16", "10.1.0.0/16, west: 10.2.0.0/16", 1), "23:22: the route of west to 10.1.0.0/16 leads to tunnel main already; with routes: multipath at both"},
		{"same selectors no iface", strings.Replace(rep(noInterface, "")+strings.Replace(second, "10.5.0.0/16, west: 10.6.0.0/16", "10.1.0.0/16, west: 10.2.0.0/16", 1), "    interface: ipsec1\n", "", 1), "18:15: traffic between 10.2.0.0/16 and 10.1.0.0/16 belongs to tunnel main already"},
		{"same traffic twice", rep("      - {east: 10.1.0.0/16, west: 10.2.0.0/16}", "      - {east: 10.1.0.0/16, west: 10.2.0.0/16}\n      - {east: 10.1.0.0/16, west: 10.2.0.0/16}"), "17:9: traffic between 10.1.0.0/16 and 10.2.0.0/16 belongs to tunnel main already"},
		{"equal prefixes", rep("west: 10.2.0.0/16", "west: 10.1.0.0/16"), "16:35: 10.1.0.0/16 is behind both ends: the route to it would lead both into the tunnel"},
		{"same tunnel name", good + strings.Replace(second, "second", "main", 1), "19:11: tunnel main is there twice"},
		{"same iface", good + strings.Replace(second, "ipsec1", "ipsec0", 1), "22:16: interface ipsec0 belongs to tunnel main already"},
		{"same node twice", rep("  west: {", "  east: {"), `5:3: nodes has "east" twice`},
		{"same endpoint", rep("192.0.2.2", "192.0.2.1"), "8:21: both ends have the endpoint 192.0.2.1"},
		{"endpoint families", rep("192.0.2.2", "\"2001:db8::2\""), "8:21: endpoint 2001:db8::2 of west is of another family than 192.0.2.1 of east"},
		{"endpoint mapped", rep("192.0.2.2", "\"::ffff:1.2.3.4\""), "5:20: endpoint: ::ffff:1.2.3.4 cannot be an endpoint: another machine has to reach it"},
		{"endpoint zone", rep("192.0.2.2", "\"fe80::1%eth0\""), "5:20: endpoint: fe80::1%eth0 cannot be an endpoint: another machine has to reach it"},
		{"loopback", rep("192.0.2.2", "127.0.0.1"), "5:20: endpoint: 127.0.0.1 cannot be an endpoint: another machine has to reach it"},
		{"broadcast", rep("192.0.2.2", "255.255.255.255"), "5:20: endpoint: 255.255.255.255 cannot be an endpoint: another machine has to reach it"},
		{"endpoint name", rep("192.0.2.2", "west.example.com"), `5:20: endpoint: "west.example.com" is not an address like 192.0.2.1 or 2001:db8::1`},
		{"endpoint port", rep("192.0.2.2", "192.0.2.2:4500"), `5:20: endpoint: "192.0.2.2:4500" is not an address like 192.0.2.1 or 2001:db8::1`},
		{"endpoint prefix", rep("192.0.2.2", "192.0.2.2/24"), `5:20: endpoint: "192.0.2.2/24" is not an address like 192.0.2.1 or 2001:db8::1`},
		{"iface long", rep("ipsec0", "a-very-long-interface-name"), `11:16: interface: "a-very-long-interface-name" is no name of a device: at most 15 bytes without / : `},
		{"iface dot", rep("ipsec0", ".."), `11:16: interface: ".." is no name of a device: the kernel has another meaning for it`},
		{"iface slash", rep("ipsec0", "a/b"), `11:16: interface: "a/b" is no name of a device: at most 15 bytes without / : % and blanks`},
		{"iface percent", rep("ipsec0", "ipsec%d"), `11:16: interface: "ipsec%d" is no name of a device: at most 15 bytes without / : % and blanks`},
		{"iface all", rep("ipsec0", "all"), `11:16: interface: "all" is no name of a device: the kernel has another meaning for it`},
		{"iface is underlay", rep("ipsec0", "eth0"), "11:16: interface eth0 cannot be its own underlay"},
		{"address no length", rep("10.255.0.1/30", "10.255.0.1"), `13:14: address: "10.255.0.1" is not an address with the length of its subnet, like 10.255.0.1/30`},
		{"address bad", rep("10.255.0.1/30", "10.255.0.300/30"), `13:14: address: "10.255.0.300/30" is not an address with the length of its subnet, like 10.255.0.1/30`},
		{"address same", rep("10.255.0.2/30", "10.255.0.1/30"), "14:14: address 10.255.0.1 is that of east already"},
		{"address twice", rep("[10.255.0.1/30]", "[10.255.0.1/30, 10.255.0.1/30]"), "13:29: address 10.255.0.1 is that of east already"},
		{"addresses not list", rep("[10.255.0.1/30]", "10.255.0.1/30"), "13:13: addresses of east: expected a list"},
		{"traffic not list", rep("      - {east: 10.1.0.0/16, west: 10.2.0.0/16}", "      {east: 10.1.0.0/16, west: 10.2.0.0/16}"), "16:7: traffic: expected a list"},
		{"traffic empty", rep("\n      - {east: 10.1.0.0/16, west: 10.2.0.0/16}", " []"), "15:14: tunnel main has no traffic"},
		{"traffic third", rep("{east: 10.1.0.0/16, west: 10.2.0.0/16}", "{east: 10.1.0.0/16, west: 10.2.0.0/16, south: 10.3.0.0/16}"), "16:55: south is not an end of this tunnel"},
		{"traffic no length", rep("10.1.0.0/16", "10.1.0.0"), `16:16: prefix: "10.1.0.0" is not a prefix like 10.1.0.0/16`},
		{"traffic v4 length", rep("10.1.0.0/16", "10.1.0.0/33"), `16:16: prefix: "10.1.0.0/33" is not a prefix like 10.1.0.0/16`},
		{"traffic all", rep("10.1.0.0/16", "0.0.0.0/0"), "16:16: the route to 0.0.0.0/0 would lead packets to endpoint 192.0.2.1 into the tunnel that they com"},
		{"traffic v4in6", rep("10.1.0.0/16", "\"::ffff:10.0.0.0/112\""), "16:16: prefix: ::ffff:10.0.0.0/112 matches nothing: write it as IPv4"},
		{"transport traffic", strings.Replace(rep(noInterface, ""), "replay_window: 2048", "mode: transport", 1), "12:16: transport mode carries the traffic of east itself: 192.0.2.1"},
		{"three between", rep("[east, west]", "[east, west, south]"), "8:14: a tunnel is between two nodes, not 3"},
		{"one between", rep("[east, west]", "[east]"), "8:14: a tunnel is between two nodes, not 1"},
		{"between string", rep("[east, west]", "east"), "8:14: between: expected a list"},
		{"mtu small", rep("replay_window: 2048", "mtu: 575"), "17:10: mtu: 575 is too small: hosts send 576 bytes without asking (RFC 1122)"},
		{"path mtu", rep("underlay: eth0", "path_mtu: 100"), "4:41: path_mtu: 100 is too small: hosts send 576 bytes without asking (RFC 1122)"},
		{"mark full", rep("replay_window: 2048", "output_mark: 0/0"), "17:18: output_mark: 0/0 sets nothing, or bits that its mask leaves out"},
		{"mark text", rep("replay_window: 2048", "output_mark: abc"), `17:18: output_mark: "abc" is not a whole number`},
		{"mark big", rep("replay_window: 2048", "output_mark: 0x1ffffffff"), "17:18: output_mark: 8589934591 is not in 0 to 4294967295"},
		{"cipher", rep("aes-gcm-256", "AES-GCM-256"), `9:13: cipher: "AES-GCM-256" is none of aes-gcm-128, aes-gcm-256, chacha20-poly1305, aes-cbc-128-sha2`},
		{"cipher kernel", rep("aes-gcm-256", "rfc4106(gcm(aes))"), `9:13: cipher: "rfc4106(gcm(aes))" is none of aes-gcm-128, aes-gcm-256, chacha20-poly1305, aes-cbc-12`},
		{"epoch neg", rep("epoch: 3", "epoch: -3"), `10:39: epoch: "-3" is not a whole number`},
		{"ref", rep("env:ROOT", "file:"), "10:20: derive: a key is given by reference: file:PATH, keys:PATH#NAME, env:NAME, command:WORDS or cr"},
		{"ref kind", rep("env:ROOT", "vault:secret/x"), "10:20: derive: a key is given by reference: file:PATH, keys:PATH#NAME, env:NAME, command:WORDS or cr"},
		{"missing file", rep("env:ROOT", "file:/nonexistent/key"), "10:20: key file:/nonexistent/key: no such file or directory"},
		{"missing env", rep("env:ROOT", "env:NOPE"), "10:20: key env:NOPE: the environment has no such value"},
		{"keys null", rep("{derive: \"env:ROOT\", epoch: 3}", ""), "10:10: keys: expected fields with values"},
		{"keys both", rep("{derive: \"env:ROOT\", epoch: 3}", "{derive: \"env:ROOT\", east-to-west: \"env:ROOT\", west-to-east: \"env:ROOT\"}"), "10:11: keys are derived or given, not both"},
		{"lifetime hard0", rep("{soft_bytes: 1000, hard_bytes: 2000}", "{hard_packets: 0}"), "18:30: hard_packets: 0 would end an SA with its first packet; leave it out for no limit"},
		{"lifetime unknown", rep("{soft_bytes: 1000, hard_bytes: 2000}", "{hard: 5}"), `18:16: lifetime has no field "hard"; known are hard_bytes, hard_packets, hard_seconds, soft_bytes, s`},
		{"lifetime unit", rep("{soft_bytes: 1000, hard_bytes: 2000}", "{hard_bytes: 5G}"), `18:28: hard_bytes: "5G" is not a whole number`},
		{"lifetime seconds small", rep("{soft_bytes: 1000, hard_bytes: 2000}", "{hard_seconds: 99999999999999999999}"), "18:30: hard_seconds: the number is too large"},
		{"merge key", rep("    interface: ipsec0", "    <<: {esn: true}\n    interface: ipsec0"), "11:5: anchors and aliases (&, *, <<) and tags (!) are not taken: write out what is meant"},
		{"tag", rep("name: main", "name: !!binary bWFpbg=="), "7:11: anchors and aliases (&, *, <<) and tags (!) are not taken: write out what is meant"},
		{"unclosed", rep("[east, west]", "[east, west"), "8:5: did not find expected ',' or ']'"},
		{"bad indent", rep("    cipher:", "   cipher:"), "9:4: did not find expected '-' indicator: is it indented like its neighbours?"},
		{"colon", rep("name: main", "name: a: b"), "7:3: mapping values are not allowed in this context"},
		{"dup top", good + "version: 1\n", `19:1: the document has "version" twice`},
		{"unknown top", good + "tunels: []\n", `19:1: the document has no field "tunels"; known are engine, nodes, owner, tunnels, version`},
		{"case", rep("cipher:", "Cipher:"), `9:5: tunnel has no field "Cipher"; known are addresses, between, cipher, encap_port, endpoints, esn,`},
		{"json trailing comma", `{"version": 1,}`, "1:1: the document has no owner: owner: {name: NAME, reqid: A-B, if_id: A-B}, with ranges that nobody"},
		{"json single", `{"version": 1, "owner": {"name": "a", "reqid": "1-2", "if_id": "1-2"}, "nodes": {"a": {"endpoint": "1.1.1.1"}}, "tunnels": [{"name": 5}]}`, "1:125: tunnel 5 does not say which two nodes it is between"},
		{"json broken", `{"version": 1, "owner": `, "1:24: unexpected end of JSON input"},
		{"json comma", "{\n \"version\": 1\n \"owner\": 2}", "3:2: invalid character '\"' after object key:value pair"},
		{"json more", `{"version": 1} {"version": 1}`, "1:16: invalid character '{' after top-level value"},
		{"json null", `{"version": null}`, "1:13: version: it has no value: null means none, unless it is in quotes"},
		{"json comment", "// x\n{\"version\": 1}", "2:1: mapping values are not allowed in this context"},
		{"json range number", `{"version": 1, "owner": {"name": "a", "reqid": 5, "if_id": [1,2]}}`, `1:48: reqid: "5" is not a range like 1000-1999`},
		{"version string", rep("version: 1", "version: one"), `1:10: version: "one" is not a whole number`},
		{"version float", rep("version: 1", "version: 1.0"), `1:10: version: "1.0" is not a whole number`},
		{"version missing", rep("version: 1\n", ""), "1:1: the document says no version; this is version: 1"},
		{"if_id out", rep("replay_window: 2048", "if_id: 5"), "17:12: if_id 5 is outside of the owner's range"},
		{"reqid out", rep("replay_window: 2048", "reqid: 5"), "17:12: reqid 5 is outside of the owner's range"},
		{"if_id 0", rep("replay_window: 2048", "if_id: 0"), "17:12: if_id: 0 is not in 1 to 4294967295"},
		{"namespace", rep("replay_window: 2048", "namespace: {east: \"a/b\"}"), `17:23: east: "a/b" is no name of a network namespace, a file in /run/netns`},
		{"tfc transport", rep("replay_window: 2048", "tfc_pad: 100000"), "17:14: tfc_pad: 100000 is not in 1 to 65535"},
		{"owner name", rep("name: office", "name: a/b"), `2:15: name: "a/b" is no name: letters, digits, - _ . and at most 64 of them, without -to-`},
		{"self", rep("[east, west]", "[east, east]"), "8:21: both ends are east"},
	} {
		t.Run(c.name, func(t *testing.T) {
			refused(t, c.text, c.want)
		})
	}
}

// refused looks for the first thing that is said of a document.
func refused(t *testing.T, text, want string) {
	t.Helper()
	_, err := resolve(t, text, "east")
	if err == nil {
		t.Fatal("it is taken")
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	if first = strings.TrimPrefix(first, "office.yaml:"); !strings.HasPrefix(first, want) {
		t.Errorf("%s\nwant %s", first, want)
	}
}

// TestLongLines: a document may be one long line.
func TestLongLines(t *testing.T) {
	_, err := resolve(t, strings.Replace(good, "name: main", "name: "+strings.Repeat("x", 5000), 1), "east")
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("%v", err)
	}
	if _, err = resolve(t, strings.Repeat("[", 20000), "east"); err == nil || len(err.Error()) > 1000 {
		t.Errorf("%v", err)
	}
}
