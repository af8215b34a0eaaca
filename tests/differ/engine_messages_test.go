package differ

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// fixedSizes are the lengths of the fixed parts of requests.
var fixedSizes = map[netlinkx.MsgType]int{
	netlinkx.MsgNewSA: 224, netlinkx.MsgUpdSA: 224, netlinkx.MsgDelSA: 24, netlinkx.MsgGetSA: 24, netlinkx.MsgAllocSPI: 232,
	netlinkx.MsgNewPolicy: 168, netlinkx.MsgUpdPolicy: 168, netlinkx.MsgDelPolicy: 64, netlinkx.MsgGetPolicy: 64,
	netlinkx.MsgNewAE: 48, netlinkx.MsgGetAE: 48, netlinkx.MsgMigrate: 64, netlinkx.MsgMigrateState: 132,
	netlinkx.MsgExpire: 232, netlinkx.MsgPolExpire: 176, netlinkx.MsgNewSPDInfo: 4, netlinkx.MsgSetDefault: 3,
	netlinkx.MsgFlushPolicy: 0, netlinkx.MsgGetSADInfo: 4, netlinkx.MsgGetSPDInfo: 4, netlinkx.MsgGetDefault: 3,
}

// excuseMessage says why two answers to a message, or what came of it, may
// differ; docs/differences.md has the same list.
func excuseMessage(m message, size int, kernel, engine engineAnswer, what string) string {
	update, migrate := m.kind() == msgUpdSA, m.kind() == uint16(netlinkx.MsgMigrate)
	tables := strings.HasPrefix(what, "tables: ")
	switch errno := unix.Errno(engine.errno); {
	case errno == unix.ENOSYS, errno == unix.EPROTONOSUPPORT:
		return "what the engine lacks"
	case update && strings.Contains(engine.text, "can't change"):
		return "update of what cannot change"
	case migrate && strings.HasPrefix(what, "tables: policies"):
		return "migrated policy is listed as the newest"
	case migrate && errno == unix.ENODATA && oddFamily(m):
		return "migration with a family that there is not"
	case migrate && hasAttribute(m, size, netlinkx.AttrOffloadDev):
		return "migration with an offload"
	case migrate && kernel.errno != 0 && engine.errno != 0, migrate && strings.HasPrefix(kernel.text, "ESP: "):
		return "migration of a larval SA" // the kernel finds it, and fails at it
	case tables && m.kind() == msgNewAE && hasAttribute(m, size, netlinkx.AttrMTimerThresh):
		return "aevent with a mapping threshold"
	case tables && m.kind() == msgNewAE && hasAttribute(m, size, netlinkx.AttrReplayVal):
		return "replay state of an SA without a window"
	}
	return ""
}

// oddFamily reports whether an entry of a migration has a family that is none.
func oddFamily(m message) bool {
	for _, at := range attributesOf(m, sizeofNetlinkHdr+64) {
		if netlinkx.AttrType(native.Uint16(m[at+2:])&0x3fff) != netlinkx.AttrMigrate {
			continue
		}
		for b := m[at+4 : at+int(native.Uint16(m[at:]))]; len(b) >= 76; b = b[76:] {
			if netlinkx.Family(native.Uint16(b[72:])).Bits() == 0 || netlinkx.Family(native.Uint16(b[74:])).Bits() == 0 {
				return true
			}
		}
	}
	return false
}

// hasAttribute reports whether a message with a fixed part of that size has an
// attribute.
func hasAttribute(m message, size int, kind netlinkx.AttrType) bool {
	for _, at := range attributesOf(m, sizeofNetlinkHdr+(size+3)&^3) {
		if netlinkx.AttrType(native.Uint16(m[at+2:])&0x3fff) == kind {
			return true
		}
	}
	return false
}

// messageRun is a run of spoilt messages.
type messageRun struct {
	t                  *testing.T
	p                  *enginePair
	r                  *rand.Rand
	accepted, findings int
	excused            map[string]int
}

// TestEngineMessages sends messages with mistakes to both engines: the same
// errno, text, offset and answer, and the same tables afterwards.
func TestEngineMessages(t *testing.T) {
	b := setUpEngines(t)
	p, err := newEnginePair(b.xfrmctl, b.ip, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}()
	fd := int(p.left.dump.to.(kernelSocket))
	for _, option := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_CAP_ACK} {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, 1); err != nil {
			t.Fatal(err)
		}
	}
	p.hasty = true
	run := &messageRun{t: t, p: p, r: rand.New(rand.NewPCG(seed(t), 1)), excused: map[string]int{}}
	n := 20 * engineCount(t)
	for i := 0; i < n && run.findings < 25; i++ {
		run.one()
		if i%500 == 499 {
			run.reset()
		}
	}
	t.Logf("%d messages, %d accepted, excused: %v", n, run.accepted, run.excused)
}

func (run *messageRun) reset() {
	if err := run.p.reset(); err != nil {
		run.t.Fatal(err)
	}
}

// one sends one message to both.
func (run *messageRun) one() {
	t, p := run.t, run.p
	all := baseRequests(run.r)
	req := all[run.r.IntN(len(all))]
	raw, err := netlinkx.AppendRequest(nil, req, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	size := fixedSizes[req.Type()]
	m := spoilMessage(run.r, raw, sizeofNetlinkHdr+(size+3)&^3)
	kernel, err := p.left.dump.tell(m)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := p.right.dump.tell(m)
	if err != nil {
		t.Fatalf("%v after %x", err, []byte(m))
	}
	if kernel.errno == 0 {
		run.accepted++
	}
	what := run.differ(kernel, engine)
	if what == "" {
		return
	}
	if name := excuseMessage(m, size, kernel, engine, what); name != "" {
		run.excused[name]++
	} else if what = run.patiently(kernel, engine); what != "" {
		run.findings++
		t.Errorf("%s: %s\n%x", req.Type(), what, []byte(m))
	}
	run.reset()
}

// patiently is differ for what is no exception.
func (run *messageRun) patiently(kernel, engine engineAnswer) string {
	run.p.hasty = false
	defer func() { run.p.hasty = true }()
	return run.differ(kernel, engine)
}

// differ says how two answers, or the tables after them, differ; "" not.
func (run *messageRun) differ(kernel, engine engineAnswer) string {
	if !kernel.equal(engine) {
		what := fmt.Sprintf("kernel %v, engine %v", kernel, engine)
		for i := range min(len(kernel.reply), len(engine.reply)) {
			what += firstDifference(kernel.reply[i], engine.reply[i])
		}
		return what
	}
	if kernel.errno != 0 {
		return ""
	}
	left, right, err := run.p.settled(func(left, right snapshot) bool { return left.differ(right) == "" })
	if err != nil {
		run.t.Fatal(err)
	}
	if d := left.differ(right); d != "" {
		return "tables: " + d
	}
	return ""
}
