package differ

import (
	"bytes"
	"fmt"
	"regexp"

	"golang.org/x/sys/unix"
)

// snapshot is the kernel's whole XFRM configuration of one namespace, as the
// kernel sends it, with what two runs cannot have in common masked.
type snapshot struct {
	states, policies []message
	info             []message // SAD info, SPD info, default actions
}

// explicitIndex is where the policy indexes begin that commands name. The
// kernel counts its own up from 0, in some kernels for all namespaces
// together, so that those below differ from run to run.
const explicitIndex = 0x40000000

// snapshot reads the tables. aliases maps SPIs that the kernel drew to what
// stands for them.
func (s *space) snapshot(aliases map[uint32]uint32) (snapshot, error) {
	var snap snapshot
	var err error
	if snap.states, err = s.dump.ask(msgGetSA, unix.NLM_F_DUMP, nil); err != nil {
		return snap, fmt.Errorf("dump states: %w", err)
	}
	if snap.policies, err = s.dump.ask(msgGetPolicy, unix.NLM_F_DUMP, nil); err != nil {
		return snap, fmt.Errorf("dump policies: %w", err)
	}
	ones := native.AppendUint32(nil, ^uint32(0))
	for _, q := range []struct {
		kind uint16
		body []byte
	}{{msgGetSADInfo, ones}, {msgGetSPDInfo, ones}, {msgGetDefault, []byte{0, 0, 0}}} {
		answer, err := s.dump.ask(q.kind, 0, q.body)
		if err != nil {
			return snap, fmt.Errorf("message 0x%x: %w", q.kind, err)
		}
		snap.info = append(snap.info, answer...)
	}
	for _, m := range snap.states {
		maskState(m, aliases)
	}
	for _, m := range snap.policies {
		maskPolicy(m)
	}
	for _, m := range snap.info {
		maskHeader(m)
	}
	maskHashSizes(snap.info)
	return snap, nil
}

func maskHeader(m message) {
	clear(m[8:16]) // sequence number and port
}

// Offsets inside xfrm_usersa_info and xfrm_userpolicy_info.
const (
	offSPI         = 56 + 16
	offSATimes     = 160 + 16 // add_time and use_time of curlft
	offPolicyTimes = 120 + 16
	offPolicyIndex = 156
)

func maskState(m message, aliases map[uint32]uint32) {
	maskHeader(m)
	b := m.body()
	clear(b[offSATimes : offSATimes+16])
	spi := be32(b[offSPI:])
	if alias, ok := aliases[spi]; ok {
		putBE32(b[offSPI:], alias)
	}
}

func maskPolicy(m message) {
	maskHeader(m)
	b := m.body()
	clear(b[offPolicyTimes : offPolicyTimes+16])
	if index := native.Uint32(b[offPolicyIndex:]); index < explicitIndex {
		native.PutUint32(b[offPolicyIndex:], index&7)
	}
}

// maskHashSizes hides the number of hash buckets, which a background job of
// the kernel changes when it gets to it. (SAD info attribute 2, SPD info
// attribute 2, first word of each.)
func maskHashSizes(info []message) {
	for _, m := range info[:2] {
		maskHashSize(m)
	}
}

func maskHashSize(m message) {
	for b := m.body()[4:]; len(b) >= 8; {
		size := int(native.Uint16(b))
		if native.Uint16(b[2:]) == 2 {
			clear(b[4:8])
		}
		b = b[min((size+3)&^3, len(b)):]
	}
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func putBE32(b []byte, v uint32) {
	b[0], b[1], b[2], b[3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
}

// differ says what is different between two snapshots, "" for nothing.
func (a snapshot) differ(b snapshot) string {
	for _, part := range []struct {
		name string
		a, b []message
	}{{"states", a.states, b.states}, {"policies", a.policies, b.policies}, {"counters and defaults", a.info, b.info}} {
		if len(part.a) != len(part.b) {
			return fmt.Sprintf("%s: %d and %d", part.name, len(part.a), len(part.b))
		}
		for i := range part.a {
			if !bytes.Equal(part.a[i], part.b[i]) {
				return fmt.Sprintf("%s: number %d:%s", part.name, i+1, firstDifference(part.a[i], part.b[i]))
			}
		}
	}
	return ""
}

// firstDifference shows where two messages differ.
func firstDifference(a, b message) string {
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	show := func(m message) string { return fmt.Sprintf("%x", m[min(at, len(m)):min(at+16, len(m))]) }
	return fmt.Sprintf(" message 0x%02x, sizes %d and %d, at byte %d of the body: %s and %s",
		a.kind(), len(a), len(b), at-sizeofNetlinkHdr, show(a), show(b))
}

var (
	times   = regexp.MustCompile(`(add|use) \d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	indexes = regexp.MustCompile(`\bindex (\d+) `)
	buckets = regexp.MustCompile(`buckets( count|: count) \d+`)
	spis    = regexp.MustCompile(`spi 0x[0-9a-f]{8}(\(\d+\))?`)
)

// maskText hides in a list what two runs cannot have in common.
func maskText(s string, aliases map[uint32]uint32) string {
	s = times.ReplaceAllString(s, "$1 TIME")
	s = buckets.ReplaceAllString(s, "buckets$1 N")
	s = indexes.ReplaceAllStringFunc(s, func(m string) string {
		var index uint32
		if _, err := fmt.Sscanf(m, "index %d", &index); err != nil || index >= explicitIndex {
			return m
		}
		return fmt.Sprintf("index N+%d ", index&7)
	})
	if len(aliases) == 0 {
		return s
	}
	return spis.ReplaceAllStringFunc(s, func(m string) string {
		var spi uint32
		if _, err := fmt.Sscanf(m, "spi 0x%x", &spi); err == nil {
			if alias, ok := aliases[spi]; ok {
				return fmt.Sprintf("spi DRAWN-%d", alias)
			}
		}
		return m
	})
}
