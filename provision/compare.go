package provision

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// saDifferences compares an SA with the one of the same identity that the
// engine holds. changeable are fields that an update of an installed SA takes
// over (kernel: xfrm_state_update), fixed all others, in the words of
// `ip xfrm`. Keys are not compared: under lockdown the kernel shows zeros.
func saDifferences(want, got *netlinkx.SA) (changeable, fixed []string) {
	note := func(list *[]string, differs bool, word string) {
		if differs {
			*list = append(*list, word)
		}
	}
	note(&changeable, want.Limits != got.Limits, "limit")
	mark := want.OutputMark.Value != got.OutputMark.Value || outMask(want) != outMask(got)
	note(&changeable, mark && want.OutputMark.Value != 0, "output-mark")
	note(&fixed, mark && want.OutputMark.Value == 0, "output-mark")
	note(&changeable, want.IfID != got.IfID && want.IfID != 0, "if_id")
	note(&fixed, want.IfID != got.IfID && want.IfID == 0, "if_id")
	ports, kind := encapDiffers(want.Encap, got.Encap)
	note(&changeable, ports, "encap")
	note(&fixed, kind, "encap")

	note(&fixed, want.Src != got.Src, "src")
	note(&fixed, want.Mode != got.Mode, "mode")
	note(&fixed, want.ReqID != got.ReqID, "reqid")
	// a sysctl may add nopmtudisc to what was asked
	note(&fixed, want.Flags != got.Flags && want.Flags|netlinkx.FlagNoPMTUDisc != got.Flags, "flag")
	note(&fixed, want.ExtraFlags != got.ExtraFlags, "extra-flag")
	note(&fixed, want.ReplayWindow != got.ReplayWindow, "replay-window")
	note(&fixed, want.TFCPad != got.TFCPad, "tfcpad")
	note(&fixed, want.NATKeepalive != got.NATKeepalive, "nat-keepalive")
	// kernels before 6.10 have no direction: what is checked less is no
	// difference that one could remove
	note(&fixed, want.Dir != got.Dir && got.Dir != netlinkx.DirUnset, "dir")
	note(&fixed, algorithms(want) != algorithms(got), "algorithms")
	note(&fixed, !sameOffload(want.Offload, got.Offload), "offload")
	note(&fixed, selectorDiffers(&want.Selector, &got.Selector), "sel")
	note(&fixed, want.PCPU != got.PCPU, "pcpu-num")
	note(&fixed, want.MTimerThresh != got.MTimerThresh, "mapping-thresh")
	note(&fixed, iptfsDiffers(&want.IPTFS, &got.IPTFS), "iptfs")
	return changeable, fixed
}

// unplanned names what an SA has that no plan looks after: Plan refuses it
// rather than to leave it to chance.
func unplanned(sa *netlinkx.SA) (words []string) {
	for _, x := range [...]struct {
		word string
		has  bool
	}{
		{"coa", sa.CareOf.IsValid()}, {"comp", sa.Comp != nil}, {"ctx", sa.SecCtx != nil}, {"etimer-thresh", sa.ETimerThresh.Valid},
		{"ltime", sa.SetUsage != nil}, {"replay-oseq", sa.Replay != nil || sa.ReplayESN != nil}, {"replay-thresh", sa.ReplayThresh.Valid}, {"seq", sa.Seq != 0},
	} {
		if x.has {
			words = append(words, x.word)
		}
	}
	return words
}

func sameOffload(a, b *netlinkx.Offload) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.IfIndex == b.IfIndex && a.Flags&netlinkx.OffloadPacket == b.Flags&netlinkx.OffloadPacket
}

// selectorDiffers leaves out an empty selector, which the kernel completes.
func selectorDiffers(want, got *netlinkx.Selector) bool {
	if *want == (netlinkx.Selector{}) {
		return got.Src.IsValid() && got.Src.Bits() > 0 || got.Dst.IsValid() && got.Dst.Bits() > 0 || got.Proto != 0 ||
			got.SrcPort.Mask != 0 || got.DstPort.Mask != 0 || got.IfIndex != 0
	}
	w := *want
	if w.Family == 0 {
		w.Family = got.Family
	}
	return w != *got
}

