package rules

import (
	"math"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// maxBitmap is the longest replay bitmap in words.
const maxBitmap = 128

// checkReplay is verify_replay.
func checkReplay(r *SARequest, has Attrs) *Refusal {
	sa := r.SA
	if !has.Has(netlinkx.AttrReplayESNVal) {
		if sa.Flags&netlinkx.FlagESN != 0 {
			return invalid("Missing required attribute for ESN")
		}
		return nil
	}
	e := esnState(sa)
	switch {
	case e.BitmapLen > maxBitmap:
		return invalid("ESN bitmap length must be <= 128")
	case sa.Proto != netlinkx.ProtoESP && sa.Proto != netlinkx.ProtoAH:
		return invalid("ESN only supported for ESP and AH")
	case r.LegacyWindow != 0:
		return invalid("ESN not compatible with legacy replay_window")
	case sa.Dir == netlinkx.DirOut:
		return checkReplayOut(sa, e)
	case sa.Dir == netlinkx.DirIn:
		return checkReplayIn(sa, e)
	}
	return nil
}

// esnState is the large replay state that sa has, a fresh one if it is implied.
func esnState(sa *netlinkx.SA) *netlinkx.ReplayESN {
	if sa.ReplayESN != nil {
		return sa.ReplayESN
	}
	return &netlinkx.ReplayESN{BitmapLen: (sa.ReplayWindow + 31) / 32}
}

func checkReplayOut(sa *netlinkx.SA, e *netlinkx.ReplayESN) *Refusal {
	esn := sa.Flags&netlinkx.FlagESN != 0
	switch {
	case sa.ReplayWindow != 0:
		return invalid("Replay window should be 0 for output SA")
	case e.Seq != 0 || e.SeqHi != 0:
		return invalid("Replay seq and seq_hi should be 0 for output SA")
	case !esn && e.OSeqHi != 0:
		return invalid("Replay oseq_hi should be 0 in non-ESN mode for output SA")
	case !esn && e.OSeq == math.MaxUint32:
		return invalid("Replay oseq should be less than 0xFFFFFFFF in non-ESN mode for output SA")
	case esn && e.OSeq == math.MaxUint32 && e.OSeqHi == math.MaxUint32:
		return invalid("Replay oseq and oseq_hi should be less than 0xFFFFFFFF for output SA")
	case e.BitmapLen != 0:
		return invalid("Replay bmp_len should 0 for output SA")
	}
	return nil
}

func checkReplayIn(sa *netlinkx.SA, e *netlinkx.ReplayESN) *Refusal {
	esn := sa.Flags&netlinkx.FlagESN != 0
	switch {
	case e.OSeq != 0 || e.OSeqHi != 0:
		return invalid("Replay oseq and oseq_hi should be 0 for input SA")
	case !esn && e.SeqHi != 0:
		return invalid("Replay seq_hi should be 0 in non-ESN mode for input SA")
	case !esn && e.Seq == math.MaxUint32:
		return invalid("Replay seq should be less than 0xFFFFFFFF in non-ESN mode for input SA")
	case esn && e.Seq == math.MaxUint32 && e.SeqHi == math.MaxUint32:
		return invalid("Replay seq and seq_hi should be less than 0xFFFFFFFF for input SA")
	}
	return nil
}

// ReplayForm returns how an SA's replay state is reported: the length of the
// bitmap of a large one, or nil for the legacy one, and the window. Legacy
// windows are cut to 32 packets without a word. Without ESN the upper halves
// of numbers mean nothing, but are reported as they were given.
func ReplayForm(r *SARequest) (esn *netlinkx.ReplayESN, window uint32) {
	if r.attrs().Has(netlinkx.AttrReplayESNVal) {
		e := esnState(r.SA)
		esn = &netlinkx.ReplayESN{BitmapLen: e.BitmapLen}
		if r.SA.Flags&netlinkx.FlagESN == 0 {
			esn.SeqHi, esn.OSeqHi = e.SeqHi, e.OSeqHi
		}
		return esn, r.SA.ReplayWindow
	}
	return nil, min(r.SA.ReplayWindow, legacyWindow)
}

// CheckReplayInit returns what xfrm_init_replay refuses sa for, or nil.
func CheckReplayInit(sa *netlinkx.SA, has Attrs) *Refusal {
	if has == 0 {
		has = impliedAttrs(sa)
	}
	if !has.Has(netlinkx.AttrReplayESNVal) {
		return nil
	}
	if e := esnState(sa); uint64(sa.ReplayWindow) > 32*uint64(e.BitmapLen) {
		return invalid("ESN replay window is too large for the chosen bitmap size")
	}
	if sa.Flags&netlinkx.FlagESN != 0 && sa.ReplayWindow == 0 && sa.Dir != netlinkx.DirOut {
		return invalid("ESN replay window must be > 0")
	}
	return nil
}

// CheckReplayUpdate checks a replay state that an SA is to get against its own
// (xfrm_replay_verify_len).
func CheckReplayUpdate(own *netlinkx.ReplayESN, ae *netlinkx.AE) *Refusal {
	r := ae.ReplayESN
	if own == nil || r == nil {
		return nil
	}
	switch {
	case r.Bitmap == nil && r.BitmapLen != 0:
		return invalid("ESN attribute is too short")
	case own.BitmapLen != r.BitmapLen:
		return invalid("New ESN size doesn't match the existing SA's ESN size")
	case uint64(ae.ReplayWindow) > 32*uint64(r.BitmapLen):
		return invalid("ESN replay window is longer than the bitmap")
	}
	return nil
}
