package enginebench_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// The file that the benchmark writes into, and the marks around its part.
const (
	document = "../../docs/benchmarks.md"
	begins   = "<!-- written by tests/enginebench: begin -->\n"
	ends     = "<!-- written by tests/enginebench: end -->\n"
)

// table renders the results: a column for each peer.
func (r results) table(peers []*peer) string {
	var b strings.Builder
	b.WriteString("| what | unit |")
	for _, p := range peers {
		fmt.Fprintf(&b, " %s |", p.name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(peers)) + "\n")
	for _, m := range metrics {
		fmt.Fprintf(&b, "| %s | %s |", m.name, m.unit)
		for _, p := range peers {
			fmt.Fprintf(&b, " %s |", r.spread(p.name, m))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// section is the benchmark's part of the document.
func (r results) section(peers []*peer, runs int, seconds time.Duration, w *watch, verdicts []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %d processors of it used, Linux %s, %s. Medians of %d runs, smallest and largest in brackets; a stream lasts %v. TCP uses %s. %v\n",
		time.Now().UTC().Format(time.DateOnly), processor(), processors, release(), runtime.Version(), runs, seconds, congestion(), w)
	for _, p := range peers {
		if p.version != "" {
			fmt.Fprintf(&b, "%s is %s. ", p.name, p.version)
		}
		if p.notes != "" {
			fmt.Fprintf(&b, "%s was not measured: %s. ", p.name, p.notes)
		}
	}
	fmt.Fprintf(&b, "\n\n%s\n", r.table(peers))
	for _, v := range verdicts {
		fmt.Fprintf(&b, "- %s\n", v)
	}
	return b.String()
}

// publish puts the section between the marks.
func publish(section string) error {
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	head, rest, ok1 := bytes.Cut(old, []byte(begins))
	_, tail, ok2 := bytes.Cut(rest, []byte(ends))
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has no marks for this benchmark", document)
	}
	text := string(head) + begins + "\n" + section + "\n" + ends + string(tail)
	return os.WriteFile(document, []byte(text), 0o644)
}

// processor names the machine's processor.
func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	_, rest, _ := strings.Cut(string(b), "model name")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(strings.TrimLeft(line, "\t :"))
}

func release() string { return kernelText("of unknown release", "/proc/sys/kernel/osrelease") }

// kernelText is a line that the kernel tells, or other words.
func kernelText(other, path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return other
	}
	return strings.TrimSpace(string(b))
}
