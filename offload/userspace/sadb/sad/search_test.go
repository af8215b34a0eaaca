package sad

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/notice"
)

// newTable returns a Table that nobody listens to, closed when the test ends.
func newTable(t *testing.T) (*Table, sync.Locker) {
	t.Helper()
	var mu sync.Mutex
	table := New(Config{Lock: &mu, Bus: notice.NewBus(nil), Generation: new(atomic.Uint64)})
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		table.Close()
	})
	return table, &mu
}

// tunnel is the configuration of an SA from 192.0.2.1 to 192.0.2.2.
func tunnel(spi netlinkx.SPI) *netlinkx.SA {
	c := netlinkx.NewSA()
	c.Family, c.SPI, c.Proto, c.Mode = netlinkx.FamilyIPv4, spi, netlinkx.ProtoESP, netlinkx.ModeTunnel
	c.Dst, c.Src = netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.1")
	return c
}

// TestSearchOfManyAlike: of many SAs that differ in nothing a template asks
// for, the newest is found without a look at the others.
func TestSearchOfManyAlike(t *testing.T) {
	table, lock := newTable(t)
	lock.Lock()
	for i := range netlinkx.SPI(5000) {
		c := tunnel(i + 1)
		sa, err := table.NewValid(c, Transform{}, c)
		if err != nil {
			t.Fatal(err)
		}
		table.Insert(sa)
	}
	lock.Unlock()
	s := Search{Flow: &flow.Flow{Family: netlinkx.FamilyIPv4}}
	w := wantOf(tunnel(0))
	table.Search(&s, &w)
	if s.Best == nil || s.Best.SPI() != 5000 {
		t.Errorf("found %+v", s.Best)
	}
	if table.exact.Load() {
		t.Error("every search looks at all of them")
	}
}
