package bench_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	nlx "github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// values returns n different SAs.
func values(n int) []*nlx.SA {
	sas := make([]*nlx.SA, n)
	for i := range sas {
		sa := nlx.NewSA()
		sa.Src = netip.MustParseAddr("10.0.0.1")
		sa.Dst = netip.AddrFrom4([4]byte{10, byte(16 + i>>16), byte(i >> 8), byte(i)})
		sa.Proto, sa.SPI, sa.Mode, sa.ReqID, sa.ReplayWindow = nlx.ProtoESP, nlx.SPI(0x1000+i), nlx.ModeTunnel, 1, 32
		sa.AEAD = &nlx.AEAD{Name: "rfc4106(gcm(aes))", Key: nlx.NewKey(fmt.Appendf(nil, "%020d", i)), ICVBits: 128}
		sas[i] = sa
	}
	return sas
}

// fill adds n SAs to ns.
func fill(t *testing.T, ns *sandbox.NS, n int) {
	t.Helper()
	b := conn(t, ns).NewBatch()
	for _, sa := range values(n) {
		b.Add(nlx.AddSA(sa))
	}
	if res, err := b.Commit(t.Context()); err != nil || res.Applied != n {
		t.Fatalf("%d of %d SAs applied: %v", res.Applied, n, err)
	}
}

// readyMade is what the batch has to compete with: whole datagrams prepared
// beforehand, an acknowledgement asked of the last message of each.
type readyMade struct{ datagrams [][]byte }

func prepare(t *testing.T, sas []*nlx.SA, each int) *readyMade {
	t.Helper()
	r := &readyMade{}
	for len(sas) > 0 {
		n := min(each, len(sas))
		var b []byte
		for i, sa := range sas[:n] {
			flags := uint16(0)
			if i == n-1 {
				flags = unix.NLM_F_ACK
			}
			var err error
			if b, err = nlx.AppendRequest(b, nlx.AddSA(sa), uint32(i+1), flags); err != nil {
				t.Fatal(err)
			}
		}
		r.datagrams, sas = append(r.datagrams, b), sas[n:]
	}
	return r
}

// send sends the datagrams over a plain socket and reads an acknowledgement
// for each.
func (r *readyMade) send(fd int) error {
	ack := make([]byte, 8192)
	for _, d := range r.datagrams {
		if _, err := unix.Write(fd, d); err != nil {
			return err
		}
		n, err := unix.Read(fd, ack)
		if err != nil {
			return err
		}
		if n < 20 {
			return errors.New("short acknowledgement")
		}
		if errno := -int32(binary.NativeEndian.Uint32(ack[16:])); errno != 0 {
			return syscall.Errno(errno)
		}
	}
	return nil
}

// TestBatchAgainstReadyMade: the library's Batch from values, encoding and
// bookkeeping included, against sending messages that are ready.
func TestBatchAgainstReadyMade(t *testing.T) {
	need(t)
	n, runs := some(10_000), times(15)
	sas := values(n)
	raw := prepare(t, sas, 100)
	made, batch := &timing{name: "ready-made messages"}, &timing{name: "Batch from values"}
	for range runs {
		ns := sandbox.New(t)
		var fd int
		if err := ns.Do(func() (err error) {
			fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_XFRM)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		err := raw.send(fd)
		made.runs = append(made.runs, time.Since(start))
		unix.Close(fd)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, ns, n, 0)

		ns = sandbox.New(t)
		c := conn(t, ns)
		start = time.Now()
		b := c.NewBatch()
		for _, sa := range sas {
			b.Add(nlx.AddSA(sa))
		}
		res, err := b.Commit(t.Context())
		batch.runs = append(batch.runs, time.Since(start))
		if err != nil || res.Applied != n {
			t.Fatalf("%d of %d applied: %v", res.Applied, n, err)
		}
		expect(t, ns, n, 0)
	}
	made.row(t, n)
	batch.row(t, n)
	ratio(t, "library", batch, made, 0, 1.3)
}
