package ifaces

import (
	"errors"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func aead(name string, icv uint32) func(*netlinkx.SA) {
	return func(sa *netlinkx.SA) { sa.AEAD = &netlinkx.AEAD{Name: name, ICVBits: icv} }
}

func pair(crypt, auth string, icv uint32) func(*netlinkx.SA) {
	return func(sa *netlinkx.SA) {
		sa.Crypt = &netlinkx.Algo{Name: crypt}
		sa.AuthTrunc = &netlinkx.AuthTrunc{Name: auth, ICVBits: icv}
	}
}

func mode(m netlinkx.Mode) func(*netlinkx.SA) { return func(sa *netlinkx.SA) { sa.Mode = m } }

func outer6(sa *netlinkx.SA) { sa.Family = netlinkx.FamilyIPv6 }
func inner4(sa *netlinkx.SA) { sa.Selector.Family = netlinkx.FamilyIPv4 }
func inner6(sa *netlinkx.SA) { sa.Selector.Family = netlinkx.FamilyIPv6 }

func encap(t netlinkx.EncapType) func(*netlinkx.SA) {
	return func(sa *netlinkx.SA) { sa.Encap = &netlinkx.Encap{Type: t} }
}

func proto(p netlinkx.Proto) func(*netlinkx.SA) { return func(sa *netlinkx.SA) { sa.Proto = p } }

// TestMTU has the figures of a running kernel where they are known (the first
// group, measured with path MTU discovery) and others worked out by hand:
// underlay - headers - ICV, rounded down to the cipher's block, - 2.
func TestMTU(t *testing.T) {
	gcm := aead("rfc4106(gcm(aes))", 128)
	cbc := pair("cbc(aes)", "hmac(sha256)", 128)
	tunnel, transport, beet := mode(netlinkx.ModeTunnel), mode(netlinkx.ModeTransport), mode(netlinkx.ModeBEET)
	tests := []struct {
		name     string
		underlay int
		with     []func(*netlinkx.SA)
		want     int
	}{
		{"gcm tunnel", 1500, []func(*netlinkx.SA){gcm, tunnel}, 1446},
		{"gcm tunnel in udp", 1500, []func(*netlinkx.SA){gcm, tunnel, encap(netlinkx.EncapESPinUDP)}, 1438},
		{"gcm tunnel over ipv6", 1500, []func(*netlinkx.SA){gcm, tunnel, outer6}, 1426},
		{"cbc and sha256 tunnel", 1500, []func(*netlinkx.SA){cbc, tunnel}, 1438},

		{"gcm transport", 1500, []func(*netlinkx.SA){gcm, transport}, 1466},
		{"gcm transport over ipv6", 1500, []func(*netlinkx.SA){gcm, transport, outer6}, 1466},
		{"gcm beet, ipv4 in ipv4", 1500, []func(*netlinkx.SA){gcm, beet, inner4}, 1458},
		{"gcm beet, inner family left to the kernel", 1500, []func(*netlinkx.SA){gcm, beet}, 1458},
		{"gcm beet, ipv6 in ipv4", 1500, []func(*netlinkx.SA){gcm, beet, inner6}, 1466},
		{"gcm beet, ipv6 in ipv6", 1500, []func(*netlinkx.SA){gcm, beet, inner6, outer6}, 1466},
		{"gcm beet, ipv4 in ipv6", 1500, []func(*netlinkx.SA){gcm, beet, inner4, outer6}, 1438},
		{"gcm with an 8-byte icv", 1500, []func(*netlinkx.SA){aead("rfc4106(gcm(aes))", 64), tunnel}, 1454},
		{"gcm in tcp", 1500, []func(*netlinkx.SA){gcm, tunnel, encap(netlinkx.EncapESPinTCP)}, 1442},
		{"chacha20", 1500, []func(*netlinkx.SA){aead("rfc7539esp(chacha20,poly1305)", 128), tunnel}, 1446},
		{"cbc and sha256 with the kernel's 96 bits", 1500, []func(*netlinkx.SA){tunnel, func(sa *netlinkx.SA) {
			sa.Crypt, sa.Auth = &netlinkx.Algo{Name: "cbc(aes)"}, &netlinkx.Algo{Name: "hmac(sha256)"}
		}}, 1438},
		{"cbc and sha1 in udp over ipv6", 1500, []func(*netlinkx.SA){pair("cbc(aes)", "hmac(sha1)", 96), tunnel, outer6, encap(netlinkx.EncapESPinUDP)}, 1406},
		{"3des and sha512", 1500, []func(*netlinkx.SA){pair("cbc(des3_ede)", "hmac(sha512)", 256), tunnel}, 1430},
		{"null cipher and sha1", 1500, []func(*netlinkx.SA){pair("ecb(cipher_null)", "hmac(sha1)", 0), tunnel}, 1458},
		{"jumbo frames", 9000, []func(*netlinkx.SA){gcm, tunnel}, 8946},
		{"tfc padding changes nothing", 1500, []func(*netlinkx.SA){gcm, tunnel, func(sa *netlinkx.SA) { sa.TFCPad = 1000 }}, 1446},
		{"ip-tfs fragments", 1500, []func(*netlinkx.SA){gcm, mode(netlinkx.ModeIPTFS)}, MaxMTU},
		{"ip-tfs that may not fragment", 1500, []func(*netlinkx.SA){gcm, mode(netlinkx.ModeIPTFS), func(sa *netlinkx.SA) { sa.IPTFS.DontFrag = true }}, 1442},
		{"ah tunnel, aligned to 8", 1500, []func(*netlinkx.SA){proto(netlinkx.ProtoAH), tunnel, pair("", "hmac(sha256)", 128)}, 1448},
		{"ah tunnel, aligned to 4", 1500, []func(*netlinkx.SA){proto(netlinkx.ProtoAH), tunnel, pair("", "hmac(sha256)", 128), func(sa *netlinkx.SA) { sa.Flags = netlinkx.FlagAlign4 }}, 1452},
		{"ipcomp tunnel", 1500, []func(*netlinkx.SA){proto(netlinkx.ProtoComp), tunnel}, 1480},
		{"loopback is cut to the largest", 1 << 20, []func(*netlinkx.SA){gcm, tunnel}, MaxMTU},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sa := &netlinkx.SA{Proto: netlinkx.ProtoESP}
			for _, f := range tt.with {
				f(sa)
			}
			got, err := MTU(tt.underlay, sa)
			if err != nil || got != tt.want {
				t.Errorf("MTU = %d, %v; want %d", got, err, tt.want)
			}
		})
	}
}

