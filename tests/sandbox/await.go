package sandbox

import "time"

// Patience is how long a test waits for what happens in an instant: a machine
// with other things to do, which may stand still for seconds, is no failure.
const Patience = time.Minute

// Await asks again and again until done reports true, and reports whether it
// did. It gives up after Patience, but not before it has asked a hundred times:
// what is asked for may need a machine that has just stood still.
func Await(done func() bool) bool {
	end := time.Now().Add(Patience)
	for asked := 1; !done(); asked++ {
		if asked >= 100 && time.Now().After(end) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}
