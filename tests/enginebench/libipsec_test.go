package enginebench_test

import (
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
	"github.com/xfrmctl/xfrmctl/tests/strongswan"
)

// The names of charon with kernel-libipsec: as Debian configures it, and with
// the plugins that carry packets fastest.
const (
	libipsecName  = "strongSwan kernel-libipsec"
	libipsecTuned = "the same, fewest plugins"
)

func libipsec(t *testing.T) *peer    { return charon(t, libipsecName, true) }
func libipsecFew(t *testing.T) *peer { return charon(t, libipsecTuned, false) }

// charon sets up charon with kernel-libipsec on both sides. It uses IKE and,
// always, UDP encapsulation.
func charon(t *testing.T, name string, packaged bool) *peer {
	p := &peer{name: name, tcpOnly: !packaged}
	root, version, err := strongswan.Fetch()
	if err != nil {
		p.notes = err.Error()
		return p
	}
	p.version, p.pair, p.target = version, sandbox.NewPair(t), innerB
	ends := []struct {
		ns  *sandbox.NS
		cfg strongswan.Config
	}{
		{p.pair.B, strongswan.Config{Local: sandbox.B4, Remote: sandbox.A4, Inner: innerB, Other: innerA}},
		{p.pair.A, strongswan.Config{Local: sandbox.A4, Remote: sandbox.B4, Inner: innerA, Other: innerB}},
	}
	var last *strongswan.Charon
	for _, e := range ends {
		e.ns.MustRun(t, sandbox.IP(), "addr", "add", e.cfg.Inner+"/32", "dev", "lo")
		e.cfg.Packaged, e.cfg.Kernel = packaged, "kernel-libipsec kernel-netlink"
		e.cfg.Inner, e.cfg.Other = e.cfg.Inner+"/32", e.cfg.Other+"/32"
		last = strongswan.Start(t, e.ns, root, &e.cfg)
		p.pids = append(p.pids, last.PID)
	}
	if out, err := last.Swanctl("--initiate", "--child", "c"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.reaches(t)
	return p
}
