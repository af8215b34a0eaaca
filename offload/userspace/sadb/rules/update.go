package rules

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// CheckUpdate refuses an update of an installed SA that wants a change of what
// cannot be changed. The kernel ignores it and answers with success. old is
// the SA as it is reported, wanted the request in the same form, asked the
// request itself, for its replay state.
func CheckUpdate(old, wanted, asked *netlinkx.SA) *Refusal {
	for _, f := range [...]struct {
		what string
		same bool
	}{
		{"keys or algorithms", sameAlgorithms(old, wanted)},
		{"mode", old.Mode == wanted.Mode},
		{"reqid", old.ReqID == wanted.ReqID},
		{"source address", old.Src == wanted.Src},
		{"selector", old.Selector == wanted.Selector},
		{"mark", old.Mark == wanted.Mark},
		{"flags", old.Flags == wanted.Flags && old.ExtraFlags == wanted.ExtraFlags},
		{"replay window", old.ReplayWindow == wanted.ReplayWindow && (old.ReplayESN == nil) == (wanted.ReplayESN == nil)},
		{"sequence numbers", !setsNumbers(asked)},
		{"TFC padding", old.TFCPad == wanted.TFCPad},
		{"CPU", old.PCPU == wanted.PCPU},
		{"NAT keepalive", old.NATKeepalive == wanted.NATKeepalive},
		{"MTIMER_THRESH", old.MTimerThresh == wanted.MTimerThresh},
	} {
		if !f.same {
			return invalid("Update can't change the " + f.what + " of an installed SA: add one with a new SPI, then delete this one")
		}
	}
	return nil
}

// setsNumbers reports whether a request gives a replay state that is not fresh.
func setsNumbers(sa *netlinkx.SA) bool {
	if r := sa.Replay; r != nil && *r != (netlinkx.ReplayState{}) {
		return true
	}
	e := sa.ReplayESN
	return e != nil && (e.OSeq|e.Seq|e.OSeqHi|e.SeqHi) != 0
}

func sameAlgorithms(a, b *netlinkx.SA) bool {
	return sameAEAD(a.AEAD, b.AEAD) && sameAuth(a.AuthTrunc, b.AuthTrunc) && sameCrypt(a.Crypt, b.Crypt)
}

func sameAEAD(a, b *netlinkx.AEAD) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Name == b.Name && a.ICVBits == b.ICVBits && a.Key.Equal(b.Key)
}

func sameAuth(a, b *netlinkx.AuthTrunc) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Name == b.Name && a.ICVBits == b.ICVBits && a.Key.Equal(b.Key)
}

func sameCrypt(a, b *netlinkx.Algo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Name == b.Name && a.Key.Equal(b.Key)
}
