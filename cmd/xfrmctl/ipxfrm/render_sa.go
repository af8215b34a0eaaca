package ipxfrm

import (
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// saFamily is the family in which an SA's addresses are printed: values made
// from arguments may leave it to the addresses.
func saFamily(sa *netlinkx.SA) netlinkx.Family {
	for _, f := range [...]netlinkx.Family{sa.Family, netlinkx.FamilyOf(sa.Dst), netlinkx.FamilyOf(sa.Src)} {
		if f != netlinkx.FamilyUnspec {
			return f
		}
	}
	return netlinkx.FamilyIPv4
}

// sa prints an SA without the end of the record.
func (t *textRecord) sa(sa *netlinkx.SA) {
	f := saFamily(sa)
	t.str("src ").addr(sa.Src, f).str(" dst ").addr(sa.Dst, f).line()
	t.str("\tproto ").str(shownProto(sa.Proto)).str(" ")
	t.spi(sa.SPI, sa.Proto.HasSPI())
	t.reqIDAndMode(sa.ReqID, sa.Mode)
	t.saFlags(sa)
	t.marks(sa.Mark, sa.OutputMark)
	t.algos(sa)
	t.saAttrs(sa, f)
	t.saNumbers(sa)
	if t.p.Extensions {
		t.saExtensions(sa)
	}
	if sa.Selector != (netlinkx.Selector{}) {
		t.str("\tsel ")
		t.selector(&sa.Selector, f)
	}
	if t.stats() {
		t.lifetimes(&sa.Limits, &sa.Usage, "\t")
		t.saStats(&sa.Stats)
	}
	t.secCtx(sa.SecCtx)
}

// spi prints an SPI and a blank, if there is one or force or -s asks for it.
func (t *textRecord) spi(spi netlinkx.SPI, force bool) {
	if !force && spi == 0 && !t.stats() {
		return
	}
	t.str("spi 0x").hexPad(uint32(spi), 8)
	if t.stats() {
		t.str("(").dec(uint64(spi)).str(")")
	}
	t.str(" ")
}

func (t *textRecord) reqIDAndMode(reqID uint32, m netlinkx.Mode) {
	t.str("reqid ").dec(uint64(reqID))
	if t.stats() {
		t.str("(0x").hexPad(reqID, 8).str(")")
	}
	t.str(" mode ").str(shownMode(m, t.p.Extensions)).line()
}

// saFlags prints the line of the replay window. The window of an SA with ESN
// state is printed there instead. ip glues the extra flags to the flags,
// prints the sequence number in decimal behind 0x, and the flags in binary.
func (t *textRecord) saFlags(sa *netlinkx.SA) {
	window := sa.ReplayWindow
	if sa.ReplayESN != nil {
		window = 0
	}
	t.str("\treplay-window ").dec(uint64(window)).str(" ")
	if t.stats() {
		t.str("seq 0x").decPad(sa.Seq).str(" ")
	}
	if sa.Flags != 0 || t.stats() {
		t.str("flag ").flags(shownSAFlags, uint32(sa.Flags))
	}
	if t.stats() {
		if sa.ExtraFlags != 0 {
			t.str("extra_flag ").flags(shownExtraFlags, uint32(sa.ExtraFlags))
		}
		t.str(" (0x").octet(uint8(sa.Flags)).str(")")
	}
	t.line()
}

// marks prints the line of the mark and the output mark.
func (t *textRecord) marks(m, out netlinkx.Mark) {
	none := netlinkx.Mark{}
	if m == none && out == none {
		return
	}
	t.str("\t")
	if m != none {
		t.str("mark ").hexAlt(m.Value).str("/").hexAlt(m.Mask).str(" ")
	}
	if out != none {
		t.str("output-mark 0x").hex(out.Value)
		if out.Mask != 0 {
			t.str("/0x").hex(out.Mask)
		}
	}
	t.line()
}

func (t *textRecord) algos(sa *netlinkx.SA) {
	if a := sa.Auth; a != nil && sa.AuthTrunc == nil {
		t.algo("auth", a.Name, a.Key)
		t.line()
	}
	if a := sa.AuthTrunc; a != nil {
		t.algo("auth-trunc", a.Name, a.Key)
		t.str(" ").signed(a.ICVBits).line()
	}
	if a := sa.AEAD; a != nil {
		t.algo("aead", a.Name, a.Key)
		t.str(" ").signed(a.ICVBits).line()
	}
	if a := sa.Crypt; a != nil {
		t.algo("enc", a.Name, a.Key)
		t.line()
	}
	if a := sa.Comp; a != nil {
		t.algo("comp", a.Name, a.Key)
		t.line()
	}
}

// algo prints an algorithm and its key, if keys are shown.
func (t *textRecord) algo(kind, name string, k netlinkx.Key) {
	t.str("\t").str(kind).str(" ").str(name).str(" ")
	if !t.p.keys() {
		t.str("<<Keys hidden>>")
		return
	}
	if k.Len() == 0 {
		return
	}
	t.str("0x").keyHex(k.Reveal())
	if t.stats() {
		t.str(" (").dec(uint64(8 * k.Len())).str(" bits)")
	}
}

// keys reports whether keys are shown.
func (p *Printer) keys() bool { return p.ShowKeys && !p.NoKeys }

// saAttrs prints the attributes from the encapsulation to the offload.
func (t *textRecord) saAttrs(sa *netlinkx.SA, f netlinkx.Family) {
	if e := sa.Encap; e != nil {
		t.str("\tencap type ").str(shownEncap(e.Type))
		t.str(" sport ").dec(uint64(e.SrcPort)).str(" dport ").dec(uint64(e.DstPort))
		t.str(" addr ").addr(e.OriginalAddr, f).line()
	}
	if sa.CareOf.IsValid() {
		t.str("\tcoa ").addr(sa.CareOf, f).line()
	}
	if sa.LastUsed != 0 {
		t.str("\tlastused ").time(sa.LastUsed).line()
	}
	if r := sa.Replay; r != nil {
		t.str("\t")
		t.replay(r)
	}
	if r := sa.ReplayESN; r != nil {
		t.replayESN(r, sa.ReplayWindow)
	}
	if o := sa.Offload; o != nil {
		dir := "dir out "
		if o.Flags&netlinkx.OffloadInbound != 0 {
			dir = "dir in "
		}
		t.offload(o, "\t", dir)
	}
}

func (t *textRecord) replay(r *netlinkx.ReplayState) {
	t.str("anti-replay context: seq 0x").hex(r.Seq).str(", oseq 0x").hex(r.OSeq)
	t.str(", bitmap 0x").hexPad(r.Bitmap, 8).line()
}

// replayESN prints the bitmap from its last word, eight to a line. A bitmap
// that is not there is an empty one to the kernel.
func (t *textRecord) replayESN(r *netlinkx.ReplayESN, window uint32) {
	t.str("\tanti-replay esn context:").line()
	t.str("\t seq-hi 0x").hex(r.SeqHi).str(", seq 0x").hex(r.Seq)
	t.str(", oseq-hi 0x").hex(r.OSeqHi).str(", oseq 0x").hex(r.OSeq).line()
	words := len(r.Bitmap)
	if r.Bitmap == nil {
		words = int(min(r.BitmapLen, maxReplayWords))
	}
	t.str("\t replay_window ").dec(uint64(window)).str(", bitmap-length ").dec(uint64(r.BitmapLen))
	for i := range words {
		if i%8 == 0 {
			t.line()
			t.str("\t ")
		}
		var w uint32
		if r.Bitmap != nil {
			w = r.Bitmap[words-1-i]
		}
		t.hexPad(w, 8).str(" ")
	}
	t.line()
}

// maxReplayWords is the bitmap of the largest window (XFRMA_REPLAY_ESN_MAX).
const maxReplayWords = 4096 / 32

// offload prints the line of an offload; dir is empty for policies.
func (t *textRecord) offload(o *netlinkx.Offload, prefix, dir string) {
	mode := "crypto"
	if o.Flags&netlinkx.OffloadPacket != 0 {
		mode = "packet"
	}
	t.str(prefix).str("crypto offload parameters: dev ").device(o.IfIndex)
	t.str(" ").str(dir).str("mode ").str(mode).line()
}

// saNumbers prints the attributes that are numbers, after the offload.
func (t *textRecord) saNumbers(sa *netlinkx.SA) {
	if sa.IfID != 0 {
		t.str("\tif_id ").hexAlt(sa.IfID).line()
	}
	if sa.TFCPad != 0 {
		t.str("\ttfcpad ").dec(uint64(sa.TFCPad)).line()
	}
	switch sa.Dir {
	case netlinkx.DirUnset:
	case netlinkx.DirIn:
		t.str("\tdir in").line()
	case netlinkx.DirOut:
		t.str("\tdir out").line()
	default:
		t.str("\tdir other (").dec(uint64(sa.Dir)).str(")").line()
	}
	t.pcpu(sa.PCPU)
}

func (t *textRecord) pcpu(v netlinkx.Opt[uint32]) {
	if v.Valid {
		t.str("\tpcpu-num ").dec(uint64(v.V)).line()
	}
}

// lifetimes prints the limits and what has been consumed.
func (t *textRecord) lifetimes(l *netlinkx.Limits, u *netlinkx.Usage, prefix string) {
	t.str(prefix).str("lifetime config:").line()
	t.str(prefix).str("  limit: soft ").limit(l.SoftBytes).str("(bytes), hard ").limit(l.HardBytes).str("(bytes)").line()
	t.str(prefix).str("  limit: soft ").limit(l.SoftPackets).str("(packets), hard ").limit(l.HardPackets).str("(packets)").line()
	t.str(prefix).str("  expire add: soft ").dec(l.SoftAdd).str("(sec), hard ").dec(l.HardAdd).str("(sec)").line()
	t.str(prefix).str("  expire use: soft ").dec(l.SoftUse).str("(sec), hard ").dec(l.HardUse).str("(sec)").line()
	t.str(prefix).str("lifetime current:").line()
	t.str(prefix).str("  ").dec(u.Bytes).str("(bytes), ").dec(u.Packets).str("(packets)").line()
	t.str(prefix).str("  add ").time(u.AddTime).str(" use ").time(u.UseTime).line()
}

func (t *textRecord) limit(v uint64) *textRecord {
	if v == netlinkx.Inf {
		return t.str("(INF)")
	}
	return t.dec(v)
}

func (t *textRecord) saStats(s *netlinkx.SAStats) {
	t.str("\tstats:").line()
	t.str("\t  replay-window ").dec(uint64(s.ReplayWindow)).str(" replay ").dec(uint64(s.Replay))
	t.str(" failed ").dec(uint64(s.IntegrityFailed)).line()
}

func (t *textRecord) secCtx(c *netlinkx.SecCtx) {
	if c == nil {
		return
	}
	s, _, _ := strings.Cut(c.Context, "\x00")
	t.str("\tsecurity context ").str(s).str(" ").line()
}
