package rules

import (
	"math"
	"net/netip"
	"syscall"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// good is an SA that nothing is wrong with.
func good() *netlinkx.SA {
	sa := netlinkx.NewSA()
	sa.Family = netlinkx.FamilyIPv4
	sa.Dst, sa.Src = netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.1")
	sa.SPI, sa.Proto, sa.Mode = 0x100, netlinkx.ProtoESP, netlinkx.ModeTunnel
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 128}
	return sa
}

func algo(name string, n int) *netlinkx.Algo {
	return &netlinkx.Algo{Name: name, Key: netlinkx.NewKey(make([]byte, n))}
}

// check runs all checks of an SA in the order of the kernel.
func check(r *SARequest) *Refusal {
	if err := CheckSA(r); err != nil {
		return err
	}
	c := *r.SA
	if c.Selector.Family == 0 && c.Flags&netlinkx.FlagAFUnspec == 0 {
		c.Selector.Family = c.Family
	}
	if err := Algorithms(r.SA, &c); err != nil {
		return err
	}
	if err := CheckTFC(c.TFCPad); err != nil {
		return err
	}
	if err := CheckCPU(c.PCPU, 4, syscall.ERANGE); err != nil {
		return err
	}
	if _, err := CheckTransform(&c); err != nil {
		return err
	}
	if err := CheckReplayInit(&c, r.Attrs); err != nil {
		return err
	}
	return CheckOffload(r.SA)
}

type change = func(*netlinkx.SA)

