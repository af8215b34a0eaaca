package vti

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// confDir is where the sysctls of devices are, by family.
const confDir = "/proc/sys/net/%s/conf/%s"

// readSettings returns the sysctls of devices. What cannot be read (a secret
// that was never set) is left out.
func readSettings(ns netlinkx.NetNS, devices []string) (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	err := inside(ns, func() error {
		for _, dev := range devices {
			all[dev] = settingsOf(dev)
		}
		return nil
	})
	return all, err
}

func settingsOf(dev string) map[string]string {
	m := map[string]string{}
	for _, family := range []string{"ipv4", "ipv6"} {
		dir := fmt.Sprintf(confDir, family, dev)
		files, _ := os.ReadDir(dir) // none without /proc, or without IPv6
		for _, f := range files {
			if b, err := os.ReadFile(filepath.Join(dir, f.Name())); err == nil && !f.IsDir() {
				m[family+"/"+f.Name()] = strings.TrimSpace(string(b))
			}
		}
	}
	return m
}

// writeSettings gives a device those that it has otherwise, and returns the
// names of those that it does not take.
func writeSettings(ns netlinkx.NetNS, dev string, want map[string]string) (refused []string, err error) {
	err = inside(ns, func() error {
		have := settingsOf(dev)
		for key, v := range want {
			family, name, _ := strings.Cut(key, "/")
			if have[key] == v || name == "stable_secret" || name == "mtu" {
				continue
			}
			path := filepath.Join(fmt.Sprintf(confDir, family, dev), name)
			if err := os.WriteFile(path, []byte(v), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
				refused = append(refused, key)
			}
		}
		return nil
	})
	slices.Sort(refused)
	return refused, err
}
