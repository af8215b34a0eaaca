package enginebench_test

import (
	"bufio"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

const wireguardName = "wireguard-go"

// wireguardVersion is main of wireguard-go as the Go module proxy knows it.
const wireguardVersion = "v0.0.0-20260522210424-ecfc5a8d5446"

// buildWireguard builds wireguard-go in a throw-away module.
func buildWireguard(t *testing.T) (string, error) {
	dir := cache(t, "wireguard-go-"+wireguardVersion)
	program := filepath.Join(dir, "wireguard-go")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module throwaway\n\ngo 1.26\n"), 0o644); err != nil {
		return "", err
	}
	const module = "golang.zx2c4.com/wireguard"
	for _, args := range [][]string{{"get", module + "@" + wireguardVersion}, {"build", "-o", program, module}} {
		if _, err := output(dir, []string{"CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off"}, "go", args...); err != nil {
			return "", err
		}
	}
	return program, nil
}

// wireguard sets up wireguard-go as it comes, at its own MTU of 1420.
func wireguard(t *testing.T) *peer {
	p := &peer{name: wireguardName, version: wireguardVersion}
	program, err := buildWireguard(t)
	if err != nil {
		p.notes = err.Error()
		return p
	}
	p.pair, p.target = sandbox.NewPair(t), innerB
	var keys [2]*ecdh.PrivateKey
	for i := range keys {
		if keys[i], err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range []struct {
		ns                  *sandbox.NS
		inner, other, outer string
	}{{p.pair.A, innerA, innerB, sandbox.B4}, {p.pair.B, innerB, innerA, sandbox.A4}} {
		// the sockets of all namespaces lie in one folder, by the device's name
		dev := fmt.Sprintf("xb%d-%d", os.Getpid(), i)
		p.pids = append(p.pids, daemon(t, s.ns, filepath.Join(t.TempDir(), "log"), nil, program, "-f", dev))
		eventually(t, "wireguard-go", func() error {
			return configure(dev, keys[i], keys[1-i].PublicKey(), s.outer, s.other)
		})
		s.ns.MustRun(t, sandbox.IP(), "addr", "add", s.inner+"/24", "dev", dev)
		s.ns.MustRun(t, sandbox.IP(), "link", "set", dev, "mtu", "1420", "up")
	}
	p.reaches(t)
	return p
}

// configure speaks wireguard-go's own protocol on its socket.
func configure(dev string, key *ecdh.PrivateKey, peer *ecdh.PublicKey, outer, inner string) error {
	c, err := net.Dial("unix", "/var/run/wireguard/"+dev+".sock")
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "set=1\nprivate_key=%s\nlisten_port=51820\npublic_key=%s\nendpoint=%s:51820\nallowed_ip=%s/32\n\n",
		hex.EncodeToString(key.Bytes()), hex.EncodeToString(peer.Bytes()), outer, inner); err != nil {
		return err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if strings.TrimSpace(answer) != "errno=0" {
		return fmt.Errorf("wireguard-go says %q", answer)
	}
	return nil
}
