package demo

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// good is a flow that went well.
func good() Tunnel {
	return Tunnel{Mode: "tunnel", Inner: "ipv4", Outer: "ipv6", Sent: 3, Received: 3, ESPPackets: 6}
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(r *Report)
		want   []string
	}{
		{"none", func(*Report) {}, nil},
		{"nothing tried", func(r *Report) { r.Tunnels = nil }, []string{"no tunnel was tried"}},
		{"nothing sent", func(r *Report) { r.Tunnels[0] = Tunnel{Mode: "beet", Inner: "ipv4", Outer: "ipv4"} },
			[]string{"beet mode, ipv4 in ipv4: "}},
		{"an answer is missing", func(r *Report) { r.Tunnels[0].Received, r.Tunnels[0].Detail = 2, "no answer within 3s" },
			[]string{"tunnel mode, ipv4 in ipv6: 2 of 3 pings answered, no answer within 3s"}},
		{"one way in clear", func(r *Report) {
			r.Tunnels[0].ESPPackets, r.Tunnels[0].ClearPackets, r.Wire.ClearPackets = 3, 3, 3
		}, []string{"tunnel mode, ipv4 in ipv6: 3 ESP packets instead of 6, 3 packets in clear"}},
		{"one more in clear", func(r *Report) { r.Tunnels[0].ClearPackets, r.Wire.ClearPackets = 1, 1 },
			[]string{"tunnel mode, ipv4 in ipv6: 1 packets in clear"}},
		{"slow but whole", func(r *Report) { r.Transfer = &Transfer{Bytes: 1} }, nil},
		{"nothing transferred", func(r *Report) { r.Transfer = &Transfer{} }, []string{"TCP transfer: nothing arrived"}},
		{"not all transferred", func(r *Report) { r.Transfer = &Transfer{Bytes: 1, Detail: "1 of 2 bytes arrived"} },
			[]string{"TCP transfer: 1 of 2 bytes arrived"}},
		{"transferred in clear", func(r *Report) { r.Transfer = &Transfer{Bytes: 1, ClearPackets: 3} },
			[]string{"TCP transfer: 3 packets in clear"}},
		{"clear in between", func(r *Report) { r.Wire.ClearPackets = 2 }, []string{"2 packets in clear between the pings"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Report{Tunnels: []Tunnel{good()}, Wire: Wire{ESPPackets: 6}}
			tt.change(r)
			if d := cmp.Diff(tt.want, r.faults()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCheckSAs(t *testing.T) {
	want := plan(randomKey)[0].end(left, true).SAs
	packets := map[netlinkx.SPI]carriage{}
	for _, tt := range []struct {
		name   string
		change func(sa *netlinkx.SA)
		want   string
	}{
		{"as installed", func(*netlinkx.SA) {}, ""},
		{"not used", func(sa *netlinkx.SA) { sa.Usage.Packets = 0 }, "packets 0, not 6"},
		{"other mode", func(sa *netlinkx.SA) { sa.Mode = netlinkx.ModeBEET }, "mode beet, not tunnel"},
		{"no window", func(sa *netlinkx.SA) { sa.ReplayWindow = 32 }, "replay window 32, not 1024"},
		{"no direction", func(sa *netlinkx.SA) { sa.Dir = netlinkx.DirUnset }, "direction , not in"},
		{"no ESN", func(sa *netlinkx.SA) { sa.Flags = 0 }, "ESN false, not true"},
		{"no if_id", func(sa *netlinkx.SA) { sa.IfID = 0 }, "if_id 0, not 4"},
		{"forged", func(sa *netlinkx.SA) { sa.Stats.IntegrityFailed = 1 }, "errors {0 0 1}, not {0 0 0}"},
		{"not more than the pings", func(sa *netlinkx.SA) { sa.IfID = 4; packets[sa.SPI] = carriage{6, true} }, "packets 6, not more than 6"},
		{"gone", func(sa *netlinkx.SA) { sa.SPI = 1 }, "is gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var have []*netlinkx.SA
			packets[want[0].SPI], packets[want[1].SPI] = carriage{packets: 6}, carriage{packets: 6}
			for _, sa := range want {
				h := *sa
				h.Usage.Packets = 6
				have = append(have, &h)
			}
			tt.change(have[1]) // the inbound one
			got := strings.Join(checkSAs(want, packets, have), "; ")
			if tt.want == "" && got != "" || !strings.HasSuffix(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	r := &Report{Engine: "kernel", Kernel: "7.2.13", Error: "why", Tunnels: []Tunnel{good(), good()}, Wire: Wire{ESPPackets: 12}}
	r.Tunnels[1].Mode = "beet"
	if got, want := r.Summary(), "demo: FAILED on Linux 7.2.13 (kernel engine): why"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r.OK = true
	const want = "demo: ok on Linux 7.2.13 (kernel engine): 2 flows (tunnel, beet mode), 6 of 6 pings answered, 12 ESP packets and 0 in clear on the wire"
	if got := r.Summary(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for bits, rate := range map[float64]string{2.345e9: "2.35 Gbit/s", 9.1e7: "91 Mbit/s"} {
		r.Transfer = &Transfer{BitsPerSecond: bits}
		if got := r.Summary(); got != want+", TCP at "+rate {
			t.Errorf("got %s", got)
		}
	}
}

// The words of the JSON output are a promise.
func TestJSON(t *testing.T) {
	r := &Report{OK: true, Engine: "kernel", Kernel: "7.2.13", SADir: true, Wire: Wire{ESPPackets: 6}}
	tun := plan(randomKey)[0]
	res := newTunnel(tun, tun.flows[0])
	res.Sent, res.Received, res.ESPPackets = 3, 3, 6
	r.Tunnels = []Tunnel{res}
	r.Transfer = &Transfer{Interface: "ipsec4", From: "10.4.1.1", To: "10.4.2.1", Bytes: 125, Seconds: 0.5, BitsPerSecond: 2000}
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"ok":true,"engine":"kernel","kernel":"7.2.13","sa_dir":true,` +
		`"tunnels":[{"mode":"tunnel","inner":"ipv4","outer":"ipv4","interface":"ipsec4","if_id":4,` +
		`"from":"10.4.1.1","to":"10.4.2.1","sent":3,"received":3,"esp_packets":6,"clear_packets":0,` +
		`"algorithm":"rfc4106(gcm(aes))","key_bits":256,"esn":true,"replay_window":1024}],` +
		`"wire":{"esp_packets":6,"clear_packets":0},` +
		`"transfer":{"interface":"ipsec4","from":"10.4.1.1","to":"10.4.2.1","bytes":125,"seconds":0.5,"bits_per_second":2000,"clear_packets":0}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTranscriptShowsNoKeys(t *testing.T) {
	key := []byte("a key of thirty-six bytes, as needed")
	tunnels := plan(func() netlinkx.Key { return netlinkx.NewKey(key) })
	var out strings.Builder
	tr := &transcript{w: &out}
	tr.plan(tunnels)
	for _, tun := range tunnels {
		tr.sas(left, tun.end(left, true).SAs)
	}
	if !strings.Contains(out.String(), "0x00001001") {
		t.Fatalf("no SA is shown:\n%s", out.String())
	}
	for _, form := range []string{string(key[:8]), hex.EncodeToString(key[:8]), base64.StdEncoding.EncodeToString(key[:6]), strings.Trim(fmt.Sprint(key[:4]), "[]")} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the key shows as %s", form)
		}
	}
}

func TestMissingSaysWhatToDo(t *testing.T) {
	list := []Feature{
		{Name: "veth", OK: true},
		{Name: "ESP over IPv4", Detail: "protocol not supported", Option: "CONFIG_INET_ESP", Modules: []string{"esp4"}},
		{Name: "network namespaces", Option: "CONFIG_NET_NS"},
	}
	lacks := missing(list)
	var out strings.Builder
	tr := &transcript{w: &out}
	tr.features("kernel engine", list)
	tr.missing(lacks)
	for _, want := range []string{
		"kernel engine: veth                yes\n",
		"kernel engine: ESP over IPv4       NO (protocol not supported)\n",
		"ESP over IPv4: needs a kernel with CONFIG_INET_ESP, or, where that is built as a module: modprobe -a esp4\n",
		"network namespaces: needs a kernel with CONFIG_NET_NS\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	err := &UnsupportedError{Missing: lacks}
	if got, want := err.Error(), "this kernel lacks ESP over IPv4, network namespaces"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Error("is not ErrUnsupported")
	}
}

func TestPrivilegeError(t *testing.T) {
	err := &PrivilegeError{Op: "use IPsec policies", Err: &netlinkx.Error{Op: "add policy", Errno: syscall.EPERM}}
	want := "use IPsec policies: operation not permitted (needs root: CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW; or a user namespace: unshare -rn xfrmctl demo)"
	if err.Error() != want {
		t.Errorf("got %q", err)
	}
	if !errors.Is(err, fs.ErrPermission) {
		t.Error("is not ErrPermission")
	}
}
