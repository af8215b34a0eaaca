package enginebench_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/traffic"
)

// A metric is one figure of a peer.
type metric struct {
	name string // as in the table
	unit string
	less bool // whether less is better
}

// The metrics, in the order of the table.
var (
	tcp1       = metric{"TCP, 1 stream", "Gbit/s", false}
	tcp4       = metric{"TCP, 4 streams", "Gbit/s", false}
	cpuEngine  = metric{"CPU of the processes, 1 stream", "s/GB", true}
	cpuMachine = metric{"CPU of the machine, 1 stream", "s/GB", true}
	udp64      = metric{"UDP, 64 bytes, received", "kpps", false}
	udp1300    = metric{"UDP, 1,300 bytes, received", "kpps", false}
	pingIdle   = metric{"ping, idle", "µs", true}
	pingLoaded = metric{"ping, beside 1 TCP stream", "µs", true}
	memory     = metric{"peak memory", "MiB", true}
	metrics    = []metric{tcp1, tcp4, cpuEngine, cpuMachine, udp64, udp1300, pingIdle, pingLoaded, memory}
)

// results holds every run's figures.
type results map[string]map[metric][]float64

func (r results) add(name string, m metric, v float64) {
	if r[name] == nil {
		r[name] = map[metric][]float64{}
	}
	r[name][m] = append(r[name][m], v)
}

// median returns the median of a peer's runs.
func (r results) median(name string, m metric) (float64, bool) {
	if len(r[name][m]) == 0 {
		return 0, false
	}
	return middle(r[name][m]), true
}

// middle is the median.
func middle(runs []float64) float64 { return slices.Sorted(slices.Values(runs))[len(runs)/2] }

// A measurement takes one or more figures of a peer.
type measurement struct {
	packets bool // not of peers whose streams alone are measured
	take    func(r results, p *peer)
}

// measurements is what a run takes of each peer.
func measurements(t *testing.T, seconds time.Duration) []measurement {
	return []measurement{
		{true, func(r results, p *peer) { r.add(p.name, pingIdle, ping(t, p)) }},
		{false, func(r results, p *peer) { r.tcp(t, p, 1, seconds) }},
		{false, func(r results, p *peer) { r.tcp(t, p, 4, seconds) }},
		{true, func(r results, p *peer) { r.add(p.name, udp64, flood(t, p, 64, seconds/2)) }},
		{true, func(r results, p *peer) { r.add(p.name, udp1300, flood(t, p, 1300, seconds/2)) }},
		{true, func(r results, p *peer) { r.loaded(t, p) }},
	}
}

// round takes each measurement once of all peers, one peer right after the
// other: what makes the machine slow lasts for seconds, and is the same for
// neighbours.
func (r results) round(t *testing.T, peers []*peer, seconds time.Duration, w *watch) {
	t.Helper()
	for _, m := range measurements(t, seconds) {
		for _, p := range peers {
			if p.notes == "" && !(m.packets && p.tcpOnly) {
				w.measure(t, r, func(r results) { m.take(r, p) })
			}
		}
	}
	for _, p := range peers {
		if p.notes == "" && len(p.pids) > 0 {
			r.add(p.name, memory, peak(t, p.pids))
		}
	}
}

// start begins to send from A to B and returns both ends.
func start(t *testing.T, p *peer, j traffic.Job) (sink, source *traffic.Child) {
	t.Helper()
	kind, _, _ := strings.Cut(j.Role, "-")
	j.Control = congestion()
	j.Addr = net.JoinHostPort(p.target, "5201")
	j.Role = kind + "-sink"
	sink, err := traffic.Spawn(p.pair.B, j)
	if err != nil {
		t.Fatal(p.name, err)
	}
	j.Role = kind + "-source"
	source, err = traffic.Spawn(p.pair.A, j)
	if err != nil {
		sink.Kill()
		t.Fatal(p.name, err)
	}
	return sink, source
}

// finish waits for both ends and returns what arrived.
func finish(t *testing.T, p *peer, sink, source *traffic.Child) traffic.Count {
	t.Helper()
	_, err := source.Wait()
	got, err2 := sink.Wait()
	if err != nil || err2 != nil {
		t.Fatal(p.name, err, err2)
	}
	return got
}

func (r results) tcp(t *testing.T, p *peer, streams int, seconds time.Duration) {
	t.Helper()
	before := used(t, p.pids)
	sink, source := start(t, p, traffic.Job{Role: "tcp", Streams: streams, For: seconds})
	got := finish(t, p, sink, source)
	cost := used(t, p.pids).since(before)
	if streams > 1 {
		r.add(p.name, tcp4, got.BitsPerSecond()/1e9)
		return
	}
	r.add(p.name, tcp1, got.BitsPerSecond()/1e9)
	r.add(p.name, cpuMachine, cost.machine/(float64(got.Bytes)/1e9))
	if len(p.pids) > 0 {
		r.add(p.name, cpuEngine, cost.processes/(float64(got.Bytes)/1e9))
	}
}

// flood sends datagrams as fast as one thread can and returns thousands a
// second that arrived.
func flood(t *testing.T, p *peer, size int, seconds time.Duration) float64 {
	t.Helper()
	sink, source := start(t, p, traffic.Job{Role: "udp", Size: size, For: seconds})
	return finish(t, p, sink, source).PacketsPerSecond() / 1e3
}

// ping returns the median round trip in microseconds.
func ping(t *testing.T, p *peer) float64 {
	t.Helper()
	out, err := p.pair.A.Run("ping", "-n", "-i", "0.005", "-c", "200", p.target)
	if err != nil {
		t.Fatalf("%s: ping: %v: %s", p.name, err, out)
	}
	var times []float64
	for line := range strings.Lines(out) {
		if _, v, ok := strings.Cut(line, "time="); ok {
			times = append(times, 1000*number(t, strings.Fields(v)[0]))
		}
	}
	if len(times) < 100 {
		t.Fatalf("%s: only %d answers", p.name, len(times))
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// loaded pings beside a TCP stream.
func (r results) loaded(t *testing.T, p *peer) {
	t.Helper()
	sink, source := start(t, p, traffic.Job{Role: "tcp", Streams: 1, For: 1800 * time.Millisecond})
	time.Sleep(500 * time.Millisecond)
	r.add(p.name, pingLoaded, ping(t, p))
	finish(t, p, sink, source)
}

// spread formats the median and the extremes.
func (r results) spread(name string, m metric) string {
	v, ok := r.median(name, m)
	if !ok {
		return "–"
	}
	runs := r[name][m]
	return fmt.Sprintf("%s (%s to %s)", digits(v), digits(slices.Min(runs)), digits(slices.Max(runs)))
}

// digits shows three or so significant digits.
func digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
