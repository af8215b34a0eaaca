package netlinkx

// What is wrong with replay windows, sequence numbers and directions
// (verify_replay and verify_newsa_info of net/xfrm/xfrm_user.c, xfrm_replay.c).
var replayRules = []rule{
	{words: "missing required attribute for esn", hint: "flag esn needs the large replay state: give replay-window N, or dir out with a window of 0"},
	{words: "esn not compatible legacy", hint: "with esn the window goes into the large replay state, and the 8-bit field stays 0"},
	{words: "bitmap length must be", hint: "a replay window is at most 4096 packets"},
	{words: "too short full bitmap", hint: "the replay bitmap is shorter than its declared length: leave it out to start with an empty one"},
	{words: "esn attribute is too short", hint: "the replay state is shorter than its bitmap's declared length"},
	{words: "esn only supported for", hint: "only esp and ah have extended sequence numbers and large windows"},
	{words: "window too large bitmap", hint: "the bitmap needs a 32-bit word for every 32 packets of the window"},
	{words: "window longer than the bitmap", hint: "the bitmap needs a 32-bit word for every 32 packets of the window; a window's size cannot be changed: make a new sa"},
	{words: "new esn doesn't match", hint: "the window of an installed sa cannot be changed: send a replay state of its size, or make a new sa"},
	{words: "esn replay window must be > 0", say: sayESNWindow},
	{words: "replay window should be 0 for output", hint: "an sa with dir out checks no sequence numbers: leave out replay-window"},
	{words: "bmp_len 0 for output", hint: "an sa with dir out checks no sequence numbers: its bitmap length is 0"},
	{words: "flag should not be set for output", hint: "decap-dscp, icmp and wildrecv are for the receiving side: leave them out, or dir out"},
	{words: "flag should not be set for input", hint: "nopmtudisc, dont-encap-dscp and oseq-may-wrap are for the sending side: leave them out, or dir in"},
	{words: "replay should be less than 0xffffffff", hint: "the sequence number is used up: make a new sa with another key"},
	{words: "replay non-esn", hint: "without flag esn sequence numbers have 32 bits: their upper halves are 0"},
	{words: "replay should be 0 for output", hint: "an sa with dir out has sequence numbers of its own (oseq) alone: leave out seq and bitmap"},
	{words: "replay should be 0 for input", hint: "an sa with dir in has the peer's sequence numbers (seq) alone: leave out oseq"},
}

func sayESNWindow(f *failure) string {
	if sa := f.sa(); sa != nil && sa.Dir == DirUnset {
		return "esn needs a window when the sa has no direction: give replay-window N, or dir out for an outbound sa (linux 6.10)"
	}
	return "esn needs a window to guess the upper half of sequence numbers: give replay-window N"
}