func TestMTURefuses(t *testing.T) {
	tests := []struct {
		name        string
		underlay    int
		sa          netlinkx.SA
		unsupported bool
	}{
		{"no algorithm", 1500, netlinkx.SA{Mode: netlinkx.ModeTunnel}, false},
		{"unknown aead", 1500, netlinkx.SA{AEAD: &netlinkx.AEAD{Name: "gcm(aes)", ICVBits: 128}}, true},
		{"unknown cipher", 1500, netlinkx.SA{Crypt: &netlinkx.Algo{Name: "rot13"}}, true},
		{"aead given as cipher", 1500, netlinkx.SA{Crypt: &netlinkx.Algo{Name: "rfc4106(gcm(aes))"}}, true},
		{"unknown auth", 1500, netlinkx.SA{Auth: &netlinkx.Algo{Name: "crc32"}}, true},
		{"aead without icv", 1500, netlinkx.SA{AEAD: &netlinkx.AEAD{Name: "rfc4106(gcm(aes))"}}, false},
		{"icv of half a byte", 1500, netlinkx.SA{AuthTrunc: &netlinkx.AuthTrunc{Name: "hmac(sha1)", ICVBits: 92}}, false},
		{"mode without an mtu", 1500, netlinkx.SA{Mode: netlinkx.ModeRO, AEAD: &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128}}, true},
		{"route header", 1500, netlinkx.SA{Proto: netlinkx.ProtoRoute2}, true},
		{"unknown encapsulation", 1500, netlinkx.SA{Auth: &netlinkx.Algo{Name: "hmac(sha1)"}, Encap: &netlinkx.Encap{Type: 99}}, true},
		{"underlay below the headers", 40, netlinkx.SA{Mode: netlinkx.ModeTunnel, AEAD: &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128}}, false},
		{"underlay that leaves too little", 100, netlinkx.SA{Mode: netlinkx.ModeTunnel, AEAD: &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := MTU(tt.underlay, &tt.sa)
			if err == nil || got != 0 {
				t.Fatalf("MTU = %d, %v; want an error", got, err)
			}
			if errors.Is(err, errors.ErrUnsupported) != tt.unsupported {
				t.Errorf("errors.Is(%v, ErrUnsupported) is not %v", err, tt.unsupported)
			}
		})
	}
}
