package enginebench_test

import (
	"net"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
	"github.com/xfrmctl/xfrmctl/tests/traffic"
)

const relayName = "TUN and UDP, no byte touched"

// relay is the floor under every tunnel of TUN devices and UDP sockets: what
// the kernel takes when the process between them does nothing.
func relay(t *testing.T) *peer {
	const device = "relay0"
	p := &peer{name: relayName, pair: sandbox.NewPair(t), target: innerB, tcpOnly: true}
	for _, end := range []struct {
		ns            *sandbox.NS
		local, remote string
		inner, other  string
	}{
		{p.pair.A, sandbox.A4, sandbox.B4, innerA, innerB},
		{p.pair.B, sandbox.B4, sandbox.A4, innerB, innerA},
	} {
		c, err := traffic.Spawn(end.ns, traffic.Job{
			Role: "relay", Device: device, Local: net.JoinHostPort(end.local, "4500"), Addr: net.JoinHostPort(end.remote, "4500"),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Kill)
		p.pids = append(p.pids, c.PID())
		// each super-packet fits one datagram of a call, as the engine has it
		end.ns.MustRun(t, sandbox.IP(), "link", "set", device, "up", "mtu", "1430", "gso_max_size", "60500", "gso_max_segs", "64")
		end.ns.MustRun(t, sandbox.IP(), "addr", "add", end.inner+"/32", "dev", device)
		end.ns.MustRun(t, sandbox.IP(), "route", "add", end.other+"/32", "dev", device)
	}
	p.reaches(t)
	return p
}
