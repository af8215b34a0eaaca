package document

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// Epochs are those of a tunnel's keys while they are being replaced.
type Epochs struct {
	In  []uint64 // to receive with
	Out uint64   // to send with
}

// Clock reports whether epochs follow the clock: Start, Every and Slack are set
// and Epoch is not.
func (k *Keys) Clock() bool { return k.Start.Set }

// MinPeriods is how many times its slack an epoch of a clock lasts at least. A
// change of keys takes five of them.
const MinPeriods = 6

// epoch is a number, or the times from which one is counted.
func (k *Keys) epoch() rule {
	number := preset(&k.Epoch, epochNumber(), 1)
	clock := mapping(
		field{"start", "when epoch 1 begins, like 2026-01-01T00:00:00Z", single(&k.Start, moment()).needed()},
		field{"every", "how long an epoch lasts, like 24h", single(&k.Every, duration()).needed()},
		field{"slack", "how far the clocks of both ends are apart at most, like 60s", single(&k.Slack, duration()).needed()},
	).then(func(r *reader, n *yaml.Node) { k.checkClock(r, n) })
	return rule{
		form: func() *form {
			one, many := number.form(), clock.form()
			return &form{Default: one.Default, AnyOf: []form{{Type: one.Type, Minimum: one.Minimum, Maximum: one.Maximum}, *many}}
		},
		read: func(r *reader, what string, n *yaml.Node) {
			if n.Kind == yaml.MappingNode {
				clock.read(r, what, n)
				return
			}
			number.read(r, what, n)
		},
	}
}

func (k *Keys) checkClock(r *reader, n *yaml.Node) {
	switch {
	case len(n.Content) < 2*3: // names and values
		r.fail(spotOf(n), "a clock of epochs needs start, every and slack")
	case !k.Every.Set || !k.Slack.Set: // said already
	case k.Slack.V < minSlack:
		r.fail(k.Slack.at, "slack %s is too short: a step of a change of keys takes longer, so it is at least %s", k.Slack.V, minSlack)
	case k.Every.V < MinPeriods*k.Slack.V:
		r.fail(k.Every.at, "every %s is too short for a slack of %s: a change of keys takes five times the slack, so an epoch lasts at least %s", k.Every.V, k.Slack.V, MinPeriods*k.Slack.V)
	}
}

// minSlack keeps epochs from ending before a slow machine has taken their steps.
const minSlack = 100 * time.Millisecond

// epochNumber leaves room for the epochs that rotations count further.
func epochNumber() kind[uint64] {
	return kind[uint64]{func(s string) (uint64, error) { return inBounds(s, 1, 1<<63-1) }, integer(1, 1<<63-1)}
}

// moment is a point in time.
func moment() kind[time.Time] {
	return kind[time.Time]{func(s string) (time.Time, error) {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return t, fmt.Errorf("%q is not a time like 2026-01-31T03:00:00Z", s)
		}
		return t, nil
	}, form{Type: "string", Format: "date-time"}}
}

// duration is a positive length of time.
func duration() kind[time.Duration] {
	return kind[time.Duration]{func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 || d > 100*365*24*time.Hour {
			return 0, fmt.Errorf("%q is not a length of time like 24h or 60s", s)
		}
		return d, nil
	}, form{Type: "string", Pattern: `^([0-9]+(\.[0-9]*)?(ms|s|m|h))+$`}}
}

// Has reports whether a node is an end of the tunnel.
func (t *Tunnel) Has(node string) bool { return t.Between[0].V == node || t.Between[1].V == node }

// Rotates says what keeps the keys of a tunnel from being replaced, nil nothing.
func (t *Tunnel) Rotates() error {
	if len(t.SPI) > 0 {
		return fmt.Errorf("tunnel %s has SPIs of its own (spi), and new keys need new ones: leave spi out", t.Name.V)
	}
	for _, v := range t.Keys.Static {
		if _, err := keys.OfEpoch(v.V, 2); err != nil {
			return fmt.Errorf("tunnel %s: %w", t.Name.V, err)
		}
	}
	return nil
}
