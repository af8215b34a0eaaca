package differ

import (
	"slices"
	"testing"
)

// eventCommands make events that random commands do not, or rarely.
var eventCommands = []string{
	"state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x900 mode tunnel reqid 9 aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128 mark 7 mask 0xff if_id 3 output-mark 5 mask 0xf replay-window 64 flag esn dir in",
	"state ae set src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x900 mark 7 mask 0xff replay-thresh 5",
	"policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out index 0x40000009 tmpl src 10.0.0.1 dst 10.0.0.2 proto esp mode tunnel reqid 9 mark 1 mask 1",
	"policy update src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 4 tmpl src 10.0.0.1 dst 10.0.0.2 proto esp mode tunnel reqid 9 mark 1 mask 1",
	"policy delete index 0x40000009 dir out mark 1 mask 1",
	"policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir in",
	"policy delete src 10.1.0.0/24 dst 10.2.0.0/24 dir in",
	"policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir fwd ptype sub",
	"policy flush ptype sub",
	"policy flush",
	"policy setdefault in block",
	"policy setdefault in accept",
	"state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x901 mode tunnel reqid 8 aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111214 128 encap espinudp 4500 4501 0.0.0.0",
	"policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out tmpl src 10.0.0.1 dst 10.0.0.2 proto esp mode tunnel reqid 8",
	"policy migrate src 10.1.0.0/24 dst 10.2.0.0/24 dir out from src 10.0.0.1 dst 10.0.0.2 proto esp mode tunnel reqid 8 to src 10.0.0.3 dst 10.0.0.4",
	"state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x900 mark 7 mask 0xff",
	"state flush proto esp",
	"state flush",
}

// TestEngineEvents compares the events of both engines byte by byte.
func TestEngineEvents(t *testing.T) {
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
	ears, err := p.listen()
	if err != nil {
		t.Fatal(err)
	}
	defer ears.close()
	total := 0
	for _, line := range eventCommands {
		words, err := splitWords(line, nil)
		if err != nil {
			t.Fatal(err)
		}
		total += hearCommand(t, p, ears, newCommand(words))
	}
	g := newGenerator(seed(t))
	for range engineCount(t) / 2 {
		if c := g.next(); lacking(c) == "" && !later(c) {
			total += hearCommand(t, p, ears, c)
			g.learn(true)
		}
	}
	t.Logf("%d events", total)
}

// later reports whether a command makes an event by itself some time after it:
// a limit in time, or a larval SA, whose SPI is drawn besides.
func later(c command) bool {
	return c.verb() == "state allocspi" || c.has("time-soft", "time-hard", "time-use-soft", "time-use-hard")
}

// hearCommand runs a command on both engines, compares what is heard, and
// returns how many events there were.
func hearCommand(t *testing.T, p *enginePair, ears *ears, c command) int {
	t.Helper()
	left, right, err := p.both(c)
	if err != nil {
		t.Fatal(err)
	}
	kernel, engine, err := ears.hear()
	if err != nil {
		t.Fatal(err)
	}
	if left.code == right.code {
		compareEvents(t, c, kernel, engine)
		return len(kernel)
	}
	if excuseEngine(c, outcome{left: left, right: right, kind: differCode}) == "" {
		t.Errorf("%v: %v %v", c, left, right)
	}
	if err := p.reset(); err != nil { // from different tables nothing can be compared
		t.Fatal(err)
	}
	if _, _, err := ears.hear(); err != nil {
		t.Fatal(err)
	}
	return len(kernel)
}

func compareEvents(t *testing.T, c command, kernel, engine []message) {
	t.Helper()
	if len(kernel) != len(engine) {
		t.Errorf("%v: %d events of the kernel, %d of the engine", c, len(kernel), len(engine))
		return
	}
	for i := range kernel {
		if !slices.Equal(kernel[i], engine[i]) {
			t.Errorf("%v: event %d:%s", c, i+1, firstDifference(kernel[i], engine[i]))
			return
		}
	}
}
