package netlinkx

import (
	"fmt"
	"math/bits"
	"syscall"
)

// Which SA the kernel found, or did not find. An SA's identity is destination,
// SPI, protocol, family, and a match of marks (net/xfrm/xfrm_state.c).
var saIdentityRules = []rule{
	{errno: syscall.EPERM, words: "in use by tunnels", hint: "the kernel made this ip-in-ip sa for ipcomp tunnels and deletes it with the last of them; run: xfrmctl state list proto comp"},
	{msgs: []MsgType{MsgNewSA}, errno: syscall.EEXIST, say: saySATaken},
	{msgs: []MsgType{MsgUpdSA}, errno: syscall.EEXIST, hint: "the kernel made this ip-in-ip sa for ipcomp tunnels and changes it itself; change the ipcomp sa"},
	{msgs: []MsgType{MsgNewAE, MsgExpire}, errno: syscall.EINVAL, words: "valid state", hint: "the sa is larval, expired or being deleted; run: xfrmctl state list"},
	{msgs: []MsgType{MsgExpire}, errno: syscall.ENOENT, say: saySAMissing},
	{msgs: []MsgType{MsgDelSA, MsgGetSA, MsgUpdSA, MsgNewAE, MsgGetAE, MsgMigrateState}, errno: syscall.ESRCH, say: saySAMissing},
	{errno: syscall.ENOENT, words: "no spi available", say: sayNoSPI},
	{errno: syscall.ENOENT, words: "acquire not found", hint: "no larval sa has this acquire's sequence number any more: it lives 30 s (net.core.xfrm_acq_expires); allocate without seq"},
	{errno: syscall.ENOENT, words: "acquire dead state", hint: "the acquire's larval sa expired: it lives 30 s (net.core.xfrm_acq_expires); allocate without seq"},
	{msgs: []MsgType{MsgAllocSPI}, errno: syscall.ENOENT, bare: true, say: sayNoSPI},
	{words: "invalid protocol ah, esp, ipcomp", hint: "only esp, ah and comp have SPIs"},
	{words: "ipcomp spi must be", hint: "an ipcomp spi is a 16-bit cpi: min and max are at most 0xffff"},
	{words: "spi range min > max", hint: "min must not be above max"},
	{msgs: []MsgType{MsgAllocSPI}, errno: syscall.EINVAL, bare: true, hint: "allocspi wants proto esp, ah or comp (then max 0xffff) and min not above max"},
	{words: "missing required attribute for ae", hint: "nothing to set: give a replay state, counters, or thresholds"},
	{words: "nlm_f_replace flag", hint: "setting an aevent replaces what there is: set NLM_F_REPLACE"},
	{msgs: []MsgType{MsgUpdSA}, errno: syscall.EINVAL, bare: true, say: sayUpdateInvalid},
	{msgs: []MsgType{MsgNewSA}, errno: syscall.EINVAL, bare: true, say: sayNewInvalid},
}

func saySATaken(f *failure) string {
	id, ok := f.said()
	if !ok {
		return ""
	}
	why := "an sa with this destination, spi and protocol exists; if_id, source, reqid and mode do not distinguish SAs"
	if m := id.Mark; m.Mask != 0 {
		why = fmt.Sprintf("an sa with this destination, spi and protocol has a mark that matches %#x/%#x; one without a mark matches them all: of twins, add the one with the narrower mark first", m.Value, m.Mask)
	}
	if sa := f.sa(); sa != nil && sa.IfID != 0 {
		why += "; two if_ids with the same peer need two SPIs"
	}
	return join(why, "a larval sa of allocspi is completed by `state update`", listSAs(id))
}

func saySAMissing(f *failure) string {
	id, ok := f.said()
	if !ok {
		return ""
	}
	if id.Proto.HasSPI() && id.SPI == 0 {
		return join("an sa with spi 0 is in no table by spi: only a flush removes it", run("state list"))
	}
	parts := []string{"the kernel compared destination, spi, protocol, family and mark"}
	if !id.Proto.HasSPI() {
		parts[0] = fmt.Sprintf("the kernel compared destination, source, protocol, family and mark: SAs of protocol %s have no spi", id.Proto)
	}
	if id.Mark == (Mark{}) {
		parts = append(parts, "an sa with a mark is found only with that mark")
	} else {
		parts = append(parts, fmt.Sprintf("the sa's mark must match %#x/%#x", id.Mark.Value, id.Mark.Mask))
	}
	if f.typ == MsgUpdSA {
		parts = append(parts, "an sa with a direction is updated only with the same one")
	}
	if swapped := SPI(bits.ReverseBytes32(uint32(id.SPI))); id.Proto.HasSPI() && swapped != id.SPI {
		parts = append(parts, fmt.Sprintf("in the other byte order this spi is %s", swapped))
	}
	words := "state list proto " + id.Proto.String()
	if id.Dst.IsValid() {
		words = "state list dst " + id.Dst.String() + " proto " + id.Proto.String()
	}
	return join(append(parts, run(words))...)
}

func sayNoSPI(f *failure) string {
	r, ok := f.obj.(*SPIRange)
	if !ok {
		return "every spi of the range is in use"
	}
	return join(fmt.Sprintf("every spi tried from %s to %s is in use: since linux 6.17 one that any %s sa has, whatever its destination", r.Min, r.Max, r.SA.Proto),
		"take a wider range", run("state count"))
}

// sayUpdateInvalid: without text, UPDSA refuses another encapsulation.
func sayUpdateInvalid(f *failure) string {
	sa := f.sa()
	if sa == nil {
		return ""
	}
	if s := saFaults(sa); s != "" {
		return s
	}
	has := "this update has none"
	if sa.Encap != nil {
		has = "this update has " + sa.Encap.Type.String()
	}
	return join("encapsulation cannot be added, removed or changed in type by an update, only its ports and address; "+has,
		"make a new sa, then "+deleteSA(sa.ID()))
}

// sayNewInvalid: without text, NEWSA refuses key lengths and, before Linux 6.1,
// everything else.
func sayNewInvalid(f *failure) string {
	sa := f.sa()
	if sa == nil {
		return ""
	}
	if s := saFaults(sa); s != "" {
		return s
	}
	return "the kernel does not say why: key lengths look right; kernels before 6.1 give no reasons, a security context needs an lsm that takes it, and an old kernel may lack the mode"
}
