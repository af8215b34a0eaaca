package sadb

import (
	"errors"
	"iter"
	"net/netip"
	"sync"
	"syscall"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

func addr(s string) netip.Addr  { return netip.MustParseAddr(s) }
func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// gcmKey is a key of rfc4106(gcm(aes)) that begins with n.
func gcmKey(n int) netlinkx.Key {
	b := make([]byte, 20)
	b[0], b[1], b[2] = byte(n), byte(n>>8), byte(n>>16)
	return netlinkx.NewKey(b)
}

// testSA is a tunnel SA from 192.0.2.1 to 192.0.2.2 that change may change.
func testSA(spi netlinkx.SPI, change ...func(*netlinkx.SA)) *SARequest {
	sa := netlinkx.NewSA()
	sa.Family = netlinkx.FamilyIPv4
	sa.Dst, sa.Src = addr("192.0.2.2"), addr("192.0.2.1")
	sa.SPI, sa.Proto, sa.Mode = spi, netlinkx.ProtoESP, netlinkx.ModeTunnel
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: gcmKey(int(spi)), ICVBits: 128}
	for _, c := range change {
		c(sa)
	}
	return &SARequest{SA: sa}
}

// testPolicy is a policy from 10.1.0.0/16 to 10.2.0.0/16 with a template for
// testSA's SAs.
func testPolicy(dir netlinkx.PolicyDir, change ...func(*netlinkx.Policy)) *netlinkx.Policy {
	p := netlinkx.NewPolicy()
	p.Dir = dir
	p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: pfx("10.1.0.0/16"), Dst: pfx("10.2.0.0/16")}
	t := netlinkx.NewTemplate()
	t.Dst, t.Src, t.Proto, t.Mode = addr("192.0.2.2"), addr("192.0.2.1"), netlinkx.ProtoESP, netlinkx.ModeTunnel
	p.Templates = []netlinkx.Template{t}
	for _, c := range change {
		c(p)
	}
	return p
}

// packet is the flow of a UDP packet.
func packet(src, dst string, change ...func(*flow.Flow)) *flow.Flow {
	s, d := addr(src), addr(dst)
	f := &flow.Flow{Family: netlinkx.FamilyOf(s), Src: xaddr.Of(s), Dst: xaddr.Of(d), Proto: flow.ProtoUDP, SrcPort: 1000, DstPort: 2000}
	for _, c := range change {
		c(f)
	}
	return f
}

// recorder is a Listener that hears everything, or some groups, and keeps it.
type recorder struct {
	mu       sync.Mutex
	deaf     map[netlinkx.Group]bool
	notices  []Notice
	headroom []Headroom
}

func (r *recorder) Listening(g netlinkx.Group) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.deaf[g]
}

func (r *recorder) Notify(_ netlinkx.Group, n Notice) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notices = append(r.notices, n)
}

func (r *recorder) Headroom(h Headroom) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.headroom = append(r.headroom, h)
}

// take returns what was heard since the last call.
func (r *recorder) take() []Notice {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.notices
	r.notices = nil
	return n
}

// newDB returns a DB that is closed when the test ends, and who hears it.
func newDB(t testing.TB, change ...func(*Config)) (*DB, *recorder) {
	t.Helper()
	r := &recorder{deaf: map[netlinkx.Group]bool{netlinkx.GroupAEvents: true}}
	cfg := Config{Listener: r, CPUs: 4}
	for _, c := range change {
		c(&cfg)
	}
	db := New(cfg)
	t.Cleanup(db.Close)
	return db, r
}

// newest returns the first item of a list, newest first.
func newest[T any](l iter.Seq[T]) (item T) {
	for item = range l {
		break
	}
	return item
}

// inboundSA is the SA that a packet to testSA's destination finds.
func inboundSA(db *DB, spi netlinkx.SPI) *SA {
	dst := [16]byte(xaddr.Of(addr("192.0.2.2")))
	return db.Inbound(&dst, netlinkx.FamilyIPv4, spi, 0)
}

// refuses checks that err is a refusal of that errno and text.
func refuses(t *testing.T, err error, e syscall.Errno, text string) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || r.Errno != e || r.Text != text {
		t.Fatalf("got %v, want %v %q", err, e, text)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
