package engine

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// The device of a Tunnel's sides, its if_id, and the inner addresses.
const (
	Dev            = "ipsec5"
	IfID           = 5
	InnerA, InnerB = "10.88.0.1", "10.88.0.2"
	Port           = 4500 // of ESP in UDP, on both sides
)

// A Tunnel is AES-128-GCM with ESN between the two sides of a sandbox.Pair,
// IPv4 in IPv4, with one SA and one key for each direction.
type Tunnel struct {
	SPI  uint32    // of packets from A; those from B have the next
	Keys [2][]byte // with the salt, of packets from A and from B
	UDP  bool
	Net  string // what each side protects of its own, a prefix length like /24 for all; /32 if empty
}

// NewTunnel makes a tunnel with random keys.
func NewTunnel(spi uint32, udp bool) *Tunnel {
	x := &Tunnel{SPI: spi, UDP: udp}
	for i := range x.Keys {
		x.Keys[i] = make([]byte, 20)
		rand.Read(x.Keys[i]) //nolint:errcheck // never fails
	}
	return x
}

// ends returns the outer and inner addresses, A first.
func ends() (outer, inner [2]string) {
	return [2]string{sandbox.A4, sandbox.B4}, [2]string{InnerA, InnerB}
}

// SAs returns the commands that add both SAs, on either side.
func (x *Tunnel) SAs() string {
	var b strings.Builder
	outer, _ := ends()
	for from := range 2 {
		fmt.Fprintf(&b, "state add src %s dst %s proto esp spi 0x%x reqid 1 mode tunnel replay-window 1024 flag esn if_id %d aead rfc4106(gcm(aes)) 0x%x 128",
			outer[from], outer[1-from], x.SPI+uint32(from), IfID, x.Keys[from])
		if x.UDP {
			fmt.Fprintf(&b, " encap espinudp %d %d 0.0.0.0", Port, Port)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Policies returns the commands that add the policies of side n (0: A).
func (x *Tunnel) Policies(n int) string {
	var b strings.Builder
	outer, inner := ends()
	bits := x.Net
	if bits == "" {
		bits = "/32"
	}
	for from := range 2 {
		dir := "in"
		if from == n {
			dir = "out"
		}
		fmt.Fprintf(&b, "policy add src %s%s dst %s%s dir %s if_id %d tmpl src %s dst %s proto esp reqid 1 mode tunnel\n",
			inner[from], bits, inner[1-from], bits, dir, IfID, outer[from], outer[1-from])
	}
	return b.String()
}

// Attach makes the device of side n, with addresses and route.
func (x *Tunnel) Attach(t testing.TB, e *Engine, n int) {
	t.Helper()
	_, inner := ends()
	words := []string{"iface", "add", Dev, "dev", sandbox.Wire, "if_id", fmt.Sprint(IfID), "mtu", "auto", "cipher", "rfc4106(gcm(aes))"}
	if x.UDP {
		words = append(words, "encap", "espinudp")
	}
	e.X(t, append(words, "addr", inner[n]+"/32", "up")...)
	e.NS.MustRun(t, sandbox.IP(), "route", "add", inner[1-n]+"/32", "dev", Dev)
}

// Join sets up both sides of the tunnel.
func (x *Tunnel) Join(t testing.TB, a, b *Engine) {
	t.Helper()
	for n, e := range []*Engine{a, b} {
		x.Attach(t, e, n)
		e.Batch(t, x.SAs()+x.Policies(n))
	}
}
