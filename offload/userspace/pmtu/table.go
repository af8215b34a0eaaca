package pmtu

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of Linux: net.ipv4.route.min_pmtu, RFC 8200 section 5,
// net.ipv4.route.mtu_expires and net.ipv6.route.mtu_expires.
const (
	MinIPv4 = 552
	MinIPv6 = 1280
	Expires = 10 * time.Minute
)

// Config bounds a Table. The zero value gives the defaults.
type Config struct {
	Paths   int           // how many are remembered; 0 means 1024. The one to expire first gives way
	Expires time.Duration // 0 means Expires
}

// Path is what has an MTU.
type Path struct {
	Dst    netip.Addr // outer destination
	Device uint32     // the caller's: output interface or mark, so that each has an MTU of its own
}

// Table holds learned path MTUs. It is safe for concurrent use. A data path
// that asks for every packet keeps the answer until Generation changes.
type Table struct {
	cfg   Config
	mu    sync.Mutex
	paths map[Path]*entry
	all   Limiter
	gen   atomic.Uint64
}

type entry struct {
	mtu   uint32
	until time.Duration
	limit Limiter
}

// New makes an empty Table.
func New(cfg Config) *Table {
	if cfg.Paths <= 0 {
		cfg.Paths = 1024
	}
	if cfg.Expires <= 0 {
		cfg.Expires = Expires
	}
	return &Table{
		cfg: cfg, paths: map[Path]*entry{},
		all: Limiter{Every: time.Millisecond, Burst: 100},
	}
}

// Learn takes in the MTU that an ICMP error reports for a path, in bytes of the
// whole outer packet, and says whether it changed anything. The caller has
// matched the quoted SPI with an SA that sends to that path. As in Linux, an
// IPv4 MTU under MinIPv4 counts as MinIPv4, an IPv6 MTU under MinIPv6 is
// ignored, a larger MTU than the known one is ignored, and the same one renews
// it. More than 8 reports for a path at once, and one a second then, are
// ignored. now is the time since any fixed instant; it must not run backwards.
func (t *Table) Learn(p Path, mtu uint32, now time.Duration) bool {
	switch {
	case !p.Dst.Is4() && mtu < MinIPv6:
		return false
	case p.Dst.Is4() && mtu < MinIPv4:
		mtu = MinIPv4
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.all.Allow(now) {
		return false
	}
	e := t.paths[p]
	if e == nil || now >= e.until {
		e = t.add(p, now)
	} else if mtu > e.mtu {
		return false
	}
	if !e.limit.Allow(now) {
		return false
	}
	e.mtu, e.until = mtu, now+t.cfg.Expires
	t.gen.Add(1)
	return true
}

// add begins to remember a path. The limit of an expired one goes on.
func (t *Table) add(p Path, now time.Duration) *entry {
	if e := t.paths[p]; e != nil {
		return e
	}
	if len(t.paths) >= t.cfg.Paths {
		t.evict(now)
	}
	e := &entry{limit: Limiter{Every: time.Second, Burst: 8}}
	t.paths[p] = e
	return e
}

// evict makes room: what has expired goes, or else what expires first.
func (t *Table) evict(now time.Duration) {
	var first Path
	var until time.Duration
	for p, e := range t.paths {
		if now >= e.until {
			delete(t.paths, p)
			continue
		}
		if until == 0 || e.until < until {
			first, until = p, e.until
		}
	}
	if len(t.paths) >= t.cfg.Paths {
		delete(t.paths, first)
	}
}

// MTU is what has been learned for the path, and when that expires; 0 and 0 if
// nothing has, or it has expired. Allocates nothing.
func (t *Table) MTU(p Path, now time.Duration) (mtu uint32, until time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.paths[p]; e != nil && now < e.until {
		return e.mtu, e.until
	}
	return 0, 0
}

// Forget drops what is known of a path, for instance when its route changed.
func (t *Table) Forget(p Path) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.paths[p] != nil {
		delete(t.paths, p)
		t.gen.Add(1)
	}
}

// Len is how many paths are remembered, expired ones included.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.paths)
}

// Generation changes whenever an answer of MTU may have changed, except by
// expiry.
func (t *Table) Generation() uint64 { return t.gen.Load() }
