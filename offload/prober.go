package offload

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Probe finds out what the running kernel can do, by trying it in a network
// namespace that is thrown away. algorithms are the kernel's names of ciphers and
// integrity algorithms to try, see KnownAlgorithms. It takes some milliseconds,
// loads the modules that it tries, and changes nothing else. Without the
// privilege to make a namespace every outcome is inconclusive and says so.
func Probe(ctx context.Context, algorithms []string) (*Kernel, error) {
	k := &Kernel{Algorithms: map[string]Outcome{}}
	ns, err := newNamespace()
	if err != nil {
		k.unknown(algorithms, fmt.Sprintf("making a network namespace to try it in: %v", err), "run as root")
		return k, nil
	}
	defer ns.Close() // opened for reading: nothing is lost
	conn, err := netlinkx.Dial(&netlinkx.Config{NetNS: netlinkx.NetNSFD(int(ns.Fd()))})
	if errors.Is(err, errors.ErrUnsupported) {
		k.none(algorithms, "this kernel has no IPsec (XFRM)", "use a kernel with CONFIG_XFRM_USER, or load module xfrm_user")
		return k, nil
	}
	if err != nil {
		return nil, err
	}
	p := &prober{ctx: ctx, conn: conn, k: k}
	p.run(algorithms)
	k.Interface = probeInterface(ns)
	return k, errors.Join(ctx.Err(), conn.Close())
}

func (k *Kernel) set(algorithms []string, o Outcome) {
	for _, to := range []*Outcome{&k.XFRM, &k.ESP4, &k.ESP6, &k.Offload4, &k.Offload6, &k.Interface} {
		*to = o
	}
	for _, a := range algorithms {
		k.Algorithms[a] = o
	}
}

func (k *Kernel) unknown(algorithms []string, why, fix string) {
	k.set(algorithms, Outcome{Why: why, Fix: fix})
}

func (k *Kernel) none(algorithms []string, why, fix string) {
	k.set(algorithms, Outcome{Known: true, Why: why, Fix: fix})
}

type prober struct {
	ctx  context.Context
	conn *netlinkx.Conn
	k    *Kernel
	spi  netlinkx.SPI
}

var there = Outcome{Known: true, OK: true}

func (p *prober) run(algorithms []string) {
	p.k.XFRM = there
	p.k.ESP4 = p.esp(4)
	p.k.ESP6 = p.esp(6)
	p.k.Offload4 = p.offload(4, p.k.ESP4)
	p.k.Offload6 = p.offload(6, p.k.ESP6)
	for _, name := range algorithms {
		p.k.Algorithms[name] = p.algorithm(name)
	}
	if p.k.ESP4.OK && p.k.Offload4.OK {
		p.k.Accepts = map[string]Outcome{
			"inbound-if-id": p.request(func(sa *netlinkx.SA) {
				sa.IfID, sa.Offload.Flags = 1, netlinkx.OffloadInbound
			}),
			"encap": p.request(func(sa *netlinkx.SA) {
				sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: 4500, DstPort: 4500, OriginalAddr: netip.IPv4Unspecified()}
			}),
		}
	}
}

// request tries a request for crypto offload on lo, which ends in software
// unless the kernel's core refuses it before it looks at the device.
func (p *prober) request(alter func(*netlinkx.SA)) Outcome {
	sa := p.sa(4)
	setAlgorithm(sa, "rfc4106(gcm(aes))")
	sa.Offload = &netlinkx.Offload{IfIndex: 1}
	alter(sa)
	if err := p.add(sa); err != nil {
		return refusedOutcome(err, "")
	}
	return there
}

// sa is an SA to try things with; v is 4 or 6.
func (p *prober) sa(v int) *netlinkx.SA {
	p.spi++
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if v == 6 {
		sa.Src, sa.Dst = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	}
	sa.Proto, sa.SPI, sa.ReplayWindow = netlinkx.ProtoESP, 0xffff0000+p.spi, 32
	return sa
}

// add installs an SA and removes it.
func (p *prober) add(sa *netlinkx.SA) error {
	if err := p.conn.AddSA(p.ctx, sa); err != nil {
		return err
	}
	return p.conn.DeleteSA(p.ctx, sa.ID())
}

