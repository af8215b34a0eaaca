// Package traffic makes and counts packets for tests of tunnels: TCP streams
// and floods of UDP datagrams at full speed, and datagrams whose content
// proves itself.
//
// Senders and receivers are processes of their own, because a tunnel competes
// with its users for processors: a test binary that calls Main first in its
// TestMain is such a process when Spawn starts it again.
package traffic
