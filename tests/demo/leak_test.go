package demo_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/demo"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// plain is an engine without any IPsec: its "interfaces" are macvlan devices,
// so that everything crosses the wire in clear. It runs on nearly any kernel.
type plain struct{}

func (plain) Name() string { return "plain" }

func (plain) Probe(context.Context, *demo.Namespace) (*demo.Features, error) {
	return &demo.Features{}, nil
}

func (plain) Open(_ context.Context, ns *demo.Namespace) (demo.Endpoint, error) {
	return &plainEnd{ns: ns}, nil
}

type plainEnd struct{ ns *demo.Namespace }

func (e *plainEnd) Install(_ context.Context, l *demo.Link) error {
	if l.Name == "" {
		return nil
	}
	lines := []string{
		fmt.Sprintf("link add link %s name %s type macvlan mode bridge", l.Underlay, l.Name),
		fmt.Sprintf("link set %s up", l.Name),
	}
	for _, a := range l.Addresses {
		lines = append(lines, fmt.Sprintf("address add %s dev %s nodad", a, l.Name))
	}
	return e.ns.Do(func() error {
		for _, line := range lines {
			if out, err := exec.Command(sandbox.IP(), strings.Fields(line)...).CombinedOutput(); err != nil {
				return fmt.Errorf("ip %s: %w: %s", line, err, out)
			}
		}
		return nil
	})
}

func (e *plainEnd) SAs(context.Context) ([]*netlinkx.SA, error) { return nil, nil }
func (e *plainEnd) Errors(context.Context) ([]string, bool)     { return nil, false }
func (e *plainEnd) Close() error                                { return nil }

// The check for clear traffic can fail: without IPsec every ping is answered,
// and every packet counted.
func TestSeesPlainTraffic(t *testing.T) {
	needRoot(t)
	r, err := demo.Run(t.Context(), &demo.Config{Engines: []demo.Engine{plain{}}})
	if err == nil || r.OK {
		t.Fatalf("it passed: %+v", r)
	}
	if len(r.Tunnels) != 10 {
		t.Fatalf("%d flows: %v", len(r.Tunnels), err)
	}
	for _, f := range r.Tunnels {
		if f.Received != f.Sent || f.ClearPackets != 2*f.Sent || f.ESPPackets != 0 {
			t.Errorf("%+v", f)
		}
	}
	if !strings.Contains(r.Error, "tunnel mode, ipv4 in ipv4: 0 ESP packets instead of 6, 6 packets in clear, in clear: ip protocol 1 from 10.4.1.1 to 10.4.2.1") {
		t.Errorf("error %q", r.Error)
	}
}

// sabotage is the kernel's engine with links changed before it sees them.
type sabotage struct {
	demo.Engine
	change func(*demo.Link)
}

func (s sabotage) Open(ctx context.Context, ns *demo.Namespace) (demo.Endpoint, error) {
	end, err := s.Engine.Open(ctx, ns)
	return &sabotagedEnd{end, s.change}, err
}

type sabotagedEnd struct {
	demo.Endpoint
	change func(*demo.Link)
}

func (s *sabotagedEnd) Install(ctx context.Context, l *demo.Link) error {
	s.change(l)
	return s.Endpoint.Install(ctx, l)
}

// onBoth runs a test on either engine.
func onBoth(t *testing.T, test func(t *testing.T, e demo.Engine)) {
	t.Run("kernel", func(t *testing.T) { test(t, demo.Kernel()) })
	t.Run("userspace", func(t *testing.T) {
		needTUN(t)
		test(t, demo.Userspace(binary(t)))
	})
}

