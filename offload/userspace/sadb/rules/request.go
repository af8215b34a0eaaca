package rules

import "github.com/xfrmctl/xfrmctl/netlinkx"

// Attrs is the set of attributes of a request. Values of netlinkx do not
// always tell an attribute that is zero from one that is absent; the kernel
// does, in a few of its checks.
type Attrs uint64

// AttrsOf returns the set of the given attributes.
func AttrsOf(ts ...netlinkx.AttrType) (a Attrs) {
	for _, t := range ts {
		a = a.With(t)
	}
	return a
}

// Has reports whether t is in the set.
func (a Attrs) Has(t netlinkx.AttrType) bool { return t < 64 && a>>t&1 != 0 }

// HasAny reports whether one of ts is in the set.
func (a Attrs) HasAny(ts ...netlinkx.AttrType) bool { return a&AttrsOf(ts...) != 0 }

// With returns the set with t in it; types above 63 are unknown and left out.
func (a Attrs) With(t netlinkx.AttrType) Attrs {
	if t >= 64 {
		return a
	}
	return a | 1<<t
}

// SARequest asks to add or update an SA. All of it is borrowed for the call.
type SARequest struct {
	SA *netlinkx.SA
	// Attrs are the attributes that the request has; zero: those that the
	// values of SA imply.
	Attrs Attrs
	// LegacyWindow is the replay_window of the fixed part when the request has
	// XFRMA_REPLAY_ESN_VAL as well; SA.ReplayWindow is then the attribute's.
	LegacyWindow uint8
	// Malformed is what the codec found wrong with the length of an algorithm,
	// a security context or a replay state; it is the answer if nothing that
	// the kernel checks earlier is wrong.
	Malformed *Refusal
}

// attrs returns the attributes of the request.
func (r *SARequest) attrs() Attrs {
	if r.Attrs != 0 {
		return r.Attrs
	}
	return impliedAttrs(r.SA)
}

// impliedAttrs are the attributes that netlinkx writes for sa, as far as the
// checks ask for them.
func impliedAttrs(sa *netlinkx.SA) (a Attrs) {
	for _, x := range []struct {
		t  netlinkx.AttrType
		in bool
	}{
		{netlinkx.AttrAlgAEAD, sa.AEAD != nil},
		{netlinkx.AttrAlgAuth, sa.Auth != nil},
		{netlinkx.AttrAlgAuthTrunc, sa.AuthTrunc != nil},
		{netlinkx.AttrAlgCrypt, sa.Crypt != nil},
		{netlinkx.AttrAlgComp, sa.Comp != nil},
		{netlinkx.AttrTFCPad, sa.TFCPad != 0},
		{netlinkx.AttrEncap, sa.Encap != nil},
		{netlinkx.AttrSecCtx, sa.SecCtx != nil},
		{netlinkx.AttrCoAddr, sa.CareOf.IsValid()},
		{netlinkx.AttrReplayVal, sa.Replay != nil},
		{netlinkx.AttrReplayESNVal, sa.ReplayESN != nil || sa.Flags&netlinkx.FlagESN != 0 || sa.ReplayWindow > legacyWindow},
		{netlinkx.AttrMTimerThresh, sa.MTimerThresh != 0},
		{netlinkx.AttrNATKeepaliveInterval, sa.NATKeepalive != 0},
		{netlinkx.AttrSADir, sa.Dir != 0},
		{netlinkx.AttrSAPCPU, sa.PCPU.Valid},
		{netlinkx.AttrOffloadDev, sa.Offload != nil},
		{netlinkx.AttrSetMark, sa.OutputMark.Mask != 0},
		{netlinkx.AttrSetMarkMask, sa.OutputMark.Mask != 0},
		{netlinkx.AttrSAExtraFlags, sa.ExtraFlags != 0},
	} {
		if x.in {
			a = a.With(x.t)
		}
	}
	return a
}

// legacyWindow is the largest replay window without XFRMA_REPLAY_ESN_VAL.
const legacyWindow = 32

// OutputMark is what XFRMA_SET_MARK and its mask make: a mask alone does
// nothing, a value alone has all bits.
func OutputMark(r *SARequest) netlinkx.Mark {
	m := r.SA.OutputMark
	if r.Attrs == 0 {
		if m.Mask == 0 && m.Value != 0 {
			m.Mask = ^uint32(0)
		}
		return m
	}
	if !r.Attrs.Has(netlinkx.AttrSetMark) {
		return netlinkx.Mark{}
	}
	if !r.Attrs.Has(netlinkx.AttrSetMarkMask) {
		m.Mask = ^uint32(0)
	}
	return m
}
