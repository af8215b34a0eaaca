// Package strongswan runs charon, strongSwan's IKE daemon, from Debian's packages
// in a network namespace. They are unpacked into the cache; nothing is installed.
package strongswan

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// packages hold charon, its plugins, what they need, and swanctl.
var packages = []string{"libstrongswan", "strongswan-libcharon", "libstrongswan-standard-plugins",
	"libcharon-extra-plugins", "libcharon-extauth-plugins", "strongswan-charon", "strongswan-swanctl"}

// Fetch unpacks Debian's strongSwan into a folder that lasts, once, and returns
// where it is and its version.
func Fetch() (root, version string, err error) {
	cache := os.Getenv("XFRMCTL_LAB_CACHE")
	if cache == "" {
		if cache, err = os.UserCacheDir(); err != nil {
			return "", "", err
		}
		cache = filepath.Join(cache, "xfrmctl-lab")
	}
	dir := filepath.Join(cache, "peers", "strongswan")
	root = filepath.Join(dir, "root")
	if _, err := os.Stat(filepath.Join(root, "usr/lib/ipsec/charon")); err != nil {
		if err := unpack(dir, root); err != nil {
			return "", "", err
		}
	}
	debs, err := filepath.Glob(filepath.Join(dir, "strongswan-charon_*.deb"))
	if err != nil || len(debs) == 0 {
		return "", "", fmt.Errorf("no package strongswan-charon in %s", dir)
	}
	return root, strings.Split(filepath.Base(debs[0]), "_")[1], nil
}

func unpack(dir, root string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := run(dir, "apt-get", append([]string{"-q", "download"}, packages...)...); err != nil {
		return err
	}
	all, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range all {
		if err := run(dir, "dpkg-deb", "-x", deb, root); err != nil {
			return err
		}
	}
	return nil
}

func run(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(b)))
	}
	return nil
}

// Config is one end of a tunnel with a shared secret.
type Config struct {
	// Packaged makes charon load what Debian's configuration says, and
	// kernel-libipsec, which that leaves out; Kernel says nothing then.
	Packaged      bool
	Kernel        string // the plugins that carry ESP: "kernel-netlink" or "kernel-libipsec kernel-netlink"
	Local, Remote string // outer addresses
	Inner, Other  string // prefixes inside, ours and the peer's
}

const daemonConf = `charon {
  load = random nonce openssl aes sha2 hmac kdf gcm aesni curve25519 KERNEL socket-default vici
  plugins {
    vici {
      socket = unix://DIR/vici
    }
  }
}
`

// packagedConf is what one would write into Debian's strongswan.conf.
const packagedConf = `charon {
  load_modular = yes
  plugins {
    include ROOT/etc/strongswan.d/charon/*.conf
    kernel-libipsec {
      load = yes
    }
    vici {
      socket = unix://DIR/vici
    }
  }
}
include ROOT/etc/strongswan.d/*.conf
`

const connectionConf = `connections {
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
        local_ts = INNER
        remote_ts = OTHER
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

// inside runs a command in a mount namespace where the unpacked files lie over
// /usr and /run is empty: paths are compiled into charon.
const inside = `set -e
mount --make-rprivate /
mount -t overlay -o lowerdir=ROOT/usr:/usr overlay /usr
mount -t tmpfs tmpfs /run
exec "$@"
`

// Charon is a running daemon.
type Charon struct {
	PID int
	ns  *sandbox.NS
	dir string
}

// Start starts charon, which ends with the test, and loads its connection.
func Start(t *testing.T, ns *sandbox.NS, root string, cfg *Config) *Charon {
	t.Helper()
	c := &Charon{ns: ns, dir: t.TempDir()}
	words := strings.NewReplacer("DIR", c.dir, "ROOT", root, "KERNEL", cfg.Kernel, "LOCAL", cfg.Local, "REMOTE", cfg.Remote, "INNER", cfg.Inner, "OTHER", cfg.Other)
	daemon := daemonConf
	if cfg.Packaged {
		daemon = packagedConf
	}
	for name, text := range map[string]string{"strongswan.conf": daemon, "swanctl.conf": connectionConf, "inside": inside} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(words.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(c.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("unshare", "-m", "bash", c.dir+"/inside", "/usr/lib/ipsec/charon")
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), c.conf()), log, log
	if err := ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	c.PID = cmd.Process.Pid
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended
		timer := time.AfterFunc(sandbox.Patience, func() { cmd.Process.Kill() })
		cmd.Wait() //nolint:errcheck // ended by a signal
		timer.Stop()
	})
	var out string
	if sandbox.Await(func() bool {
		out, err = c.Swanctl("--load-all")
		return err == nil
	}) {
		return c
	}
	b, _ := os.ReadFile(log.Name()) // there is nothing better to say
	t.Fatalf("charon does not answer: %v: %s\n%s", err, out, b)
	return nil
}

func (c *Charon) conf() string { return "STRONGSWAN_CONF=" + c.dir + "/strongswan.conf" }

// Swanctl runs swanctl on it.
func (c *Charon) Swanctl(args ...string) (string, error) {
	words := []string{"-m", "env", c.conf(), "SWANCTL_DIR=" + c.dir, "bash", c.dir + "/inside", "swanctl"}
	return c.ns.Run("unshare", append(append(words, args...), "--uri", "unix://"+c.dir+"/vici")...)
}
