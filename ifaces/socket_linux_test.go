package ifaces

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// TestSocket reads the links of this machine, which anybody may.
func TestSocket(t *testing.T) {
	c, err := Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.List(t.Context()); err != nil {
		t.Error(err)
	}
	lo, err := c.device(t.Context(), "get", "lo", 0)
	if err != nil || lo.Name != "lo" || lo.Index == 0 || lo.MTU == 0 {
		t.Errorf("lo is %+v, %v", lo, err)
	}
	if _, err := c.Get(t.Context(), "nope"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such device: %v", err)
	}
	addrs, err := c.addresses(t.Context(), lo.Index)
	if err != nil || len(addrs) > 1 {
		t.Errorf("addresses of lo: %v, %v", addrs, err)
	}
	if _, err := c.routes(t.Context(), lo.Index); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.List(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("list after close: %v", err)
	}
	if err := c.Close(); !errors.Is(err, errClosed) {
		t.Errorf("second close: %v", err)
	}
}

// TestSocketReplaced: after a request that was given up, the next has a socket
// without its answer.
func TestSocketReplaced(t *testing.T) {
	s := &socket{}
	if err := s.connect(); err != nil {
		t.Fatal(err)
	}
	defer s.close()
	c := &Conn{exchange: s.exchange}
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if _, err := c.devices(ctx, ""); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		cancel()
		if d, err := c.device(t.Context(), "get", "lo", 0); err != nil || d.Name != "lo" {
			t.Fatalf("lo is %+v, %v", d, err)
		}
	}
}

func TestDialNamespaces(t *testing.T) {
	if _, err := Dial(&Config{NetNS: netlinkx.NamedNetNS("no-such-namespace")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing namespace: %v", err)
	}
	if _, err := Dial(&Config{NetNS: netlinkx.NetNSAt(os.DevNull)}); err == nil {
		t.Error("a device file was taken for a namespace")
	}
}
