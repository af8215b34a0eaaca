package nicoffload

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
	"github.com/xfrmctl/xfrmctl/offload/selftest"
)

// selftestVersion is that of the report.
const selftestVersion = 1

// selftestWords are the words after selftest.
type selftestWords struct {
	dev    string
	to     netip.Addr
	peer   netlinkx.NetNS
	sizes  selftest.Range
	report string
}

// selftest sends datagrams of every size through the device and another one,
// by hardware and by software. It takes back what it adds.
func (c *command) selftest() error {
	if c.env.DryRun {
		return verbs.Errorf("selftest measures what it adds and removes: it has no dry run")
	}
	w, err := c.selftestWords()
	if err != nil {
		return err
	}
	var out *os.File
	if w.report != "" { // before anything is sent
		if out, err = os.OpenFile(w.report, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644); err != nil {
			return err
		}
	}
	r, err := c.runSelftest(w)
	if out != nil {
		err = errors.Join(err, writeReport(out, r))
	}
	if r == nil {
		return err
	}
	if c.env.JSON {
		err = errors.Join(err, c.env.Encode(r))
	} else {
		err = errors.Join(err, c.printSelftest(r))
	}
	if err != nil {
		return err
	}
	return selftestVerdict(r)
}

func writeReport(out *os.File, r *selftest.Report) error {
	if r == nil {
		return errors.Join(out.Close(), os.Remove(out.Name())) // nothing came to be reported
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return errors.Join(enc.Encode(r), out.Close())
}

// selftestVerdict fails when sizes were lost, and when no hardware was tested.
func selftestVerdict(r *selftest.Report) error {
	if f := r.Fault(); f != "" {
		e := &RefusedError{Msg: "selftest of " + r.Device + ": " + f, Hint: "the counters of the leg tell why; xfrmctl offload drain " + r.Device + " takes SAs off the hardware"}
		if r.Driver == "netdevsim" {
			e.Hint = "netdevsim takes SAs and encrypts nothing: what it sends cannot be decrypted"
		}
		return e
	}
	for i := range r.Legs {
		if l := &r.Legs[i]; l.By == "hardware" && l.Skipped == "" {
			return nil
		}
	}
	return &RefusedError{Msg: "selftest of " + r.Device + ": no hardware was tested: " + r.Legs[len(r.Legs)-1].Skipped, Hint: "xfrmctl offload explain " + r.Device}
}

func (c *command) selftestWords() (*selftestWords, error) {
	usage := verbs.Errorf("selftest: DEV to ADDRESS netns NETNS are required: where the other end has that address")
	w := &selftestWords{}
	if len(c.args) < 5 || len(c.args)%2 == 0 {
		return nil, usage
	}
	w.dev = c.args[0]
	var err error
	for rest := c.args[1:]; len(rest) > 0; rest = rest[2:] {
		switch value := rest[1]; rest[0] {
		case "to":
			w.to, err = netip.ParseAddr(value)
		case "netns":
			w.peer, err = c.env.Namespace(value)
		case "sizes":
			w.sizes, err = parseSizes(value)
		case "report":
			w.report = value
		default:
			return nil, verbs.Errorf("selftest takes no %q, try \"xfrmctl offload help\"", rest[0])
		}
		if err != nil {
			return nil, verbs.Errorf("selftest: %s %s: %v", rest[0], rest[1], err)
		}
	}
	if !w.to.IsValid() || w.peer.IsZero() {
		return nil, usage
	}
	return w, nil
}

func parseSizes(s string) (selftest.Range, error) {
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		last = first
	}
	a, err := strconv.Atoi(first)
	b, err2 := strconv.Atoi(last)
	if err = errors.Join(err, err2); err != nil {
		return selftest.Range{}, errors.New("sizes are N or N-M, in bytes")
	}
	return selftest.Range{First: a, Last: b}, nil
}

func (c *command) runSelftest(w *selftestWords) (*selftest.Report, error) {
	state, err := c.links.State(c.env.Ctx, w.dev)
	if err != nil {
		return nil, err
	}
	index, err := offload.RouteDevice(c.env.NetNS, w.to, 0)
	if err != nil {
		return nil, err
	}
	if index != state.Link.Index {
		return nil, &RefusedError{Msg: fmt.Sprintf("packets to %s leave through %s, not %s", w.to, c.env.Device(index), w.dev), Hint: "choose an address that is reached through " + w.dev}
	}
	from, err := selftest.Source(c.env.NetNS, w.to)
	if err != nil {
		return nil, err
	}
	r := c.reportOn(w, state)
	r.Legs, err = selftest.Run(c.env.Ctx, &selftest.Config{
		NetNS: c.env.NetNS, PeerNS: w.peer, Index: index, From: from, To: w.to, MTU: state.Link.MTU, Sizes: w.sizes,
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// reportOn begins a report with what is known of the device.
func (c *command) reportOn(w *selftestWords, state *gsogro.State) *selftest.Report {
	r := &selftest.Report{
		Version: selftestVersion, Kernel: release(), Device: w.dev, Driver: state.Driver, MTU: state.Link.MTU, Family: "ipv4",
		SA: selftest.Description, Features: map[string]string{},
	}
	if w.to.Is6() {
		r.Family = "ipv6"
	}
	if r.Driver == "" {
		r.Driver = state.Link.Kind
	}
	if p := c.packs[r.Driver]; p != nil {
		r.Verified = p.Verified
	}
	for _, name := range []string{gsogro.ESPHW, gsogro.ESPTxChecksum, gsogro.TxESP, gsogro.TxGSO, gsogro.RxGRO} {
		if f, ok := state.Features[name]; ok {
			r.Features[name] = f.String()
		}
	}
	return r
}

func (c *command) printSelftest(r *selftest.Report) error {
	fmt.Fprintf(c.env.Stdout, "%s (%s), Linux %s, MTU %d: %s, %s\n", r.Device, r.Driver, r.Kernel, r.MTU, r.Family, r.SA)
	tw := tabwriter.NewWriter(c.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "BY\tDIR\tSIZES\tARRIVED\tFAILED\tERRORS COUNTED")
	for i := range r.Legs {
		l := &r.Legs[i]
		if l.Skipped != "" {
			fmt.Fprintf(tw, "%s\t%s\t-\t-\tnot tried: %s\n", l.By, l.Dir, l.Skipped)
			continue
		}
		failed := make([]string, len(l.Failed))
		for i, f := range l.Failed {
			failed[i] = f.String()
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\t%s\n", l.By, l.Dir, l.Sizes, l.Arrived, orNone(strings.Join(failed, " ")), orNone(counterWords(l.Counters)))
	}
	return tw.Flush()
}

// release is what uname -r prints.
func release() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}
