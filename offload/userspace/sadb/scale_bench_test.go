package sadb

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// scales are the sizes of the databases that are compared.
var scales = []int{10, 1000, 100_000}

// lengthsInUse is what a large gateway's policies have: mostly hosts and /24,
// some wider. Every size of database has the same mix.
var lengthsInUse = []int{32, 32, 32, 28, 24, 24, 24, 20, 16, 12}

// mixedPolicy is policy i of a database of mixed prefix lengths: host and net
// pairs in 10.0.0.0/8, the more specific with the better priority.
func mixedPolicy(i int) *netlinkx.Policy {
	return testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) {
		dl, sl := lengthsInUse[i%10], lengthsInUse[i/10%10]
		d, s := mixedPair(i)
		p.Selector.Dst = netip.PrefixFrom(d, dl).Masked()
		p.Selector.Src = netip.PrefixFrom(s, sl).Masked()
		p.Priority = uint32(64 - dl - sl)
		p.Templates[0].ReqID = uint32(i + 1)
	})
}

// mixedPair are the addresses that policy i is for.
func mixedPair(i int) (dst, src netip.Addr) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24|uint32(i)*2654435761>>8)
	d := netip.AddrFrom4(b)
	binary.BigEndian.PutUint32(b[:], 10<<24|uint32(i)*40503<<7&0xffffff)
	return d, netip.AddrFrom4(b)
}

func mixedSA(i int) *SARequest {
	return testSA(netlinkx.SPI(256+i), func(sa *netlinkx.SA) {
		sa.ReqID = uint32(i + 1)
		sa.ReplayWindow, sa.ReplayESN = 1024, &netlinkx.ReplayESN{BitmapLen: 32}
		sa.Flags = netlinkx.FlagESN
	})
}

// fill adds n SAs and policies.
func fill(t testing.TB, db *DB, n int) {
	t.Helper()
	for i := range n {
		must(t, db.AddSA(Cause{}, mixedSA(i)))
		must(t, db.UpdatePolicy(Cause{}, mixedPolicy(i)))
	}
}

func silentDB(t testing.TB, n int) *DB {
	t.Helper()
	db, _ := newDB(t, func(c *Config) { c.Listener = nil })
	fill(t, db, n)
	return db
}

// mixedFlows are flows that meet n policies.
func mixedFlows(n int) []flow.Flow {
	fs := make([]flow.Flow, 4096)
	for i := range fs {
		d, s := mixedPair(rand.IntN(n))
		fs[i] = *packet(s.String(), d.String())
	}
	return fs
}

// BenchmarkOutbound is the decision for packets of flows that have nothing to
// do with each other: policy and SA.
func BenchmarkOutbound(b *testing.B) {
	for _, n := range scales {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db, fs := silentDB(b, n), mixedFlows(n)
			var d Decision
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if db.Outbound(&fs[i%len(fs)], 0, &d); d.Verdict != Protect {
					b.Fatalf("%v %v", d.Verdict, d.Counter)
				}
			}
		})
	}
}

// BenchmarkOutboundMiss is the same for flows that no policy matches: a flood.
func BenchmarkOutboundMiss(b *testing.B) {
	for _, n := range scales {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db := silentDB(b, n)
			f := packet("172.16.0.1", "172.16.0.2")
			var d Decision
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				binary.BigEndian.PutUint32(f.Dst[:], uint32(i)*2654435761|0x80000000)
				if db.Outbound(f, 0, &d); d.Verdict != NoPolicy {
					b.Fatal(d.Verdict)
				}
			}
		})
	}
}

// BenchmarkInbound finds the SA of received packets.
func BenchmarkInbound(b *testing.B) {
	for _, n := range scales {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db := silentDB(b, n)
			dst := [16]byte(xaddr.Of(addr("192.0.2.2")))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if db.Inbound(&dst, netlinkx.FamilyIPv4, netlinkx.SPI(256+i*7919%n), 0) == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}

// BenchmarkReserve takes numbers for a batch of 64 packets.
func BenchmarkReserve(b *testing.B) {
	db := silentDB(b, 1)
	sa := db.Inbound((*[16]byte)(ptr(xaddr.Of(addr("192.0.2.2")))), netlinkx.FamilyIPv4, 256, 0)
	b.ReportAllocs()
	for b.Loop() {
		if g := sa.Reserve(64, 64*1400); g.N != 64 {
			b.Fatal(g)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// BenchmarkAdd adds SAs and policies; one operation is one of each.
func BenchmarkAdd(b *testing.B) {
	db, _ := newDB(b, func(c *Config) { c.Listener = nil })
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		must(b, db.AddSA(Cause{}, mixedSA(i)))
		must(b, db.UpdatePolicy(Cause{}, mixedPolicy(i)))
		i++
	}
}

// BenchmarkBulkAdd adds 100,000 SAs and as many policies to an empty DB.
func BenchmarkBulkAdd(b *testing.B) {
	for b.Loop() {
		db, _ := newDB(b, deaf)
		start := time.Now()
		fill(b, db, 100_000)
		b.ReportMetric(time.Since(start).Seconds(), "s/100k-pairs")
	}
}

// TestBytesPerSA: an SA with all that belongs to it takes at most 4 KiB.
func TestBytesPerSA(t *testing.T) {
	const n = 20_000
	db, _ := newDB(t, func(c *Config) { c.Listener = nil })
	before := heapInUse()
	for i := range n {
		must(t, db.AddSA(Cause{}, mixedSA(i)))
	}
	each := (heapInUse() - before) / n
	t.Logf("%d bytes per SA", each)
	if each > 4096 {
		t.Errorf("%d bytes per SA, want at most 4096", each)
	}
	runtime.KeepAlive(db)
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
