package rules

import (
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// CheckSA returns what the kernel refuses a request to add or update an SA
// for before it looks at algorithms (verify_newsa_info), or nil.
func CheckSA(r *SARequest) *Refusal {
	has := r.attrs()
	for _, check := range [...]func(*SARequest, Attrs) *Refusal{
		checkFamily, checkProto, checkLengths, checkReplay, checkMode, checkMTimer, checkOutput, checkInput, checkPCPU,
	} {
		if err := check(r, has); err != nil {
			return err
		}
	}
	return nil
}

// Texts that several checks give.
const (
	textPrefix4 = "Invalid prefix length in selector (must be <= 32 for IPv4)"
	textPrefix6 = "Invalid prefix length in selector (must be <= 128 for IPv6)"
)

func checkFamily(r *SARequest, _ Attrs) *Refusal {
	sa := r.SA
	if sa.Family.Bits() == 0 {
		return invalid("Invalid address family")
	}
	f := sa.Selector.Family
	if f == netlinkx.FamilyUnspec && sa.Flags&netlinkx.FlagAFUnspec == 0 {
		f = sa.Family
	}
	return checkSelector(f, &sa.Selector)
}

// CheckSelector returns what a selector of an SA is refused for, or nil
// (verify_selector_prefixlen).
func CheckSelector(s *netlinkx.Selector) *Refusal { return checkSelector(s.Family, s) }

func checkSelector(f netlinkx.Family, s *netlinkx.Selector) *Refusal {
	if f == netlinkx.FamilyUnspec {
		return nil
	}
	if f.Bits() == 0 {
		return invalid("Invalid address family in selector")
	}
	return checkPrefixes(f, s)
}

// checkPrefixes checks the lengths of a selector's prefixes in family f.
func checkPrefixes(f netlinkx.Family, s *netlinkx.Selector) *Refusal {
	if s.Dst.Bits() <= f.Bits() && s.Src.Bits() <= f.Bits() {
		return nil
	}
	if f == netlinkx.FamilyIPv4 {
		return invalid(textPrefix4)
	}
	return invalid(textPrefix6)
}

func checkProto(r *SARequest, has Attrs) *Refusal {
	switch r.SA.Proto {
	case netlinkx.ProtoAH:
		return checkAH(has)
	case netlinkx.ProtoESP:
		return checkESP(r, has)
	case netlinkx.ProtoComp:
		return checkComp(r, has)
	case netlinkx.ProtoHAO, netlinkx.ProtoRoute2:
		if has.HasAny(netlinkx.AttrAlgComp, netlinkx.AttrAlgAuth, netlinkx.AttrAlgAuthTrunc, netlinkx.AttrAlgAEAD, netlinkx.AttrAlgCrypt,
			netlinkx.AttrEncap, netlinkx.AttrSecCtx, netlinkx.AttrTFCPad) {
			return invalid("Invalid attributes for DSTOPTS/ROUTING")
		}
		if !has.Has(netlinkx.AttrCoAddr) {
			return invalid("Missing required COADDR attribute for DSTOPTS/ROUTING")
		}
		return nil
	}
	return invalid("Unsupported protocol")
}

func checkAH(has Attrs) *Refusal {
	if !has.HasAny(netlinkx.AttrAlgAuth, netlinkx.AttrAlgAuthTrunc) {
		return invalid("Missing required attribute for AH: AUTH_TRUNC or AUTH")
	}
	if has.HasAny(netlinkx.AttrAlgAEAD, netlinkx.AttrAlgCrypt, netlinkx.AttrAlgComp, netlinkx.AttrTFCPad) {
		return invalid("Invalid attributes for AH: AEAD, CRYPT, COMP, TFCPAD")
	}
	return nil
}

// iptfsAttrs are the parameters of mode IPTFS.
var iptfsAttrs = AttrsOf(netlinkx.AttrIPTFSDropTime, netlinkx.AttrIPTFSReorderWindow, netlinkx.AttrIPTFSDontFrag,
	netlinkx.AttrIPTFSInitDelay, netlinkx.AttrIPTFSMaxQSize, netlinkx.AttrIPTFSPktSize)

func checkESP(r *SARequest, has Attrs) *Refusal {
	pair := has.HasAny(netlinkx.AttrAlgAuth, netlinkx.AttrAlgAuthTrunc, netlinkx.AttrAlgCrypt)
	switch {
	case has.Has(netlinkx.AttrAlgComp):
		return invalid("Invalid attribute for ESP: COMP")
	case !pair && !has.Has(netlinkx.AttrAlgAEAD):
		return invalid("Missing required attribute for ESP: at least one of AUTH, AUTH_TRUNC, CRYPT, AEAD")
	case pair && has.Has(netlinkx.AttrAlgAEAD):
		return invalid("Invalid attribute combination for ESP: AEAD can't be used with AUTH, AUTH_TRUNC, CRYPT")
	case has.Has(netlinkx.AttrTFCPad) && r.SA.Mode != netlinkx.ModeTunnel:
		return invalid("TFC padding can only be used in tunnel mode")
	case has&iptfsAttrs != 0 && r.SA.Mode != netlinkx.ModeIPTFS:
		return invalid("IP-TFS options can only be used in IP-TFS mode")
	}
	return nil
}

func checkComp(r *SARequest, has Attrs) *Refusal {
	switch {
	case !has.Has(netlinkx.AttrAlgComp):
		return invalid("Missing required attribute for COMP: COMP")
	case has.HasAny(netlinkx.AttrAlgAEAD, netlinkx.AttrAlgAuth, netlinkx.AttrAlgAuthTrunc, netlinkx.AttrAlgCrypt, netlinkx.AttrTFCPad):
		return invalid("Invalid attributes for COMP: AEAD, AUTH, AUTH_TRUNC, CRYPT, TFCPAD")
	case r.SA.SPI >= 0x10000:
		return invalid("SPI is too large for COMP (must be < 0x10000)")
	}
	return nil
}

// checkLengths reports what the codec found wrong.
func checkLengths(r *SARequest, _ Attrs) *Refusal { return r.Malformed }

func checkMode(r *SARequest, _ Attrs) *Refusal {
	switch r.SA.Mode {
	case netlinkx.ModeTransport, netlinkx.ModeTunnel, netlinkx.ModeRO, netlinkx.ModeBEET:
		return nil
	case netlinkx.ModeIPTFS:
		if r.SA.Proto != netlinkx.ProtoESP {
			return invalid("IP-TFS mode only supported with ESP")
		}
		if r.SA.Dir == netlinkx.DirUnset {
			return invalid("IP-TFS mode requires in or out direction attribute")
		}
		return nil
	}
	return invalid("Unsupported mode")
}

func checkMTimer(r *SARequest, has Attrs) *Refusal {
	if !has.Has(netlinkx.AttrMTimerThresh) {
		return nil
	}
	return CheckMTimer(has.Has(netlinkx.AttrEncap), r.SA.Dir)
}

// CheckMTimer returns what MTIMER_THRESH is refused for, or nil.
func CheckMTimer(encap bool, dir netlinkx.Dir) *Refusal {
	switch {
	case !encap:
		return invalid("MTIMER_THRESH requires encapsulation")
	case dir == netlinkx.DirOut:
		return invalid("MTIMER_THRESH should not be set on output SA")
	}
	return nil
}

func checkOutput(r *SARequest, has Attrs) *Refusal {
	sa := r.SA
	if sa.Dir != netlinkx.DirOut {
		return nil
	}
	switch {
	case sa.Flags&netlinkx.FlagDecapDSCP != 0:
		return invalid("Flag DECAP_DSCP should not be set for output SA")
	case sa.Flags&netlinkx.FlagICMP != 0:
		return invalid("Flag ICMP should not be set for output SA")
	case sa.Flags&netlinkx.FlagWildRecv != 0:
		return invalid("Flag WILDRECV should not be set for output SA")
	case !has.Has(netlinkx.AttrReplayESNVal) && sa.ReplayWindow != 0:
		return invalid("Replay window should be 0 for output SA")
	case has.Has(netlinkx.AttrIPTFSDropTime):
		return invalid("IP-TFS drop time should not be set for output SA")
	case has.Has(netlinkx.AttrIPTFSReorderWindow):
		return invalid("IP-TFS reorder window should not be set for output SA")
	case sa.Replay != nil && (sa.Replay.Seq != 0 || sa.Replay.Bitmap != 0):
		return invalid("Replay seq and bitmap should be 0 for output SA")
	}
	return nil
}

func checkInput(r *SARequest, has Attrs) *Refusal {
	sa := r.SA
	if sa.Dir != netlinkx.DirIn {
		return nil
	}
	switch {
	case sa.Flags&netlinkx.FlagNoPMTUDisc != 0:
		return invalid("Flag NOPMTUDISC should not be set for input SA")
	case sa.ExtraFlags&netlinkx.ExtraDontEncapDSCP != 0:
		return invalid("Flag DONT_ENCAP_DSCP should not be set for input SA")
	case sa.ExtraFlags&netlinkx.ExtraOSeqMayWrap != 0:
		return invalid("Flag OSEQ_MAY_WRAP should not be set for input SA")
	case has.Has(netlinkx.AttrIPTFSDontFrag):
		return invalid("IP-TFS don't fragment should not be set for input SA")
	case has.Has(netlinkx.AttrIPTFSInitDelay):
		return invalid("IP-TFS initial delay should not be set for input SA")
	case has.Has(netlinkx.AttrIPTFSMaxQSize):
		return invalid("IP-TFS max queue size should not be set for input SA")
	case has.Has(netlinkx.AttrIPTFSPktSize):
		return invalid("IP-TFS packet size should not be set for input SA")
	}
	return nil
}

func checkPCPU(r *SARequest, has Attrs) *Refusal {
	if r.SA.Dir == netlinkx.DirUnset && has.Has(netlinkx.AttrSAPCPU) {
		return invalid("SA_PCPU only supported with SA_DIR")
	}
	return nil
}

// CheckSPIRange returns what ALLOCSPI is refused for, or nil (verify_spi_info).
func CheckSPIRange(proto netlinkx.Proto, lo, hi netlinkx.SPI) *Refusal {
	switch proto {
	case netlinkx.ProtoAH, netlinkx.ProtoESP:
	case netlinkx.ProtoComp:
		if hi >= 0x10000 {
			return invalid("IPCOMP SPI must be <= 65535")
		}
	default:
		return invalid("Invalid protocol, must be one of AH, ESP, IPCOMP")
	}
	if lo > hi {
		return invalid("Invalid SPI range: min > max")
	}
	return nil
}

// CheckCPU returns what a CPU's number is refused for, or nil. The errno
// differs between messages: ERANGE for an SA, else EINVAL.
func CheckCPU(cpu netlinkx.Opt[uint32], cpus uint32, errno syscall.Errno) *Refusal {
	if cpu.Valid && cpu.V >= cpus {
		return Refuse(errno, "pCPU number too big")
	}
	return nil
}
