package rotate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/xfrmctl/xfrmctl/provision/document"
)

// record is the file of an owner's rotations. Tunnels that a document no longer
// has stay in it: their epochs must not come again.
type record struct {
	Version int               `json:"version"`
	Tunnels map[string]Tunnel `json:"tunnels"`
}

// decode reads a record; no bytes are an empty one.
func decode(b []byte) (*record, error) {
	r := &record{Version: 1}
	if len(b) > 0 {
		if err := json.Unmarshal(b, r); err != nil {
			return nil, fmt.Errorf("rotations of the state directory (OWNER.NODE.rotation.json) are damaged, so it is not known which keys are in force (%w): put the file back from a copy, or move it away and write the epoch in force into the document", err)
		}
	}
	if r.Version != 1 {
		return nil, fmt.Errorf("rotations of the state directory have version %d, known is 1", r.Version)
	}
	if r.Tunnels == nil {
		r.Tunnels = map[string]Tunnel{}
	}
	return r, nil
}

// encode is stable: equal records have equal bytes.
func (r *record) encode() ([]byte, error) {
	var b bytes.Buffer
	err := json.NewEncoder(&b).Encode(r)
	return b.Bytes(), err
}

// clockOf returns the clock of a tunnel of the document, nil when it has none.
func clockOf(t *document.Tunnel) *Clock {
	if !t.Keys.Clock() {
		return nil
	}
	return &Clock{Start: t.Keys.Start.V, Every: t.Keys.Every.V, Slack: t.Keys.Slack.V}
}

// adopt returns how a tunnel's keys stand, from what is recorded of it and what
// the document says now. An epoch that the document names for the first time
// counts at once.
func adopt(t Tunnel, doc *document.Tunnel, now time.Time) Tunnel {
	if clock := clockOf(doc); clock != nil {
		return clock.Adopt(t, now)
	}
	said := doc.Keys.Epoch.V
	if t.Epoch != 0 && !t.Clock && (said == t.Said || said == t.Epoch || said == t.Next) {
		t.Said = said
		return t
	}
	return Tunnel{Epoch: said, Said: said, SPIs: t.SPIs}
}

// target returns the tunnel from which a rotation begins, and its epoch: that of
// a document that has counted further, else the one after that in force.
func target(t Tunnel, doc *document.Tunnel, now time.Time) (Tunnel, uint64, error) {
	said := doc.Keys.Epoch.V
	news := t.Epoch != 0 && !t.Clock && !doc.Keys.Clock() && said != t.Said && said != t.Epoch && said != t.Next
	switch {
	case news && !t.Settled():
		return t, 0, fmt.Errorf("tunnel %s is on its way from epoch %d to %d and the document says %d: finish with one of both, or apply to take the new one at once",
			doc.Name.V, t.Epoch, t.Next, said)
	case news && said > max(t.Epoch, t.Skip):
		return t, said, nil
	}
	t = adopt(t, doc, now)
	return t, max(t.Epoch, t.Skip) + 1, nil
}
