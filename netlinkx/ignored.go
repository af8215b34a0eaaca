package netlinkx

// Ignored compares an SA as it was asked for with the SA that the kernel then
// holds, and names what the kernel did not take over, in the words of
// `ip xfrm`. The kernel reports success for attributes that it does not know,
// for crypto offload that the device does not do, and for nearly everything
// in an update of an installed SA (kernel: xfrm_state_update). Pure.
//
// Keys are compared only when the kernel shows them: under lockdown it shows
// zeros. What the kernel fills in by itself is not compared.
func Ignored(want, got *SA) []string {
	var out []string
	note := func(differs bool, word string) {
		if differs {
			out = append(out, word)
		}
	}
	note(want.Mode != got.Mode, "mode")
	note(want.ReqID != got.ReqID, "reqid")
	note(want.Limits != got.Limits, "limit")
	note(want.Flags&^got.Flags != 0, "flag")
	note(want.ExtraFlags&^got.ExtraFlags != 0, "extra-flag")
	note(want.ReplayWindow != got.ReplayWindow, "replay-window")
	note(want.Mark.Value&want.Mark.Mask != got.Mark.Value || want.Mark.Mask != got.Mark.Mask, "mark")
	note(want.OutputMark.Value != got.OutputMark.Value, "output-mark")
	note(want.IfID != got.IfID, "if_id")
	note(want.TFCPad != got.TFCPad, "tfcpad")
	note(want.Dir != got.Dir, "dir")
	note(want.PCPU != got.PCPU, "pcpu-num")
	note(want.NATKeepalive != got.NATKeepalive, "nat-keepalive")
	note(want.MTimerThresh != got.MTimerThresh, "mapping-thresh")
	note(iptfsIgnored(&want.IPTFS, &got.IPTFS), "iptfs")
	note(encapIgnored(want.Encap, got.Encap), "encap")
	note(want.Offload != nil && got.Offload == nil, "offload")
	note(selectorIgnored(&want.Selector, &got.Selector), "sel")
	note(keysDiffer(want, got), "keys")
	return out
}

// iptfsIgnored looks at what was given only: the kernel reports its defaults.
func iptfsIgnored(want, got *IPTFS) bool {
	return want.DropTime.Valid && want.DropTime != got.DropTime ||
		want.ReorderWindow.Valid && want.ReorderWindow != got.ReorderWindow ||
		want.DontFrag && !got.DontFrag ||
		want.InitDelay.Valid && want.InitDelay != got.InitDelay ||
		want.MaxQSize.Valid && want.MaxQSize != got.MaxQSize ||
		want.PktSize.Valid && want.PktSize != got.PktSize
}

func encapIgnored(want, got *Encap) bool {
	if want == nil || got == nil {
		return (want == nil) != (got == nil)
	}
	return want.Type != got.Type || want.SrcPort != got.SrcPort || want.DstPort != got.DstPort
}

// selectorIgnored leaves out an empty selector, which the kernel completes.
func selectorIgnored(want, got *Selector) bool {
	if *want == (Selector{}) {
		return false
	}
	w := *want
	w.Family = got.Family
	if !w.Src.IsValid() && got.Src.Bits() == 0 {
		w.Src = got.Src
	}
	if !w.Dst.IsValid() && got.Dst.Bits() == 0 {
		w.Dst = got.Dst
	}
	return w != *got
}

func keysDiffer(want, got *SA) bool {
	for _, pair := range [...][2]Key{
		{aeadKey(want.AEAD), aeadKey(got.AEAD)},
		{algoKey(want.Crypt), algoKey(got.Crypt)},
		{authKey(want), authKey(got)},
	} {
		if !pair[0].Equal(pair[1]) && !pair[1].zeros() {
			return true
		}
	}
	return false
}

// zeros reports whether there is a key and all of it is zero.
func (k Key) zeros() bool {
	for _, b := range k.Reveal() {
		if b != 0 {
			return false
		}
	}
	return k.Len() > 0
}

func aeadKey(a *AEAD) Key {
	if a == nil {
		return Key{}
	}
	return a.Key
}

func algoKey(a *Algo) Key {
	if a == nil {
		return Key{}
	}
	return a.Key
}

func authKey(sa *SA) Key {
	if sa.AuthTrunc != nil {
		return sa.AuthTrunc.Key
	}
	return algoKey(sa.Auth)
}
