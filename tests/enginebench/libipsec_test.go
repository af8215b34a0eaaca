package enginebench_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

const libipsecName = "strongSwan kernel-libipsec"

// strongswanPackages hold charon, its kernel-libipsec plugin, what they need,
// and swanctl. They are unpacked, not installed.
var strongswanPackages = []string{"libstrongswan", "strongswan-libcharon", "libstrongswan-standard-plugins",
	"libcharon-extra-plugins", "libcharon-extauth-plugins", "strongswan-charon", "strongswan-swanctl"}

// fetchStrongswan unpacks Debian's strongSwan and returns the folder and version.
func fetchStrongswan(t *testing.T) (root, version string, err error) {
	dir := cache(t, "strongswan")
	root = filepath.Join(dir, "root")
	if _, err := os.Stat(filepath.Join(root, "usr/lib/ipsec/charon")); err != nil {
		if _, err := output(dir, nil, "apt-get", append([]string{"-q", "download"}, strongswanPackages...)...); err != nil {
			return "", "", err
		}
		packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
		if err != nil {
			return "", "", err
		}
		for _, deb := range packages {
			if _, err := output(dir, nil, "dpkg-deb", "-x", deb, root); err != nil {
				return "", "", err
			}
		}
	}
	debs, err := filepath.Glob(filepath.Join(dir, "strongswan-charon_*.deb"))
	if err != nil || len(debs) == 0 {
		return "", "", fmt.Errorf("no package strongswan-charon in %s", dir)
	}
	return root, strings.Split(filepath.Base(debs[0]), "_")[1], nil
}

const strongswanConf = `charon {
  load = random nonce openssl aes sha2 hmac kdf gcm aesni curve25519 kernel-libipsec kernel-netlink socket-default vici
  plugins {
    vici {
      socket = unix://DIR/vici
    }
  }
}
`

const swanctlConf = `connections {
  t {
    version = 2
    local_addrs = LOCAL
    remote_addrs = REMOTE
    proposals = aes128-sha256-x25519
    local {
      auth = psk
      id = LOCAL
    }
    remote {
      auth = psk
      id = REMOTE
    }
    children {
      c {
        local_ts = INNER/32
        remote_ts = OTHER/32
        esp_proposals = aes128gcm16
        mode = tunnel
      }
    }
  }
}
secrets {
  ike-1 {
    secret = "of a throw-away tunnel"
  }
}
`

// insideStrongswan runs a command in a mount namespace where the unpacked
// files lie over /usr and /run is empty: paths are compiled into charon.
const insideStrongswan = `set -e
mount --make-rprivate /
mount -t overlay -o lowerdir=ROOT/usr:/usr overlay /usr
mount -t tmpfs tmpfs /run
exec "$@"
`

// libipsec sets up charon with kernel-libipsec on both sides. It uses IKE and,
// always, UDP encapsulation.
func libipsec(t *testing.T) *peer {
	p := &peer{name: libipsecName}
	root, version, err := fetchStrongswan(t)
	if err != nil {
		p.notes = err.Error()
		return p
	}
	p.version, p.pair, p.target = version, sandbox.NewPair(t), innerB
	first := ""
	for _, s := range []struct {
		ns                          *sandbox.NS
		local, remote, inner, other string
	}{{p.pair.B, sandbox.B4, sandbox.A4, innerB, innerA}, {p.pair.A, sandbox.A4, sandbox.B4, innerA, innerB}} {
		dir := t.TempDir()
		words := strings.NewReplacer("DIR", dir, "ROOT", root, "LOCAL", s.local, "REMOTE", s.remote, "INNER", s.inner, "OTHER", s.other)
		for name, text := range map[string]string{"strongswan.conf": strongswanConf, "swanctl.conf": swanctlConf, "inside": insideStrongswan} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(words.Replace(text)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s.ns.MustRun(t, sandbox.IP(), "addr", "add", s.inner+"/32", "dev", "lo")
		env := []string{"STRONGSWAN_CONF=" + dir + "/strongswan.conf"}
		p.pids = append(p.pids, daemon(t, s.ns, filepath.Join(dir, "log"), env, "unshare", "-m", "bash", dir+"/inside", "/usr/lib/ipsec/charon"))
		swanctl := func(args ...string) (string, error) {
			inside := []string{"-m", "env", env[0], "SWANCTL_DIR=" + dir, "bash", dir + "/inside", "swanctl"}
			return s.ns.Run("unshare", append(append(inside, args...), "--uri", "unix://"+dir+"/vici")...)
		}
		eventually(t, "charon", func() error {
			out, err := swanctl("--load-all")
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			return err
		})
		if first != "" {
			if out, err := swanctl("--initiate", "--child", "c"); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		first = dir
	}
	p.reaches(t)
	return p
}
