// Package rotate replaces the keys of tunnels without loss. Both ends go through
// the same steps, each on its own, and know nothing of each other but what
// their SAs have carried, what the operator says, and the time:
//
//	phase      receives with  sends with  and the next step
//	settled    old            old         inbound: new keys are wanted
//	inbound    old, new       old         confirm: the peer receives with the new
//	confirmed  old, new       old         outbound
//	outbound   old, new       new         drain: nothing comes with the old any more
//	drained    old, new       new         delete
//	deleting   new            new         none: settled when the old SAs are gone
//
// Each phase says what a node shall have, so whatever applies the document in
// the middle of a rotation keeps it there, and a step that was cut off is
// completed by whoever comes next: the phase is on disk before the first SA is
// touched.
//
// Tunnel is the state machine: pure, with facts for arguments. Runner carries
// steps out with a provision.Session.
package rotate
