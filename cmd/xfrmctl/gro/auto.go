package gro

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/gsogro"
)

// auto tries one switch at a time. The measure is how fast a command ends, or
// how many bytes pass the device.
func (c *command) auto() error {
	usage := "auto: what to measure is required: `run COMMAND`, a bounded transfer, or `for SECONDS` of the traffic that there is"
	if len(c.args) < 3 {
		return verbs.Errorf("%s", usage)
	}
	device, how, rest := c.args[0], c.args[1], c.args[2:]
	cfg := &gsogro.AutoConfig{}
	unit := ""
	switch how {
	case "run":
		cfg.Measure, unit = runs(rest), "runs/s"
	case "for":
		seconds, err := strconv.ParseFloat(rest[0], 64)
		if err != nil || seconds <= 0 || seconds > 600 || len(rest) > 1 {
			return verbs.Errorf("auto: for takes seconds up to 600, not %q", rest[0])
		}
		cfg.Measure, unit = c.traffic(device, time.Duration(seconds*float64(time.Second))), "bytes/s"
	default:
		return verbs.Errorf("%s", usage)
	}
	if c.env.DryRun {
		return verbs.Errorf("auto measures what it changes: it has no dry run")
	}
	trials, err := c.conn.Auto(c.env.Ctx, device, cfg)
	if c.env.JSON {
		return errors.Join(c.env.Encode(trials), err)
	}
	return errors.Join(c.printTrials(trials, unit), err)
}

// runs measures how often a command would run in a second.
func runs(words []string) func(context.Context) (float64, error) {
	if i := slices.Index(words, "--"); i == 0 {
		words = words[1:]
	}
	return func(ctx context.Context) (float64, error) {
		if len(words) == 0 {
			return 0, verbs.Errorf("auto: run takes a command")
		}
		start := time.Now()
		if out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("run %s: %w: %s", words[0], err, lastLine(out))
		}
		return 1 / time.Since(start).Seconds(), nil
	}
}

func lastLine(b []byte) string {
	if len(b) > 200 {
		b = b[len(b)-200:]
	}
	return fmt.Sprintf("%q", b)
}

// traffic measures the bytes that pass a device.
func (c *command) traffic(device string, d time.Duration) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		before, err := c.conn.Bytes(device)
		if err != nil {
			return 0, err
		}
		start := time.Now()
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		after, err := c.conn.Bytes(device)
		return float64(after-before) / time.Since(start).Seconds(), err
	}
}

func (c *command) printTrials(trials []gsogro.Trial, unit string) error {
	if len(trials) == 0 {
		_, err := fmt.Fprintln(c.env.Stdout, "nothing to try: what the fast path wants is on, or cannot be changed")
		return err
	}
	tw := tabwriter.NewWriter(c.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "FEATURE\tTO\tBEFORE (%s)\tAFTER\tGAIN\tRESULT\n", unit)
	for _, t := range trials {
		result := "taken back"
		switch {
		case t.Refused != "":
			result = "refused: " + t.Refused
		case t.Kept:
			result = "kept"
		}
		gain := "-"
		if t.Before > 0 && t.Refused == "" {
			gain = fmt.Sprintf("%+.0f %%", 100*(t.After/t.Before-1))
		}
		fmt.Fprintf(tw, "%s\t%s\t%.3g\t%.3g\t%s\t%s\n", t.Feature, onOff(t.To), t.Before, t.After, gain, result)
	}
	return tw.Flush()
}
