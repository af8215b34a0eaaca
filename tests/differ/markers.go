package differ

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// makeMarkers makes in a namespace, with `ip`, one object for each attribute,
// and by hand those that ip cannot make. It returns how many of them this
// kernel refused.
func makeMarkers(t *testing.T, s *space, ip program) (made, refused int) {
	t.Helper()
	groups, err := readTable("markers.rows")
	if err != nil {
		t.Fatal(err)
	}
	// A larval SA among them would be gone after 30 s of a slow run.
	s.do(func() { err = os.WriteFile("/proc/sys/net/core/xfrm_acq_expires", []byte("3600"), 0) })
	if err != nil {
		t.Logf("larval SAs live 30 s: %v", err)
	}
	for _, g := range groups {
		for _, row := range g.cases[0].rows {
			r, err := s.run(ip, row.command.ip(), "")
			if err != nil {
				t.Fatal(err)
			}
			if r.code == 0 {
				made++
				continue
			}
			refused++
			t.Logf("this kernel refused %v: %s", row.command, r.err)
		}
	}
	for name, sa := range handmade() {
		_, err := s.dump.ask(msgNewSA, unix.NLM_F_ACK, sa)
		if err != nil {
			refused++
			t.Logf("this kernel refused %s: %v", name, err)
			continue
		}
		made++
	}
	return made, refused
}

// handmade are SAs with what ip has no words for.
func handmade() map[string][]byte {
	timer := attribute(nil, attrMappingTimer, native.AppendUint32(nil, 30))
	udp := []byte{2, 0, 0x11, 0x94, 0x11, 0x95, 0, 0, 198, 51, 100, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	native.PutUint16(udp, 2)
	word := func(b []byte, kind uint16, v uint32) []byte {
		return attribute(b, kind, native.AppendUint32(nil, v))
	}
	keepalive := word(attribute(attribute(nil, attrEncap, udp), attrDir, []byte{2}), attrKeepalive, 20)
	iptfs := attribute(nil, attrDir, []byte{2})
	iptfs = attribute(word(word(word(iptfs, 39, 1000), 40, 1<<20), 41, 1400), 38, nil)
	return map[string][]byte{
		"an SA with thresholds":     handmadeSA(0xa0000020, 1, word(word(nil, attrReplayThresh, 7), attrTimerThresh, 8)),
		"an SA with MTIMER_THRESH":  handmadeSA(0xa0000021, 1, append(attribute(nil, attrEncap, udp), timer...)),
		"an SA with NAT keepalives": handmadeSA(0xa0000022, 1, keepalive),
		"an IP-TFS SA":              handmadeSA(0xa0000023, 5, iptfs),
	}
}

// handmadeSA is an ESP SA with given attributes.
func handmadeSA(spi uint32, mode byte, attributes []byte) []byte {
	b := make([]byte, sizeofSA)
	copy(b[56:], []byte{198, 51, 100, 2})
	putBE32(b[offSPI:], spi)
	b[76] = unix.IPPROTO_ESP
	copy(b[80:], []byte{198, 51, 100, 1})
	for i := 96; i < 128; i++ {
		b[i] = 0xff
	}
	native.PutUint16(b[212:], unix.AF_INET)
	b[214] = mode
	algorithm := make([]byte, 72+20)
	copy(algorithm, "rfc4106(gcm(aes))")
	native.PutUint32(algorithm[64:], 160)
	native.PutUint32(algorithm[68:], 128)
	b = attribute(b, attrAEAD, algorithm)
	return append(b, attributes...)
}

// objects returns the raw messages of the tables that belong to the markers:
// those that are there now, in order.
func objects(s *space) (list []string, err error) {
	for _, kind := range []uint16{msgGetSA, msgGetPolicy} {
		messages, err := s.dump.ask(kind, unix.NLM_F_DUMP, nil)
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			maskHeader(m)
			list = append(list, fmt.Sprintf("%x", []byte(m)))
		}
	}
	return list, nil
}