// refusals are in the order of the kernel's checks: of two faults, the one
// that stands earlier here is answered.
var refusals = []struct {
	name   string
	change change
	errno  syscall.Errno
	text   string
}{
	{"family", func(s *netlinkx.SA) { s.Family = 7 }, syscall.EINVAL, "Invalid address family"},
	{"selector family", func(s *netlinkx.SA) { s.Selector.Family = 5 }, syscall.EINVAL, "Invalid address family in selector"},
	{"selector prefix", func(s *netlinkx.SA) {
		s.Selector.Family, s.Selector.Dst = netlinkx.FamilyIPv4, netip.PrefixFrom(netip.IPv6Unspecified(), 33)
	}, syscall.EINVAL, textPrefix4},
	{"protocol", func(s *netlinkx.SA) { s.Proto = 17 }, syscall.EINVAL, "Unsupported protocol"},
	{"ah without auth", func(s *netlinkx.SA) { s.Proto = netlinkx.ProtoAH }, syscall.EINVAL, "Missing required attribute for AH: AUTH_TRUNC or AUTH"},
	{"comp without comp", func(s *netlinkx.SA) { s.Proto = netlinkx.ProtoComp }, syscall.EINVAL, "Missing required attribute for COMP: COMP"},
	{"dstopts with aead", func(s *netlinkx.SA) { s.Proto = netlinkx.ProtoHAO }, syscall.EINVAL, "Invalid attributes for DSTOPTS/ROUTING"},
	{"esp with comp", func(s *netlinkx.SA) { s.Comp = algo("deflate", 0) }, syscall.EINVAL, "Invalid attribute for ESP: COMP"},
	{"esp without algorithm", func(s *netlinkx.SA) { s.AEAD = nil }, syscall.EINVAL, "Missing required attribute for ESP: at least one of AUTH, AUTH_TRUNC, CRYPT, AEAD"},
	{"esp with aead and crypt", func(s *netlinkx.SA) { s.Crypt = algo("cbc(aes)", 16) }, syscall.EINVAL, "Invalid attribute combination for ESP: AEAD can't be used with AUTH, AUTH_TRUNC, CRYPT"},
	{"tfc in transport mode", func(s *netlinkx.SA) { s.Mode, s.TFCPad = netlinkx.ModeTransport, 9 }, syscall.EINVAL, "TFC padding can only be used in tunnel mode"},
	{"esn without state", func(s *netlinkx.SA) { s.Flags |= netlinkx.FlagESN }, syscall.EINVAL, "Missing required attribute for ESN"},
	{"bitmap", func(s *netlinkx.SA) { s.ReplayESN = &netlinkx.ReplayESN{BitmapLen: 129} }, syscall.EINVAL, "ESN bitmap length must be <= 128"},
	{"window of out", func(s *netlinkx.SA) {
		s.Dir, s.ReplayWindow, s.ReplayESN = netlinkx.DirOut, 32, &netlinkx.ReplayESN{BitmapLen: 1}
	}, syscall.EINVAL, "Replay window should be 0 for output SA"},
	{"seq of out", func(s *netlinkx.SA) { s.Dir, s.ReplayESN = netlinkx.DirOut, &netlinkx.ReplayESN{Seq: 1} }, syscall.EINVAL, "Replay seq and seq_hi should be 0 for output SA"},
	{"oseq_hi of out", func(s *netlinkx.SA) { s.Dir, s.ReplayESN = netlinkx.DirOut, &netlinkx.ReplayESN{OSeqHi: 1} }, syscall.EINVAL, "Replay oseq_hi should be 0 in non-ESN mode for output SA"},
	{"oseq at its end", func(s *netlinkx.SA) {
		s.Dir, s.ReplayESN = netlinkx.DirOut, &netlinkx.ReplayESN{OSeq: math.MaxUint32}
	}, syscall.EINVAL, "Replay oseq should be less than 0xFFFFFFFF in non-ESN mode for output SA"},
	{"oseq of in", func(s *netlinkx.SA) { s.Dir, s.ReplayESN = netlinkx.DirIn, &netlinkx.ReplayESN{OSeq: 1} }, syscall.EINVAL, "Replay oseq and oseq_hi should be 0 for input SA"},
	{"mode", func(s *netlinkx.SA) { s.Mode = netlinkx.ModeInTrigger }, syscall.EINVAL, "Unsupported mode"},
	{"iptfs without direction", func(s *netlinkx.SA) { s.Mode = netlinkx.ModeIPTFS }, syscall.EINVAL, "IP-TFS mode requires in or out direction attribute"},
	{"mtimer without encap", func(s *netlinkx.SA) { s.MTimerThresh = 5 }, syscall.EINVAL, "MTIMER_THRESH requires encapsulation"},
	{"decap-dscp of out", func(s *netlinkx.SA) { s.Dir, s.Flags = netlinkx.DirOut, netlinkx.FlagDecapDSCP }, syscall.EINVAL, "Flag DECAP_DSCP should not be set for output SA"},
	{"legacy window of out", func(s *netlinkx.SA) { s.Dir, s.ReplayWindow = netlinkx.DirOut, 32 }, syscall.EINVAL, "Replay window should be 0 for output SA"},
	{"bitmap of out", func(s *netlinkx.SA) { s.Dir, s.Replay = netlinkx.DirOut, &netlinkx.ReplayState{Bitmap: 1} }, syscall.EINVAL, "Replay seq and bitmap should be 0 for output SA"},
	{"nopmtudisc of in", func(s *netlinkx.SA) { s.Dir, s.Flags = netlinkx.DirIn, netlinkx.FlagNoPMTUDisc }, syscall.EINVAL, "Flag NOPMTUDISC should not be set for input SA"},
	{"may-wrap of in", func(s *netlinkx.SA) { s.Dir, s.ExtraFlags = netlinkx.DirIn, netlinkx.ExtraOSeqMayWrap }, syscall.EINVAL, "Flag OSEQ_MAY_WRAP should not be set for input SA"},
	{"cpu without direction", func(s *netlinkx.SA) { s.PCPU = netlinkx.Some[uint32](1) }, syscall.EINVAL, "SA_PCPU only supported with SA_DIR"},
	{"aead name", func(s *netlinkx.SA) { s.AEAD.Name = "rfc4309(ccm(aes))" }, syscall.ENOSYS, "Requested AEAD algorithm not found"},
	{"aead icv", func(s *netlinkx.SA) { s.AEAD.ICVBits = 120 }, syscall.ENOSYS, "Requested AEAD algorithm not found"},
	{"auth-trunc name", func(s *netlinkx.SA) {
		s.AEAD, s.AuthTrunc = nil, &netlinkx.AuthTrunc{Name: "hmac(md4)", ICVBits: 96}
	}, syscall.ENOSYS, "Requested AUTH_TRUNC algorithm not found"},
	{"auth-trunc length", func(s *netlinkx.SA) {
		s.AEAD, s.AuthTrunc = nil, &netlinkx.AuthTrunc{Name: "hmac(sha1)", ICVBits: 168}
	}, syscall.EINVAL, "Invalid length requested for truncated ICV"},
	{"auth name", func(s *netlinkx.SA) { s.AEAD, s.Auth = nil, algo("x", 1) }, syscall.ENOSYS, "Requested AUTH algorithm not found"},
	{"crypt name", func(s *netlinkx.SA) { s.AEAD, s.Crypt = nil, algo("cbc(twofish)", 16) }, syscall.ENOSYS, "Requested CRYPT algorithm not found"},
	{"tfc", func(s *netlinkx.SA) { s.TFCPad = 65536 }, syscall.EINVAL, "Excessive TFC padding"},
	{"cpu", func(s *netlinkx.SA) { s.Dir, s.PCPU = netlinkx.DirOut, netlinkx.Some[uint32](4) }, syscall.ERANGE, "pCPU number too big"},
	{"ro for ipv4", func(s *netlinkx.SA) { s.Mode = netlinkx.ModeRO }, syscall.EPROTONOSUPPORT, "Requested mode not found"},
	{"transport with another family", func(s *netlinkx.SA) {
		s.Mode, s.Selector.Family = netlinkx.ModeTransport, netlinkx.FamilyIPv6
	}, syscall.EPROTONOSUPPORT, "Only tunnel modes can accommodate a change of family"},
	{"auth alone", func(s *netlinkx.SA) { s.AEAD, s.Auth = nil, algo("hmac(sha256)", 32) }, syscall.EINVAL, "ESP: AEAD or CRYPT must be provided"},
	{"aead key", func(s *netlinkx.SA) { s.AEAD.Key = netlinkx.NewKey(make([]byte, 16)) }, syscall.EINVAL, textCrypto},
	{"crypt key", func(s *netlinkx.SA) { s.AEAD, s.Crypt, s.Auth = nil, algo("cbc(aes)", 17), algo("sha256", 32) }, syscall.EINVAL, ""},
	{"encap", func(s *netlinkx.SA) { s.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinTCP} }, syscall.EINVAL, "Unsupported encapsulation type for ESP"},
	{"keepalive without direction", func(s *netlinkx.SA) { s.NATKeepalive = 20 }, syscall.EINVAL, "NAT keepalive is only supported for outbound SAs"},
	{"window beyond bitmap", func(s *netlinkx.SA) { s.ReplayWindow, s.ReplayESN = 33, &netlinkx.ReplayESN{BitmapLen: 1} }, syscall.EINVAL, "ESN replay window is too large for the chosen bitmap size"},
	{"esn without window", func(s *netlinkx.SA) { s.Flags, s.ReplayESN = netlinkx.FlagESN, &netlinkx.ReplayESN{BitmapLen: 1} }, syscall.EINVAL, "ESN replay window must be > 0"},
	{"offload flags", func(s *netlinkx.SA) { s.Offload = &netlinkx.Offload{IfIndex: 1, Flags: 64} }, syscall.EINVAL, "Unrecognized flags in offload request"},
	{"packet offload", func(s *netlinkx.SA) { s.Offload = &netlinkx.Offload{IfIndex: 1, Flags: netlinkx.OffloadPacket} }, syscall.EINVAL, ""},
}

