package netlinkx

import "testing"

// benchSA is what a tunnel of a VPN gateway has: AES-GCM, ESN, a window of 1024
// packets, an XFRM interface.
func benchSA() *SA {
	sa := NewSA()
	sa.Src, sa.Dst, sa.Proto, sa.SPI, sa.ReqID, sa.Mode = ip1, ip2, ProtoESP, 0x100, 1, ModeTunnel
	sa.AEAD, sa.Flags, sa.ReplayWindow, sa.Dir, sa.IfID = gcm128(), FlagESN, 1024, DirIn, 7
	return sa
}

// TestAllocations: none per SA on the way out, one or two on the way in.
func TestAllocations(t *testing.T) {
	sa, buf := benchSA(), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		var err error
		if buf, err = AppendRequest(buf[:0], AddSA(sa), 1, 0); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("encoding an SA allocates %v times", n)
	}
	full := benchSA()
	full.ReplayESN = &ReplayESN{BitmapLen: 32, Bitmap: make([]uint32, 32)}
	b, err := full.appendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := decodeSA(MsgNewSA, b, SizeSAInfo); err != nil {
			t.Fatal(err)
		}
	}); n > 2 {
		t.Errorf("decoding an SA allocates %v times", n)
	}
	pol := NewPolicy()
	pol.Templates = []Template{NewTemplate()}
	if b, err = pol.appendTo(nil); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := decodePolicy(MsgNewPolicy, b, SizePolicyInfo); err != nil {
			t.Fatal(err)
		}
	}); n > 2 {
		t.Errorf("decoding a policy allocates %v times", n)
	}
}

// BenchmarkEncodeSA is one add of a batch.
func BenchmarkEncodeSA(b *testing.B) {
	sa, buf := benchSA(), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = AppendRequest(buf[:0], AddSA(sa), 1, 0)
	}
	b.SetBytes(int64(len(buf)))
}

// BenchmarkDecodeSA is one SA of a dump.
func BenchmarkDecodeSA(b *testing.B) {
	sa := benchSA()
	sa.ReplayESN = &ReplayESN{BitmapLen: 32, Bitmap: make([]uint32, 32)}
	p, err := sa.appendTo(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		if _, err := decodeSA(MsgNewSA, p, SizeSAInfo); err != nil {
			b.Fatal(err)
		}
	}
}