// runSabotaged runs the demo, where the engine can.
func runSabotaged(t *testing.T, e demo.Engine, change func(*demo.Link)) *demo.Report {
	t.Helper()
	needRoot(t)
	r, err := demo.Run(t.Context(), &demo.Config{Engines: []demo.Engine{sabotage{e, change}}})
	if lacks := (*demo.UnsupportedError)(nil); errors.As(err, &lacks) && !able() {
		t.Skipf("%v; whether such a demo fails was not seen", err)
	}
	if err == nil || r.OK || len(r.Tunnels) != 10 {
		t.Fatalf("ok %v, %d flows, error %v", r.OK, len(r.Tunnels), err)
	}
	return r
}

// One link without policies: it is in clear, the others are not.
func TestSeesWhatPoliciesMiss(t *testing.T) {
	r := runSabotaged(t, demo.Kernel(), func(l *demo.Link) {
		if l.Mode == netlinkx.ModeTransport {
			l.Policies = nil
		}
	})
	for _, f := range r.Tunnels {
		wantESP, wantClear := 2*f.Sent, 0
		if f.Mode == "transport" {
			wantESP, wantClear = wantClear, wantESP
		}
		if f.Received != f.Sent || f.ESPPackets != wantESP || f.ClearPackets != wantClear {
			t.Errorf("%+v", f)
		}
	}
}

// What the userspace engine has no policy for it drops: it cannot send in clear.
func TestUserspaceEngineDropsWhatPoliciesMiss(t *testing.T) {
	t.Parallel()
	needTUN(t)
	r := runSabotaged(t, demo.Userspace(binary(t)), func(l *demo.Link) {
		if l.Mode == netlinkx.ModeTransport {
			l.Policies = nil
		}
	})
	for _, f := range r.Tunnels {
		want := f.Sent
		if f.Mode == "transport" {
			want = 0
		}
		if f.Received != want || f.ESPPackets != 2*want || f.ClearPackets != 0 {
			t.Errorf("%+v", f)
		}
	}
}

// ESP that does not encrypt is not taken for protection.
func TestSeesThroughNullEncryption(t *testing.T) { onBoth(t, seesThroughNullEncryption) }

func seesThroughNullEncryption(t *testing.T, e demo.Engine) {
	r := runSabotaged(t, e, func(l *demo.Link) {
		for _, sa := range l.SAs {
			sa.AuthTrunc = &netlinkx.AuthTrunc{Name: "hmac(sha256)", Key: netlinkx.NewKey(sa.AEAD.Key.Reveal()[:32]), ICVBits: 128}
			sa.Crypt = &netlinkx.Algo{Name: "ecb(cipher_null)"}
			sa.AEAD = nil
		}
	})
	for _, f := range r.Tunnels {
		if f.Received != f.Sent || f.ClearPackets != 2*f.Sent || f.ESPPackets != 0 {
			t.Errorf("%+v", f)
		}
	}
}

// Ends that do not have the same key: nothing gets through, and the SA that
// refused it is named.
func TestNoticesThatNothingArrives(t *testing.T) {
	t.Parallel() // most of it is waiting for answers
	onBoth(t, noticesThatNothingArrives)
}

func noticesThatNothingArrives(t *testing.T, e demo.Engine) {
	t.Parallel()
	seen := map[netlinkx.SPI]bool{}
	r := runSabotaged(t, e, func(l *demo.Link) {
		for _, sa := range l.SAs {
			if l.Name == "ipsec4" && seen[sa.SPI] {
				sa.AEAD.Key = netlinkx.NewKey(make([]byte, sa.AEAD.Key.Len()))
			}
			seen[sa.SPI] = true
		}
	})
	for _, f := range r.Tunnels {
		want := f.Sent
		if f.Interface == "ipsec4" {
			want = 0
		}
		if f.Received != want || f.ClearPackets != 0 {
			t.Errorf("%+v", f)
		}
	}
	for _, want := range []string{"0 of 3 pings answered", "no answer within", "errors {0 0 6}, not {0 0 0}"} {
		if !strings.Contains(r.Error, want) {
			t.Errorf("no %q in error %q", want, r.Error)
		}
	}
}
