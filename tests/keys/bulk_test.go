package keys_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/engine"
)

// TestThousandAtOnce has an engine with 1,000 keys, and looks at all that lists,
// counts, watches and backs it up.
func TestThousandAtOnce(t *testing.T) {
	places(t, func(t *testing.T, p *place) {
		keys := canaries(keysInAll)
		if testing.Short() || !p.main() {
			keys = keys[:100]
		}
		monitors := p.watch(t)
		batch := filepath.Join(t.TempDir(), "batch")
		var b strings.Builder
		for i, k := range keys {
			fmt.Fprintf(&b, "state add src 10.0.0.1 dst 10.0.0.2 proto esp spi %#x reqid 7 mode tunnel aead rfc4106(gcm(aes)) 0x%s 128 limit packet-hard 1000000\n", 0x1000+i, hex.EncodeToString(k[:36]))
		}
		if err := os.WriteFile(batch, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		k := &keys[0]
		for _, line := range []string{"--dry-run -v -b " + batch, "--dry-run -j -v -b " + batch, "-v -b " + batch, "--force -b " + batch, "--force -j -b " + batch,
			"state", "-s -s state", "-o state", "-j -s state", "-j -p state", "-v state list reqid 7", "state count", "-j state count", "esp stats", "-j esp stats", "esp status", "-j -p esp status",
			"offload show", "-j offload show", "check", "state update src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x1001 reqid 7 mode tunnel aead rfc4106(gcm(aes)) 0x" + hex.EncodeToString(k[:36]) + " 128"} {
			p.run(t, k, strings.Fields(line)...)
		}
		shown := p.reveal(t)
		if n := len(shown); n != len(keys) && p.works(t) {
			t.Errorf("--show-keys shows %d of %d keys: the test sees nothing", n, len(keys))
		}
		if p.engine != nil {
			p.lookAtProcess(t, p.engine.PID(), "the engine")
		}
		p.run(t, k, "state", "deleteall")
		p.run(t, k, "state", "flush")
		for name, text := range monitors() {
			p.look(t, name, text)
			if p.works(t) && !strings.Contains(text, "0x1001") && !strings.Contains(text, "00001001") {
				t.Errorf("%s saw nothing", name)
			}
		}
		if p.engine != nil {
			p.engine.Stop()
			p.lookAt(t, p.engine.StateDir())
			p.engine.Restart(t)
			p.run(t, k, "-b", batch) // keys that the journal knows
		}
	})
}

// works reports whether the engine takes SAs.
func (p *place) works(t *testing.T) bool {
	t.Helper()
	if p.engine != nil {
		return true
	}
	const id = " src 10.9.0.1 dst 10.9.0.2 proto esp spi 0x999"
	said := p.run(t, &canary{}, append(strings.Fields("state add"+id+" enc cipher_null"), "")...)
	p.run(t, &canary{}, strings.Fields("state delete"+id)...)
	return !strings.Contains(said, "not supported")
}

// reveal asks for the keys as hex digits, the one way to see them.
func (p *place) reveal(t *testing.T) (keys []string) {
	t.Helper()
	cmd := engine.Prepare(p.bin, p.engine, "--show-keys", "-j", "state", "list")
	var out strings.Builder
	cmd.Stdout = &out
	if err := p.ns.Do(cmd.Run); err != nil {
		t.Fatal(err)
	}
	var list []struct{ Algorithms []struct{ Key string } }
	if err := json.Unmarshal([]byte(out.String()), &list); err != nil && out.Len() > 0 {
		t.Fatalf("%v\n%.300s", err, out.String())
	}
	for _, sa := range list {
		for _, a := range sa.Algorithms {
			keys = append(keys, strings.TrimPrefix(a.Key, "0x"))
		}
	}
	return keys
}

// watch starts monitors; the result ends them and returns what they printed.
func (p *place) watch(t *testing.T) (end func() map[string]string) {
	t.Helper()
	var all []*exec.Cmd
	dir := t.TempDir()
	for i, words := range [][]string{{"monitor"}, {"-j", "monitor"}, {"-v", "-ts", "-s", "monitor"}} {
		cmd := engine.Prepare(p.bin, p.engine, words...)
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = f, f
		if err := p.ns.Do(cmd.Start); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
		t.Cleanup(func() { f.Close() })
	}
	p.untilSeen(t, dir, len(all), "f01") // they listen
	return func() map[string]string {
		texts := map[string]string{}
		p.untilSeen(t, dir, len(all), "f02") // they have printed all
		for i, cmd := range all {
			p.lookAtProcess(t, cmd.Process.Pid, "a monitor")
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
			cmd.Wait() //nolint:errcheck // ended by a signal
			b, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(i)))
			if err != nil {
				t.Error(err)
			}
			texts[fmt.Sprintf("monitor %q", cmd.Args)] = string(b)
		}
		return texts
	}
}

