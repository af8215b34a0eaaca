package demo

import "testing"

func TestEcho(t *testing.T) {
	marker := []byte("0123456789abcdef")
	b := echo(false, 0x1234, 7, marker)
	if len(b) != icmpHeaderLen+payloadLen || b[0] != 8 {
		t.Fatalf("% x", b)
	}
	// over a message with its checksum, the sum is zero (RFC 1071)
	if got := checksum(b); got != 0 {
		t.Errorf("checksum over the whole is %#x", got)
	}
	if v6 := echo(true, 0x1234, 7, marker); v6[0] != 128 || v6[2] != 0 || v6[3] != 0 {
		t.Errorf("% x", v6[:8])
	}
}

func TestChecksum(t *testing.T) {
	// the example of RFC 1071 section 3
	if got := checksum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); got != ^uint16(0xddf2) {
		t.Errorf("%#x", got)
	}
}

func TestIsReply(t *testing.T) {
	marker := []byte("0123456789abcdef")
	reply := func(v6 bool, change func(b []byte)) []byte {
		b := echo(v6, 1, 2, marker)
		b[0] = 0
		if v6 {
			b[0] = 129
		}
		if change != nil {
			change(b)
		}
		if v6 {
			return b
		}
		return ipv4(1, 4, b...)
	}
	for _, tt := range []struct {
		name    string
		v6      bool
		message []byte
		want    bool
	}{
		{"ipv4", false, reply(false, nil), true},
		{"ipv6", true, reply(true, nil), true},
		{"nothing", false, nil, false},
		{"nothing, ipv6", true, nil, false},
		{"header longer than the message", false, ipv4(1, 40)[:24], false},
		{"own request", true, echo(true, 1, 2, marker), false},
		{"other id", true, reply(true, func(b []byte) { b[4]++ }), false},
		{"other sequence number", false, reply(false, func(b []byte) { b[7]++ }), false},
		{"other payload", true, reply(true, func(b []byte) { b[20]++ }), false},
		{"a code", true, reply(true, func(b []byte) { b[1] = 1 }), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := isReply(tt.v6, tt.message, echo(tt.v6, 1, 2, marker)); got != tt.want {
				t.Errorf("%v", got)
			}
		})
	}
}