func TestSARefusals(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			sa := good()
			tt.change(sa)
			var has Attrs
			if tt.name == "esn without state" { // else a fresh one is implied
				has = AttrsOf(netlinkx.AttrAlgAEAD)
			}
			err := check(&SARequest{SA: sa, Attrs: has})
			if err == nil || err.Errno != tt.errno || err.Text != tt.text {
				t.Errorf("got %v, want %v %q", err, tt.errno, tt.text)
			}
		})
	}
}

func TestGoodSAs(t *testing.T) {
	for name, c := range map[string]change{
		"plain":         func(*netlinkx.SA) {},
		"ipv6 selector": func(s *netlinkx.SA) { s.Selector.Family = netlinkx.FamilyIPv6 },
		"beet":          func(s *netlinkx.SA) { s.Mode = netlinkx.ModeBEET },
		"no integrity":  func(s *netlinkx.SA) { s.AEAD, s.Crypt = nil, algo("aes", 16) },
		"null":          func(s *netlinkx.SA) { s.AEAD, s.Crypt, s.Auth = nil, algo("ecb(cipher_null)", 0), algo("sha1", 20) },
		"esn out": func(s *netlinkx.SA) {
			s.Dir, s.Flags, s.ReplayESN = netlinkx.DirOut, netlinkx.FlagESN, &netlinkx.ReplayESN{}
		},
		"spi 0":          func(s *netlinkx.SA) { s.SPI = 0 },
		"crypto offload": func(s *netlinkx.SA) { s.Offload = &netlinkx.Offload{IfIndex: 1} },
		"keepalive": func(s *netlinkx.SA) {
			s.Dir, s.NATKeepalive, s.Encap = netlinkx.DirOut, 20, &netlinkx.Encap{Type: netlinkx.EncapESPinUDP}
		},
	} {
		sa := good()
		c(sa)
		if err := check(&SARequest{SA: sa}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMalformedComesInItsPlace: what the codec found wrong is answered behind
// what the kernel checks before lengths, and in front of the rest.
func TestMalformedComesInItsPlace(t *testing.T) {
	bad := invalid("Invalid AEAD attribute length")
	sa := good()
	sa.Mode = netlinkx.ModeInTrigger
	if err := CheckSA(&SARequest{SA: sa, Malformed: bad}); err != bad {
		t.Errorf("before the mode: got %v", err)
	}
	sa.Proto = 17
	if err := CheckSA(&SARequest{SA: sa, Malformed: bad}); err == bad || err == nil {
		t.Errorf("behind the protocol: got %v", err)
	}
}

func TestLegacyWindowBesideESN(t *testing.T) {
	sa := good()
	sa.ReplayESN, sa.ReplayWindow = &netlinkx.ReplayESN{BitmapLen: 1}, 32
	err := CheckSA(&SARequest{SA: sa, LegacyWindow: 4})
	if err == nil || err.Text != "ESN not compatible with legacy replay_window" {
		t.Errorf("got %v", err)
	}
}

// TestAlgorithmsAreNormalised: dumps show long names, both forms of the
// integrity algorithm, and the default truncation.
func TestAlgorithmsAreNormalised(t *testing.T) {
	sa := good()
	sa.AEAD, sa.Crypt, sa.Auth = nil, algo("aes", 16), algo("sha256", 32)
	var out netlinkx.SA
	if err := Algorithms(sa, &out); err != nil {
		t.Fatal(err)
	}
	if out.Crypt.Name != "cbc(aes)" || out.Auth.Name != "hmac(sha256)" || out.AuthTrunc.Name != "hmac(sha256)" || out.AuthTrunc.ICVBits != 96 {
		t.Errorf("got %+v %+v %+v", out.Crypt, out.Auth, out.AuthTrunc)
	}
	if AuthBit(out.AuthTrunc) != 1<<5 || AuthBit(nil) != 1 {
		t.Errorf("bits of algorithms: %b, none %b", AuthBit(out.AuthTrunc), AuthBit(nil))
	}
}

func TestSPIRange(t *testing.T) {
	for _, tt := range []struct {
		proto  netlinkx.Proto
		lo, hi netlinkx.SPI
		text   string
	}{
		{netlinkx.ProtoESP, 1, 1, ""},
		{netlinkx.ProtoComp, 1, 0xffff, ""},
		{netlinkx.ProtoComp, 1, 0x10000, "IPCOMP SPI must be <= 65535"},
		{netlinkx.ProtoHAO, 1, 2, "Invalid protocol, must be one of AH, ESP, IPCOMP"},
		{netlinkx.ProtoAH, 2, 1, "Invalid SPI range: min > max"},
	} {
		err := CheckSPIRange(tt.proto, tt.lo, tt.hi)
		if (err == nil) != (tt.text == "") || err != nil && err.Text != tt.text {
			t.Errorf("%v %v..%v: got %v, want %q", tt.proto, tt.lo, tt.hi, err, tt.text)
		}
	}
}
