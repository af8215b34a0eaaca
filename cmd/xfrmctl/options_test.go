package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func TestParseOptions(t *testing.T) {
	tests := []struct {
		in   string
		want options
		rest string
	}{
		{"state list", options{}, "state list"},
		{"-4 state", options{family: netlinkx.FamilyIPv4}, "state"},
		{"-6 -s -s s", options{family: netlinkx.FamilyIPv6, stats: 2}, "s"},
		{"-f inet6 s", options{family: netlinkx.FamilyIPv6}, "s"},
		{"-fam inet -0 s", options{family: familyPacket}, "s"},
		{"-B s", options{family: familyBridge}, "s"},
		{"-M s", options{family: familyMPLS}, "s"},
		{"-stat -statistics --stats s", options{stats: 3}, "s"},
		{"-o s", options{oneline: true}, "s"},
		{"-t m", options{timestamp: true}, "m"},
		{"-ts m", options{timestamp: true, tshort: true}, "m"},
		{"-j -p s", options{json: true, pretty: true}, "s"},
		{"-js --json -pretty s", options{json: true, pretty: true}, "s"},
		{"-d -r -br -h -iec -N -a -c -color=always -echo -l 3 s", options{all: true}, "s"},
		{"-n blue s", options{netns: "blue"}, "s"},
		{"-netns blue s", options{netns: "blue"}, "s"},
		{"--netns=/proc/1/ns/net s", options{netns: "/proc/1/ns/net"}, "s"},
		{"-b - -force", options{batch: "-", force: true}, ""},
		{"-batch file", options{batch: "file"}, ""},
		{"-rc 0x100000 s", options{rcvbuf: 1 << 20}, "s"},
		{"--show-keys s", options{showKeys: true}, "s"},
		{"-q --dry-run -v s", options{quiet: true, dryRun: true, verbose: true}, "s"},
		{"-dr s", options{dryRun: true}, "s"},
		{"--verb s", options{verbose: true}, "s"},
		{"-V", options{version: true}, ""},
		{"--version", options{version: true}, ""},
		{"-he", options{help: true}, ""},
		{"--engine kernel s", options{engine: "kernel"}, "s"},
		{"--engine=userspace s", options{engine: "userspace"}, "s"},
		{"-j -- -4", options{json: true}, "-4"},
		{"state -4", options{}, "state -4"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			if tt.want.engine == "" {
				tt.want.engine = "auto"
			}
			got, rest, err := parseOptions(strings.Fields(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(options{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if s := strings.Join(rest, " "); s != tt.rest {
				t.Errorf("rest %q, want %q", s, tt.rest)
			}
		})
	}
}

func TestParseOptionsErrors(t *testing.T) {
	tests := []struct{ in, want, hint string }{
		{"-zzz s", `option "-zzz" is unknown, try "xfrmctl help"`, ""},
		{"-jsn s", `option "-jsn" is unknown, try "xfrmctl help"`, "did you mean -json?"},
		{"-json=1 s", `option "-json=1" is unknown, try "xfrmctl help"`, "did you mean -json?"},
		{"- s", `option "-" is unknown, try "xfrmctl help"`, ""},
		{"-ec s", `option "-ec" is unknown, try "xfrmctl help"`, "did you mean -iec?"},
		{"-n", "option -n needs a value: NETNS", ""},
		{"-f ipx s", `option -family: "ipx" is none of inet, inet6, bridge, mpls, link`, ""},
		{"-rc 1k s", `option -rcvbuf: "1k" is not a number of bytes`, ""},
		{"--engine fast s", `option --engine: "fast" is none of auto, kernel, userspace`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			_, _, err := parseOptions(strings.Fields(tt.in))
			if err == nil {
				t.Fatal("no error")
			}
			if err.Error() != tt.want || hintOf(err) != tt.hint || exitCode(err) != exitArgument {
				t.Errorf("got %q, hint %q, code %d", err, hintOf(err), exitCode(err))
			}
		})
	}
}

func TestNetNSOf(t *testing.T) {
	tests := []struct {
		in   string
		want netlinkx.NetNS
		err  bool
	}{
		{"blue", netlinkx.NamedNetNS("blue"), false},
		{"/proc/1/ns/net", netlinkx.NetNSAt("/proc/1/ns/net"), false},
		{"./ns", netlinkx.NetNSAt("./ns"), false},
		{"pid:12", netlinkx.NetNSAt("/proc/12/ns/net"), false},
		{"pid:0", netlinkx.NetNS{}, true},
		{"pid:x", netlinkx.NetNS{}, true},
	}
	for _, tt := range tests {
		got, err := netnsOf(tt.in)
		if got != tt.want || (err != nil) != tt.err {
			t.Errorf("%s: %v, %v", tt.in, got, err)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"state", "policy", "monitor", "iface"}
	for in, want := range map[string]string{
		"stat": "state", "sttae": "state", "polcy": "policy", "montior": "monitor", "xyz": "", "": "", "ifaces": "iface",
	} {
		if got := ipxfrm.Nearest(in, words); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}