// esp tries ciphers until one tells: a kernel says that it lacks the cipher
// before it says that it lacks ESP.
func (p *prober) esp(v int) Outcome {
	var err error
	for _, name := range []string{"rfc4106(gcm(aes))", "cbc(aes)", "ecb(cipher_null)"} {
		sa := p.sa(v)
		setAlgorithm(sa, name)
		if err = p.add(sa); err == nil {
			return there
		}
		if errors.Is(err, syscall.EPROTONOSUPPORT) || errors.Is(err, syscall.EAFNOSUPPORT) {
			break
		}
	}
	return refusedOutcome(err, fmt.Sprintf("load module esp%d, or use a kernel with CONFIG_INET%s_ESP; or run the userspace engine: xfrmctl esp", v, six(v)))
}

// refusedOutcome is conclusive unless the kernel's word is about the caller.
func refusedOutcome(err error, fix string) Outcome {
	o := Outcome{Known: !errors.Is(err, fs.ErrPermission) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded), Why: answer(err), Fix: fix}
	if !o.Known {
		o.Fix = "run as root"
	}
	return o
}

// offload finds whether espN_offload is there. The request for an offload loads
// it. Up to 6.12 the kernel looks for it before it looks at the device, which
// AH, that nothing can offload, tells; later kernels answer the same for lo
// either way, and then the module's traces in the system have to do.
func (p *prober) offload(v int, esp Outcome) Outcome {
	if !esp.OK {
		return esp
	}
	sa := p.sa(v)
	setAlgorithm(sa, "rfc4106(gcm(aes))")
	sa.Offload = &netlinkx.Offload{IfIndex: 1}
	err := p.add(sa)
	fix := fmt.Sprintf("modprobe esp%d_offload, before any SA is added; or use a kernel with CONFIG_INET%s_ESP_OFFLOAD", v, six(v))
	if err != nil {
		return refusedOutcome(err, fix)
	}
	ah := p.sa(v)
	ah.Proto = netlinkx.ProtoAH
	ah.AuthTrunc = &netlinkx.AuthTrunc{Name: "hmac(sha256)", Key: netlinkx.NewKey(make([]byte, 32)), ICVBits: 128}
	if p.add(ah) == nil {
		ah.SPI++
		ah.Offload = &netlinkx.Offload{IfIndex: 1}
		if errors.Is(p.add(ah), syscall.EINVAL) {
			return there
		}
	}
	return moduleOutcome(fmt.Sprintf("esp%d_offload", v), fmt.Sprintf("CONFIG_INET%s_ESP_OFFLOAD", six(v)), fix)
}

func (p *prober) algorithm(name string) Outcome {
	v := 4
	if !p.k.ESP4.OK {
		v = 6
	}
	sa := p.sa(v)
	setAlgorithm(sa, name)
	err := p.add(sa)
	switch {
	case err == nil:
		return there
	case !p.k.ESP4.OK && !p.k.ESP6.OK && errors.Is(err, syscall.EPROTONOSUPPORT):
		return Outcome{Why: "the name is known; it cannot be tried without ESP"}
	}
	return refusedOutcome(err, "load the cipher's module (see /proc/crypto), or choose another algorithm")
}

// answer is what the kernel said, without what was asked.
func answer(err error) string {
	var e *netlinkx.Error
	if !errors.As(err, &e) || e.Errno == 0 {
		return err.Error()
	}
	if e.Text == "" {
		return e.Errno.Error()
	}
	return e.Errno.Error() + ": " + e.Text
}

// six is the digit in names like CONFIG_INET6_ESP.
func six(v int) string {
	if v == 6 {
		return "6"
	}
	return ""
}

// moduleOutcome looks for traces of a module: loaded, or built in.
func moduleOutcome(name, option, fix string) Outcome {
	if _, err := os.Stat("/sys/module/" + name); err == nil {
		return there
	}
	if builtIn("/proc/config.gz", option) {
		return there
	}
	return Outcome{Why: "this kernel does not tell, and module " + name + " is not loaded (it may be built in)", Fix: fix}
}

// builtIn reports whether the running kernel's configuration, where it shows
// it, has the option built in.
func builtIn(config, option string) bool {
	f, err := os.Open(config)
	if err != nil {
		return false
	}
	defer f.Close() // opened for reading: nothing is lost
	z, err := gzip.NewReader(f)
	if err != nil {
		return false
	}
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		if lines.Text() == option+"=y" {
			return true
		}
	}
	return false
}
