package selftest

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Run tries all legs, software first, and returns them; the SAs and policies
// that it made are gone afterwards, whatever happens. The error is that of what
// keeps the test from being made, not of its result.
func Run(ctx context.Context, cfg *Config) ([]Leg, error) {
	sizes := cfg.Sizes
	if most := largest(cfg.MTU, cfg.To.Is6()); sizes == (Range{}) {
		sizes = Range{1, most}
	} else if sizes.First < 1 || sizes.Last < sizes.First || sizes.Last > most {
		return nil, fmt.Errorf("sizes %s: choose from 1 to %d, the most that one packet of this MTU holds", sizes, most)
	}
	near, err := openSide(cfg.NetNS, cfg.From)
	if err != nil {
		return nil, err
	}
	defer near.close()
	far, err := openSide(cfg.PeerNS, cfg.To)
	if err != nil {
		return nil, fmt.Errorf("the other end: %w", err)
	}
	defer far.close()
	var legs []Leg
	for _, l := range []Leg{{Dir: "out", By: "software"}, {Dir: "in", By: "software"}, {Dir: "out", By: "hardware"}, {Dir: "in", By: "hardware"}} {
		l.Sizes = sizes
		p := newPath(near, far, &l, cfg.Index)
		if err := p.run(ctx, &l); err != nil {
			return legs, err
		}
		legs = append(legs, l)
	}
	return legs, nil
}

// path is one way, from a sender to a receiver, with an SA on both sides.
type path struct {
	from, to *side
	spi      netlinkx.SPI
	key      netlinkx.Key
	offload  *netlinkx.Offload // of the near side's SA, nil none
	near     *side
	undo     []func(context.Context) error
}

func newPath(near, far *side, l *Leg, index int32) *path {
	b := make([]byte, 24)
	rand.Read(b) // never fails
	p := &path{from: near, to: far, near: near, spi: netlinkx.SPI(binary.NativeEndian.Uint32(b) | 0x80000000), key: netlinkx.NewKey(b[4:])}
	if l.Dir == "in" {
		p.from, p.to = far, near
	}
	if l.By == "hardware" {
		p.offload = &netlinkx.Offload{IfIndex: index}
		if l.Dir == "in" {
			p.offload.Flags = netlinkx.OffloadInbound
		}
	}
	return p
}

func (p *path) run(ctx context.Context, l *Leg) (err error) {
	defer func() {
		for _, undo := range p.undo {
			err = errors.Join(err, undo(context.WithoutCancel(ctx)))
		}
	}()
	if l.Skipped, err = p.install(ctx); err != nil || l.Skipped != "" {
		return err
	}
	before := p.to.counters()
	if l.Arrived, l.Failed, err = sweep(ctx, l.Sizes, p.window); err != nil {
		return err
	}
	for name, n := range p.to.counters() {
		if n != before[name] {
			if l.Counters == nil {
				l.Counters = map[string]uint64{}
			}
			l.Counters[name] = n - before[name]
		}
	}
	return nil
}

// install adds the SAs and policies. skipped says that the device does not
// carry the SA, and why.
func (p *path) install(ctx context.Context) (skipped string, err error) {
	for _, s := range []*side{p.from, p.to} {
		sa := p.sa()
		if s == p.near {
			sa.Offload = p.offload
		}
		if err := s.conn.AddSA(ctx, sa); err != nil {
			if sa.Offload != nil {
				return err.Error(), nil
			}
			return "", err
		}
		id := sa.ID()
		p.undo = append(p.undo, func(ctx context.Context) error { return s.conn.DeleteSA(ctx, id) })
		if sa.Offload != nil {
			have, err := s.conn.GetSA(ctx, id)
			if err != nil {
				return "", err
			}
			if have.Offload == nil {
				return "the kernel took the SA, but no device carries it", nil
			}
		}
		pol := p.policy(s)
		if err := s.conn.AddPolicy(ctx, pol); err != nil {
			return "", err
		}
		p.undo = append(p.undo, func(ctx context.Context) error { return s.conn.DeletePolicy(ctx, pol.ID()) })
	}
	return "", nil
}

func (p *path) sa() *netlinkx.SA {
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = p.from.at.Addr(), p.to.at.Addr()
	sa.Proto, sa.SPI, sa.ReqID, sa.ReplayWindow = netlinkx.ProtoESP, p.spi, uint32(p.spi), 32
	sa.AEAD = &netlinkx.AEAD{Name: algorithm, Key: p.key, ICVBits: 128}
	return sa
}

// policy is for the two ports alone. On the receiving side it keeps out what
// comes in clear.
func (p *path) policy(s *side) *netlinkx.Policy {
	pol := netlinkx.NewPolicy()
	pol.Dir, pol.Priority = netlinkx.PolicyOut, 1
	if s == p.to {
		pol.Dir = netlinkx.PolicyIn
	}
	src, dst := p.from.at, p.to.at
	pol.Selector = netlinkx.Selector{
		Src: netip.PrefixFrom(src.Addr(), src.Addr().BitLen()), Dst: netip.PrefixFrom(dst.Addr(), dst.Addr().BitLen()), Proto: unix.IPPROTO_UDP,
		SrcPort: netlinkx.PortMatch{Port: src.Port(), Mask: 0xffff}, DstPort: netlinkx.PortMatch{Port: dst.Port(), Mask: 0xffff},
	}
	t := netlinkx.NewTemplate()
	t.Proto, t.Mode, t.ReqID = netlinkx.ProtoESP, netlinkx.ModeTransport, uint32(p.spi)
	pol.Templates = []netlinkx.Template{t}
	return pol
}

// window implements the type of that name.
func (p *path) window(ctx context.Context, sizes []int, wait time.Duration) (map[int]bool, error) {
	b := make([]byte, sizes[len(sizes)-1])
	for _, n := range sizes {
		fill(b[:n])
		if _, err := p.from.sock.WriteToUDPAddrPort(b[:n], p.to.at); err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EMSGSIZE) {
			return nil, fmt.Errorf("send %d bytes: %w", n, err)
		}
	}
	got := map[int]bool{}
	if err := p.to.sock.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	for late := false; len(got) < len(sizes) && ctx.Err() == nil; {
		n, from, err := p.to.sock.ReadFromUDPAddrPort(buf)
		if errors.Is(err, unix.ECONNREFUSED) {
			continue
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !late {
			late = true // what came while this machine stood still is there
			err = p.to.sock.SetReadDeadline(time.Now().Add(lateWait))
			if err == nil {
				continue
			}
		}
		if err != nil {
			break // the deadline: what did not come is lost
		}
		if from == p.from.at && whole(buf[:n]) && n >= sizes[0] && n <= sizes[len(sizes)-1] {
			got[n] = true
		}
	}
	return got, ctx.Err()
}
