package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/offload/userspace"
	"github.com/xfrmctl/xfrmctl/offload/userspace/journal"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
)

func TestParseESP(t *testing.T) {
	for _, tt := range []struct {
		words  string
		want   espRequest
		socket string
		json   bool
		err    string
	}{
		{"", espRequest{}, "", false, ""},
		{"status -j", espRequest{show: "status"}, "", true, ""},
		{"stats --json --socket /x", espRequest{show: "stats"}, "/x", true, ""},
		{"--socket=/x --state-dir /s --new-journal", espRequest{stateDir: "/s", newJournal: true}, "/x", false, ""},
		{"--queues 4 --no-gso -no-gro --no-tso --no-uso --no-direct", espRequest{path: userspace.PathConfig{
			Queues: 4, NoGSO: true, NoGRO: true, NoTSO: true, NoUSO: true, NoDirect: true}}, "", false, ""},
		{"--forget-keys --unconfined", espRequest{forget: true, unconfined: true}, "", false, ""},
		{"help --what", espRequest{}, "", false, `esp takes no "--what"`},
		{"status stats", espRequest{}, "", false, `esp takes no "stats"`},
		{"start", espRequest{}, "", false, `esp takes no "start"`},
		{"status --forget-keys", espRequest{}, "", false, "esp status takes only -j, -p and --socket"},
		{"--queues 0", espRequest{}, "", false, `--queues "0" is not a number from 1 to 256`},
		{"--queues 257", espRequest{}, "", false, `--queues "257"`},
		{"--socket", espRequest{}, "", false, "esp: --socket needs a value"},
		{"--unconfined=yes", espRequest{}, "", false, `esp takes no "--unconfined=yes"`},
		{"--forget-keys --state-dir /s", espRequest{}, "", false, "--forget-keys needs no journal"},
		{"--forget-keys --new-journal", espRequest{}, "", false, "--forget-keys needs no journal"},
	} {
		e := newEnv(t.Context(), nil, nil, nil)
		r, err := e.parseESP(strings.Fields(tt.words))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || exitCode(err) != exitArgument {
				t.Errorf("%q: %v, want %q", tt.words, err, tt.err)
			}
			continue
		}
		if err != nil || *r != tt.want || e.opts.socket != tt.socket || e.opts.json != tt.json {
			t.Errorf("%q: %+v, socket %q, json %v, %v", tt.words, r, e.opts.socket, e.opts.json, err)
		}
	}
}

// engineWith listens like an engine with a status.
func engineWith(t *testing.T, s *userspace.Status) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "esp.sock")
	l, err := nlsock.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		done <- l.Serve(func(p *nlsock.Peer) {
			if p.Protocol != nlsock.ProtocolStatus {
				p.Refuse(syscall.EPROTONOSUPPORT, "")
			} else if p.Welcome() == nil {
				_ = p.SendStatus(doc) // it may have gone
			}
		})
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

func testStatus() *userspace.Status {
	s := &userspace.Status{
		Version: "v1", PID: 42, Socket: "/run/x.sock", Started: time.Unix(1700000000, 0).UTC(), UptimeSeconds: 61.9, SAs: 2,
		Policies: userspace.PolicyCount{In: 1, Out: 2, Forward: 3},
		Journal:  &journal.Stats{Keys: 5, Leases: 6, Syncs: 4},
		Law:      userspace.Law{OuterReceived: 9, InnerDelivered: 7, InDropped: 2, InnerReceived: 5, OuterSent: 5, Holds: true},
		Counters: map[string]uint64{"XfrmInNoStates": 2, "XfrmInError": 0}, Own: map[string]uint64{"InPackets": 9},
		Devices: []userspace.DeviceStatus{{Name: "vpn0", IfID: 7, Queues: 2, Underlay: "eth0"}, {Name: "any", External: true, Queues: 1}},
	}
	_ = json.Unmarshal([]byte(`{"no_new_privileges":true,"seccomp":true,"capabilities":["net_admin","net_raw"]}`), &s.Confined) // shows in every test
	return s
}

func TestESPStatus(t *testing.T) {
	s := testStatus()
	got := runWords(t, newFakeKernel(), "--socket "+engineWith(t, s)+" esp status")
	const want = `engine v1, process 42, at /run/x.sock, for 1m1s
  2 SAs; policies: 1 in, 2 out, 3 fwd
  interface vpn0: if_id 0x7, 2 queues, through eth0
  interface any: external, 1 queues
  keys: 5 remembered, 6 leases in 4 writes
  privileges: net_admin, net_raw; system calls filtered
  in:  9 received = 7 delivered + 2 dropped
  out: 5 received = 5 sent + 0 dropped; every packet is accounted for
`
	if got.Code != 0 || got.Stdout != want || got.Stderr != "" {
		t.Errorf("%+v\nwant %s", got, want)
	}
}

func TestESPStatusSaysWhatIsWrong(t *testing.T) {
	s := testStatus()
	s.Journal.Lost, s.Confined, s.Law.Holds = "it is gone", nil, false
	got := runWords(t, newFakeKernel(), "esp status --socket "+engineWith(t, s))
	for _, want := range []string{"keys: REFUSED: it is gone", "privileges: all that it was started with", "PACKETS ARE MISSING"} {
		if !strings.Contains(got.Stdout, want) {
			t.Errorf("no %q in %s", want, got.Stdout)
		}
	}
}

// The words of the JSON output are a promise.
func TestESPStatusJSON(t *testing.T) {
	got := runWords(t, newFakeKernel(), "esp status -j --socket "+engineWith(t, testStatus()))
	const want = `{"version":"v1","pid":42,"socket":"/run/x.sock","netns":0,"started":"2023-11-14T22:13:20Z","uptime_seconds":61.9,"sas":2,` +
		`"policies":{"in":1,"out":2,"fwd":3},"journal":{"keys":5,"leases":6,"syncs":4},` +
		`"confined":{"no_new_privileges":true,"seccomp":true,"capabilities":["net_admin","net_raw"]},"headroom_events":0,` +
		`"law":{"outer_received":9,"inner_delivered":7,"in_dropped":2,"inner_received":5,"outer_sent":5,"out_dropped":0,"holds":true},` +
		`"counters":{"XfrmInError":0,"XfrmInNoStates":2},"own_counters":{"InPackets":9},` +
		`"calls":{"batches":0,"sends":0,"receives":0,"device_reads":0,"device_writes":0},` +
		`"devices":[{"name":"vpn0","if_id":7,"underlay":"eth0","queues":2},{"name":"any","external":true,"queues":1}]}` + "\n"
	if got.Code != 0 || got.Stdout != want {
		t.Errorf("got  %s\nwant %s", got.Stdout, want)
	}
}

func TestESPStatusWithoutEngine(t *testing.T) {
	got := runWords(t, newFakeKernel(), "esp status --socket no/such/socket")
	if got.Code != 1 || !strings.HasPrefix(got.Stderr, "xfrmctl: no userspace engine is running at no/such/socket\nhint: ") {
		t.Errorf("%+v", got)
	}
}
