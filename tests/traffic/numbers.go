package traffic

import "fmt"

// Numbers is which of the datagrams of a stream, numbered from 0, have arrived.
// It serves one goroutine.
type Numbers struct{ arrived []uint8 }

// Arrived notes the arrival of a number.
func (n *Numbers) Arrived(k uint64) {
	for uint64(len(n.arrived)) <= k {
		n.arrived = append(n.arrived, 0)
	}
	n.arrived[k] = min(n.arrived[k], 254) + 1
}

// Verdict says what is wrong when so many were sent, and so many of them were
// refused by the sender's own machine.
func (n *Numbers) Verdict(sent, refused uint64) error {
	lost, twice := sent-uint64(len(n.arrived)), 0
	for _, times := range n.arrived {
		switch {
		case times == 0:
			lost++
		case times > 1:
			twice++
		}
	}
	if lost > 0 || twice > 0 || refused > 0 || sent == 0 {
		return fmt.Errorf("of %d: %d lost, %d arrived twice, %d not taken", sent, lost, twice, refused)
	}
	return nil
}
