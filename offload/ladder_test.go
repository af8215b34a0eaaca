package offload

import (
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

var yes = Outcome{Known: true, OK: true}

func ableKernel() *Kernel {
	return &Kernel{XFRM: yes, ESP4: yes, ESP6: yes, Offload4: yes, Offload6: yes, Interface: yes, Algorithms: map[string]Outcome{"rfc4106(gcm(aes))": yes}}
}

func TestDecide(t *testing.T) {
	no := Outcome{Known: true, Why: "Requested type not found"}
	mlx5 := &NIC{Name: "eth0", Driver: "mlx5_core", HW: true, HWState: "on [fixed]"}
	tests := []struct {
		name  string
		alter func(*Question, *Kernel)
		rung  Rung
		// fails is the rung whose first failing link is looked at, and part and
		// why what that says.
		fails     Rung
		part, why string
	}{
		{"the best", func(*Question, *Kernel) {}, RungPacket, "", "", ""},
		{"no reqid for packet", func(q *Question, _ *Kernel) { q.SA.ReqID = 0 }, RungCrypto, RungPacket, "sa", "reqid is 0"},
		{"inbound with if_id", func(q *Question, _ *Kernel) { q.Dir, q.SA.IfID = netlinkx.DirIn, 5 }, RungSoftware, RungCrypto, "sa", "if_id is 5"},
		{"inbound with if_id, older kernel", func(q *Question, k *Kernel) {
			q.Dir, q.SA.IfID, k.Accepts = netlinkx.DirIn, 5, map[string]Outcome{"inbound-if-id": yes}
		}, RungPacket, "", "", ""},
		{"ixgbe and a tunnel", func(q *Question, _ *Kernel) {
			q.NIC = &NIC{Name: "eth0", Driver: "ixgbe", HW: true, HWState: "on"}
			q.SA.Mode = netlinkx.ModeTunnel
		}, RungSoftware, RungCrypto, "sa", "mode is tunnel"},
		{"ixgbe does no packets", func(q *Question, _ *Kernel) {
			q.NIC = &NIC{Name: "eth0", Driver: "ixgbe", HW: true, HWState: "on"}
		}, RungCrypto, RungPacket, "driver", "does no packet offload"},
		{"a driver that nobody knows", func(q *Question, _ *Kernel) {
			q.NIC = &NIC{Name: "eth0", Driver: "novelty", HW: true, HWState: "on"}
		}, RungPacket, "", "", ""},
		{"veth", func(q *Question, _ *Kernel) {
			q.NIC = &NIC{Name: "v0", Driver: "veth", HWState: "off [fixed]"}
		}, RungSoftware, RungCrypto, "device", "esp-hw-offload is off [fixed]"},
		{"below a VLAN", func(q *Question, _ *Kernel) {
			q.NIC = &NIC{Name: "eth0", Driver: "mlx5_core", HW: true, HWState: "on", Blocked: "v7 passes no SAs on"}
		}, RungSoftware, RungCrypto, "device", "v7 passes no SAs on"},
		{"no device", func(q *Question, _ *Kernel) { q.NIC, q.NoNIC = nil, "no route" }, RungSoftware, RungPacket, "device", "no route"},
		{"module missing", func(_ *Question, k *Kernel) { k.Offload4 = no }, RungSoftware, RungCrypto, "kernel", "esp4_offload is not there"},
		{"probe inconclusive", func(_ *Question, k *Kernel) { k.Offload4 = Outcome{Why: "no privilege"} }, RungPacket, "", "", ""},
		{"no esp, engine", func(q *Question, k *Kernel) { k.ESP4, q.Userspace = no, true }, RungUserspace, RungSoftware, "kernel", "esp4 is not there"},
		{"no esp, no engine", func(_ *Question, k *Kernel) { k.ESP4 = no }, RungNone, RungUserspace, "userspace", "no userspace engine"},
		{"no cipher", func(q *Question, k *Kernel) {
			q.NIC, k.Algorithms["rfc4106(gcm(aes))"] = nil, no
		}, RungNone, RungSoftware, "kernel", "rfc4106(gcm(aes)) is not there"},
		{"crypto alone", func(q *Question, _ *Kernel) { q.Types = []Type{Crypto} }, RungCrypto, "", "", ""},
	}
	all := packs(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q, k := &Question{SA: plainSA(), Dir: netlinkx.DirOut, NIC: mlx5}, ableKernel()
			tt.alter(q, k)
			d := Decide(q, k, all)
			if d.Rung != tt.rung {
				t.Errorf("rung %s, want %s: %+v", d.Rung, tt.rung, d.Chain)
			}
			if tt.fails == "" {
				return
			}
			l := d.FirstFailure(tt.fails)
			if l == nil || l.Part != tt.part || !strings.Contains(l.Why, tt.why) {
				t.Errorf("first failure of %s: %+v, want %s: %s", tt.fails, l, tt.part, tt.why)
			}
			if l != nil && l.Fix == "" && l.Part != "kernel" {
				t.Errorf("no fix for %+v", l)
			}
		})
	}
}

func TestKnows(t *testing.T) {
	k := &Kernel{XFRM: there, ESP4: there, ESP6: there, Offload4: there, Offload6: there, Interface: there, Algorithms: map[string]Outcome{"cbc(aes)": there}}
	if !k.Knows(nil) || !k.Knows([]string{"cbc(aes)"}) || k.Knows([]string{"cbc(aes)", "hmac(sha1)"}) || (*Kernel)(nil).Knows(nil) {
		t.Error("what was not asked for counts as known, or what was does not")
	}
	k.Offload6 = Outcome{OK: true}
	if k.Knows(nil) {
		t.Error("an inconclusive outcome counts as known")
	}
}