// iptfsDiffers looks at what is wanted only: the kernel reports its defaults.
func iptfsDiffers(want, got *netlinkx.IPTFS) bool {
	return want.DropTime.Valid && want.DropTime != got.DropTime ||
		want.ReorderWindow.Valid && want.ReorderWindow != got.ReorderWindow ||
		want.DontFrag != got.DontFrag ||
		want.InitDelay.Valid && want.InitDelay != got.InitDelay ||
		want.MaxQSize.Valid && want.MaxQSize != got.MaxQSize ||
		want.PktSize.Valid && want.PktSize != got.PktSize
}

func outMask(sa *netlinkx.SA) uint32 {
	if sa.OutputMark.Value == 0 || sa.OutputMark.Mask == 0 {
		return ^uint32(0)
	}
	return sa.OutputMark.Mask
}

func encapDiffers(a, b *netlinkx.Encap) (ports, kind bool) {
	if a == nil || b == nil {
		return false, (a == nil) != (b == nil)
	}
	return a.SrcPort != b.SrcPort || a.DstPort != b.DstPort || original(a) != original(b), a.Type != b.Type
}

// original is the address in front of a NAT; the kernel reports none as 0.0.0.0.
func original(e *netlinkx.Encap) netip.Addr {
	if e.OriginalAddr.IsUnspecified() {
		return netip.Addr{}
	}
	return e.OriginalAddr
}

// suite is the algorithms of an SA without their keys.
type suite struct {
	aead, crypt, auth string
	icvBits           uint32
}

func algorithms(sa *netlinkx.SA) suite {
	var s suite
	if sa.AEAD != nil {
		s.aead, s.icvBits = sa.AEAD.Name, sa.AEAD.ICVBits
	}
	if sa.Crypt != nil {
		s.crypt = sa.Crypt.Name
	}
	switch {
	case sa.AuthTrunc != nil:
		s.auth, s.icvBits = sa.AuthTrunc.Name, sa.AuthTrunc.ICVBits
	case sa.Auth != nil:
		s.auth = sa.Auth.Name
	}
	return s
}

// CounterMode reports whether an SA's cipher breaks when a key is used again
// with a counter that starts anew (RFC 8221 section 5).
func CounterMode(sa *netlinkx.SA) bool {
	if sa.AEAD != nil {
		return true
	}
	return sa.Crypt != nil && strings.Contains(sa.Crypt.Name, "ctr(")
}

// policyDifferences compares all that is not identity.
func policyDifferences(want, got *netlinkx.Policy) (words []string) {
	note := func(differs bool, word string) {
		if differs {
			words = append(words, word)
		}
	}
	note(want.Action != got.Action, "action")
	note(want.Priority != got.Priority, "priority")
	note(want.Flags != got.Flags, "flag")
	note(want.Limits != got.Limits, "limit")
	note(want.Share != got.Share, "share")
	note(!sameOffload(want.Offload, got.Offload), "offload")
	same := slices.EqualFunc(want.Templates, got.Templates, func(a, b netlinkx.Template) bool {
		return normalTemplate(a, want.Selector.Family) == normalTemplate(b, want.Selector.Family)
	})
	note(!same, "tmpl")
	return words
}

// normalTemplate fills in what the kernel fills in.
func normalTemplate(t netlinkx.Template, f netlinkx.Family) netlinkx.Template {
	for _, a := range []netip.Addr{t.Dst, t.Src} {
		if t.Family == 0 {
			t.Family = netlinkx.FamilyOf(a)
		}
	}
	if t.Family == 0 {
		t.Family = f
	}
	if !t.Dst.IsValid() {
		t.Dst = t.Family.Unspecified()
	}
	if !t.Src.IsValid() {
		t.Src = t.Family.Unspecified()
	}
	return t
}
