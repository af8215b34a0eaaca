package pmtu

import (
	"net/netip"
	"sync"
	"testing"
	"time"
)

func TestLearn(t *testing.T) {
	p4, p6 := Path{Dst: peer4}, Path{Dst: peer6, Device: 1}
	type step struct {
		path    Path
		at      time.Duration
		mtu     uint32
		changed bool
		want    uint32
	}
	for name, steps := range map[string][]step{
		"as reported":          {{p4, 0, 1400, true, 1400}, {p6, 0, 1400, true, 1400}},
		"smaller":              {{p4, 0, 1400, true, 1400}, {p4, 1, 1300, true, 1300}},
		"larger is ignored":    {{p4, 0, 1300, true, 1300}, {p4, 1, 1400, false, 1300}},
		"larger when expired":  {{p4, 0, 1300, true, 1300}, {p4, Expires, 1400, true, 1400}},
		"IPv4 floor":           {{p4, 0, 551, true, 552}, {p4, 1, 68, true, 552}, {p4, 2, 0, true, 552}},
		"IPv6 floor":           {{p6, 0, 1279, false, 0}, {p6, 1, 1280, true, 1280}, {p6, 2, 0, false, 1280}},
		"the same renews":      {{p4, 0, 1400, true, 1400}, {p4, 5 * time.Minute, 1400, true, 1400}, {p4, 14 * time.Minute, 1500, false, 1400}},
		"expires":              {{p4, 0, 1400, true, 1400}, {p6, Expires - 1, 1400, true, 1400}, {p4, Expires, 1500, true, 1500}},
		"devices are separate": {{p6, 0, 1400, true, 1400}, {Path{Dst: peer6, Device: 2}, 0, 1450, true, 1450}},
	} {
		table := New(Config{})
		for i, s := range steps {
			before := table.Generation()
			if got := table.Learn(s.path, s.mtu, s.at); got != s.changed {
				t.Errorf("%s, step %d: changed %v", name, i, got)
			}
			if (table.Generation() != before) != s.changed {
				t.Errorf("%s, step %d: generation", name, i)
			}
			got, until := table.MTU(s.path, s.at)
			if got != s.want || (got != 0) != (until > s.at) {
				t.Errorf("%s, step %d: %d until %v", name, i, got, until)
			}
			if got != 0 {
				if late, _ := table.MTU(s.path, until); late != 0 {
					t.Errorf("%s, step %d: still %d when expired", name, i, late)
				}
			}
		}
	}
}

// TestRate: a flood of reports, even of falling ones, changes little.
func TestRate(t *testing.T) {
	table := New(Config{})
	n := 0
	for i := range 1000 {
		if table.Learn(Path{Dst: peer4}, uint32(1500-i%500), time.Duration(i)*time.Millisecond) {
			n++
		}
	}
	if n < 8 || n > 9 {
		t.Errorf("%d changes within a second", n)
	}
	// expiry does not refill the path's bucket
	if _, until := table.MTU(Path{Dst: peer4}, time.Second); until == 0 {
		t.Error("nothing learned")
	}
	n = 0
	for i := range 10000 {
		if table.Learn(Path{Dst: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}, 1400, time.Second) {
			n++
		}
	}
	if n > 100 {
		t.Errorf("%d paths at once", n)
	}
}

// TestTableBounded: what expires first gives way, what has expired before that.
func TestTableBounded(t *testing.T) {
	table := New(Config{Paths: 4, Expires: time.Minute})
	path := func(i int) Path { return Path{Dst: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})} }
	at := func(i int) time.Duration { return time.Duration(i) * time.Second }
	for i := range 20 {
		table.Learn(path(i), 1400, at(i))
		if table.Len() > 4 {
			t.Fatalf("%d paths", table.Len())
		}
	}
	for i := range 20 {
		if got, _ := table.MTU(path(i), at(20)); (got != 0) != (i >= 16) {
			t.Errorf("path %d: %d", i, got)
		}
	}
	table.Learn(path(99), 1400, at(200))
	if table.Len() != 1 {
		t.Errorf("%d paths; the expired ones are still there", table.Len())
	}
	before := table.Generation()
	table.Forget(path(99))
	table.Forget(path(98))
	if got, _ := table.MTU(path(99), at(200)); got != 0 || table.Len() != 0 || table.Generation() != before+1 {
		t.Error("not forgotten")
	}
}

func TestLimiter(t *testing.T) {
	l := Limiter{Every: time.Second, Burst: 3}
	for i, c := range []struct {
		at   time.Duration
		want bool
	}{
		{5 * time.Second, true}, {5 * time.Second, true}, {5 * time.Second, true}, {5 * time.Second, false},
		{5900 * time.Millisecond, false}, {6 * time.Second, true}, {6999 * time.Millisecond, false}, {7 * time.Second, true},
		{3 * time.Second, false}, {time.Hour, true}, {time.Hour, true}, {time.Hour, true}, {time.Hour, false},
	} {
		if got := l.Allow(c.at); got != c.want {
			t.Errorf("step %d at %v: %v", i, c.at, got)
		}
	}
	var zero Limiter
	if zero.Allow(0) || zero.Allow(time.Hour) {
		t.Error("the zero Limiter allows something")
	}
}

func TestTableConcurrent(t *testing.T) {
	table := New(Config{Paths: 8})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				p := Path{Dst: peer4, Device: uint32(i % 16)}
				table.Learn(p, uint32(1400-w), time.Duration(i)*time.Second)
				if m, _ := table.MTU(p, time.Duration(i)*time.Second); m != 0 && (m < 1397 || m > 1400) {
					t.Errorf("MTU %d", m)
				}
				table.Forget(Path{Dst: peer4, Device: uint32(w)})
			}
		})
	}
	wg.Wait()
}

func TestLookupAllocatesNothing(t *testing.T) {
	table := New(Config{})
	p := Path{Dst: peer6}
	table.Learn(p, 1400, 0)
	if n := testing.AllocsPerRun(100, func() {
		if m, _ := table.MTU(p, 1); m != 1400 {
			t.Fatal(m)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMTU(b *testing.B) {
	table := New(Config{})
	p := Path{Dst: peer6}
	table.Learn(p, 1400, 0)
	b.ReportAllocs()
	for b.Loop() {
		if m, _ := table.MTU(p, 1); m != 1400 {
			b.Fatal(m)
		}
	}
}
