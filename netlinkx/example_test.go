package netlinkx_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Add an SA and read it back: what matters is what the kernel holds.
func ExampleConn_AddSA() {
	ctx := context.Background()
	conn, err := netlinkx.Dial(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	key := make([]byte, 20) // AES-128 and the 4-byte salt
	if _, err := rand.Read(key); err != nil {
		log.Fatal(err)
	}
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	sa.Proto, sa.SPI, sa.Mode, sa.ReqID = netlinkx.ProtoESP, 0x1000, netlinkx.ModeTunnel, 1
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(key), ICVBits: 128}
	sa.Flags, sa.ReplayWindow, sa.Dir = netlinkx.FlagESN, 1024, netlinkx.DirIn

	err = conn.AddSA(ctx, sa)
	if errors.Is(err, fs.ErrExist) {
		log.Printf("%+v", err) // with a hint that names the SA in the way
	}
	if held, err := conn.GetSA(ctx, sa.ID()); err == nil {
		log.Print(held.Dir == sa.Dir) // false on kernels before 6.10
	}
}

// Thousands of requests with few system calls. The kernel carries out each by
// itself; the result says what became of it.
func ExampleBatch() {
	ctx := context.Background()
	conn, err := netlinkx.Dial(&netlinkx.Config{NetNS: netlinkx.NamedNetNS("blue")})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	batch := conn.NewBatch()
	for sa, err := range conn.SAs(ctx, &netlinkx.SAFilter{Proto: netlinkx.ProtoESP}) {
		if err != nil {
			log.Fatal(err)
		}
		if sa.IfID == 7 {
			id := sa.ID()
			batch.Add(netlinkx.DeleteSA(&id))
		}
	}
	res, err := batch.Commit(ctx)
	for _, f := range res.Failed {
		log.Printf("%d: %v", f.Index, f.Err)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// Keys do not print.
func ExampleKey() {
	k := netlinkx.NewKey([]byte("secret"))
	fmt.Println(k, k.Len())
	fmt.Printf("%x %+v\n", k, struct{ Key netlinkx.Key }{k})
	// Output:
	// <redacted> 6
	// <redacted> {Key:<redacted>}
}
