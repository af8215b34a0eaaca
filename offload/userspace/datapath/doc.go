// Package datapath carries the packets of the userspace ESP engine between TUN
// devices and outer sockets.
//
// A Plane has a few workers, each a thread that waits for its queues and sockets
// and takes what comes from read to write itself:
//
//	TUN queue -> split -> policy -> numbers for the batch -> seal -> UDP_SEGMENT or sendmmsg
//	socket -> SA -> replay check -> open -> replay commit -> decapsulate -> policy -> coalesce -> TUN queue
//
// Nothing is handed from thread to thread, nothing is allocated and no lock is
// held across a system call while packets pass. Every packet that a worker
// takes in is counted once, as it comes in and as what became of it: see Stats.
//
// Devices and SAs come and go while packets pass. Start with New.
package datapath