// untilSeen makes and deletes an SA until each of n monitors has printed its SPI
// to its file.
func (p *place) untilSeen(t *testing.T, dir string, n int, spi string) {
	t.Helper()
	if !p.works(t) {
		return
	}
	const id = " src 10.9.0.1 dst 10.9.0.2 proto esp spi 0x"
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); {
		p.run(t, &canary{}, append(strings.Fields("state add"+id+spi+" enc cipher_null"), "")...)
		p.run(t, &canary{}, strings.Fields("state delete"+id+spi)...)
		seen := 0
		for i := range n {
			if b, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(i))); err == nil && strings.Contains(string(b), "00000"+spi) {
				seen++
			}
		}
		if seen == n {
			return
		}
	}
	t.Errorf("a monitor did not see SA 0x%s", spi)
}

// lookAtProcess looks at what /proc tells of a process, but for its memory.
func (p *place) lookAtProcess(t *testing.T, pid int, who string) {
	t.Helper()
	for _, name := range []string{"cmdline", "comm", "environ", "maps", "smaps", "status", "stat", "wchan", "stack", "syscall", "auxv", "limits", "io", "sched", "mountinfo"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil && name == "cmdline" {
			t.Errorf("%s: %v", who, err)
		}
		p.look(t, who+"'s "+name, string(b))
	}
}

// TestThousandFromDocuments applies documents with 1,000 keys in all, static and
// derived ones, and changes and removes what they made.
func TestThousandFromDocuments(t *testing.T) {
	keys, each := canaries(keysInAll), 50 // tunnels in a document, two keys each
	if testing.Short() || os.Getenv("XFRMCTL_CANARIES") == "" {
		keys, each = keys[:40], 10
	}
	places(t, func(t *testing.T, p *place) {
		dir := t.TempDir()
		path := filepath.Join(dir, "doc.yaml")
		for epoch := 1; len(keys) >= 2*each*epoch; epoch++ {
			part := keys[2*each*(epoch-1):][:2*each]
			if err := os.WriteFile(path, []byte(bulkDocument(t, dir, part, epoch)), 0o600); err != nil {
				t.Fatal(err)
			}
			words := []string{path, "--as", "east", "--state-dir", filepath.Join(dir, "state"), "--boot-id", "west=b"}
			for _, line := range []string{"plan", "-j plan", "apply", "-j apply", "-v apply --prune", "diff", "-j diff", "verify", "-v --dry-run delete"} {
				line := strings.Fields(line)
				at := len(line)
				if strings.HasSuffix(line[at-1], "prune") {
					at--
				}
				p.run(t, &part[0], append(append(line[:at:at], words...), line[at:]...)...)
			}
			shown := p.reveal(t)
			for _, k := range shown { // derived ones are not known before
				if b, err := hex.DecodeString(k); err == nil {
					p.find.add("a key of an SA", b)
				}
			}
			if p.engine != nil && len(shown) < 2*each {
				t.Errorf("only %d keys are in use", len(shown))
			}
			p.run(t, &part[0], append([]string{"-v", "apply"}, words...)...)
			p.run(t, &part[0], "-j", "-s", "state")
		}
		p.run(t, &keys[0], "-v", "delete", path, "--as", "east", "--state-dir", filepath.Join(dir, "state"))
		p.lookAt(t, filepath.Join(dir, "state"))
	})
}

// bulkDocument has a tunnel for each two keys: half of them static, from files,
// half derived from a root secret that is a key as well.
func bulkDocument(t *testing.T, dir string, keys []canary, epoch int) string {
	t.Helper()
	file := func(i int) string {
		path := filepath.Join(dir, fmt.Sprintf("%d.key", i))
		if err := os.WriteFile(path, keys[i][:], 0o600); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	var b strings.Builder
	b.WriteString("version: 1\nowner: {name: bulk, reqid: 10000-19999, if_id: 20000-29999}\nnodes:\n  east: {endpoint: 192.0.2.1}\n  west: {endpoint: 192.0.2.2}\ntunnels:\n")
	for i := 0; i+1 < len(keys); i += 2 {
		fmt.Fprintf(&b, "  - name: t%d\n    between: [east, west]\n    interface: canary%d\n    traffic: [{east: 10.1.%d.0/24, west: 10.2.%d.0/24}]\n", i, i, i%250, i%250)
		if i%4 == 0 {
			fmt.Fprintf(&b, "    cipher: aes-cbc-256-sha256\n    keys: {east-to-west: %q, west-to-east: %q}\n    spi: {east-to-west: %d, west-to-east: %d}\n",
				file(i), file(i+1), 0x10000*epoch+i, 0x10000*epoch+i+1)
		} else {
			fmt.Fprintf(&b, "    keys: {derive: %q, epoch: %d}\n", file(i), epoch)
		}
	}
	return b.String()
}
