package segment

import (
	"fmt"
	"testing"
)

func BenchmarkSum(b *testing.B) {
	data := random(65536, 1)
	for name, f := range sums() {
		for _, n := range []int{20, 40, 64, 256, 1400, 65536} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				s := uint16(0)
				for b.Loop() {
					s += f(data[:n])
				}
				if s == 1 {
					b.Log(s)
				}
			})
		}
	}
}

// BenchmarkSplit is a super-packet of a bulk sender, per segment.
func BenchmarkSplit(b *testing.B) {
	for name, s := range shapes() {
		s.payload = random(46*1400, 1)[:45*1400]
		h, fresh := s.super(1400)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(fresh)))
			var sp Splitter
			pkt := make([]byte, len(fresh))
			copy(pkt, fresh)
			for b.Loop() {
				copy(pkt[:128], fresh)
				if err := sp.Init(&h, pkt); err != nil {
					b.Fatal(err)
				}
				for sp.Next() != nil {
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*sp.Segments()), "ns/segment")
		})
	}
}

// traffic are the packets of one batch.
func traffic() map[string][][]byte {
	bulk := func(port uint16, n, size int) [][]byte {
		s := tcp4(1, random(n*size, uint64(port)))
		s.sport = port
		s.options = []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}
		return s.cut(size)
	}
	t := map[string][][]byte{}
	t["one bulk stream"] = bulk(1, 45, 1388)
	for i := range 45 {
		t["four streams in turn"] = append(t["four streams in turn"], bulk(uint16(i%4), 12, 1388)[i/4])
		t["four streams in bursts of 8"] = append(t["four streams in bursts of 8"], bulk(uint16(i/8%4), 16, 1388)[i/32*8+i%8])
		ack := tcp4(1, nil)
		ack.ack, ack.id = uint32(i*2800), uint16(i)
		t["acknowledgements"] = append(t["acknowledgements"], ack.build())
		udp := spec{udp: true, src: 1, dst: 2, ttl: 64, id: uint16(i), payload: random(36, uint64(i))}
		t["UDP of 64 bytes"] = append(t["UDP of 64 bytes"], udp.build())
		udp.payload = random(1272, uint64(i))
		t["UDP of 1300 bytes"] = append(t["UDP of 1300 bytes"], udp.build())
		udp.sport = uint16(i)
		t["UDP, each another flow"] = append(t["UDP, each another flow"], udp.build())
		gre := udp.build()
		gre[9] = 47
		t["neither TCP nor UDP"] = append(t["neither TCP nor UDP"], gre)
	}
	return t
}

// BenchmarkCoalesce is a batch of 45 packets of one traffic shape. The packets
// are written to the reserved places, which stands for their decryption:
// compare with "copy only".
func BenchmarkCoalesce(b *testing.B) {
	for name, packets := range traffic() {
		n := 0
		for _, p := range packets {
			n += len(p)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(n))
			c := NewCoalescer(CoalescerConfig{})
			outputs := 0
			for b.Loop() {
				for _, p := range packets {
					buf := c.Reserve(len(p) + 18)
					copy(buf, p)
					c.Commit(len(p), 0)
				}
				outputs = len(c.Outputs())
				c.Reset()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(packets)), "ns/packet")
			b.ReportMetric(float64(outputs), "outputs")
		})
		b.Run(name+"/copy only", func(b *testing.B) {
			b.SetBytes(int64(n))
			dst := make([]byte, n+1000)
			for b.Loop() {
				at := 0
				for _, p := range packets {
					at += copy(dst[at:], p)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(packets)), "ns/packet")
		})
	}
}
