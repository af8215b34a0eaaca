package ifaces

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestBatch(t *testing.T) {
	ctx, k := context.Background(), newFake(t, &fakeLink{index: 2, name: "eth0"})
	c, _ := k.conn()
	b := c.NewBatch()
	for i := range 5 {
		b.Create(ctx, &Spec{Name: fmt.Sprintf("ipsec%d", i), IfID: uint32(i + 1), Underlay: "eth0", MTU: 1400})
	}
	if res, err := b.Commit(ctx); err != nil || res.Unsent != 5 || len(res.Failed) > 0 {
		t.Fatalf("create: %+v, %v", res, err)
	}
	list, err := c.List(ctx)
	if err != nil || len(list) != 5 || list[4].Underlay != 2 || list[4].Up {
		t.Fatalf("%v, %v", list, err)
	}
	looked := 0
	for _, typ := range k.sent {
		if typ == rtmGetLink {
			looked++
		}
	}
	if looked > 3 { // the underlay once for all; the list and its underlay
		t.Errorf("%d links were asked for", looked)
	}
	up, mtu, addr := c.NewBatch(), c.NewBatch(), c.NewBatch()
	for _, l := range list {
		up.SetUp(l.Index, l.Name)
		mtu.SetMTU(l.Index, l.Name, 1300)
		addr.AddAddress(l.Index, l.Name, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(l.IfID)}), 32))
	}
	for _, b := range []*Batch{up, mtu, addr} {
		if res, err := b.Commit(ctx); err != nil || res.Unsent != 5 || len(res.Failed) > 0 {
			t.Errorf("%+v, %v", res, err)
		}
	}
	if l, err := c.Get(ctx, "ipsec3"); err != nil || !l.Up || l.MTU != 1300 || len(l.Addresses) != 1 || l.Addresses[0].Prefix.String() != "10.0.0.4/32" {
		t.Errorf("%+v, %v", l, err)
	}
}

// TestBatchRefused: a refusal says what a single request's says, and what was
// sent with it is known.
func TestBatchRefused(t *testing.T) {
	ctx, k := context.Background(), newFake(t)
	c, _ := k.conn()
	if _, err := c.Create(ctx, &Spec{Name: "mine", IfID: 3}); err != nil {
		t.Fatal(err)
	}
	b := c.NewBatch()
	for i := range 6 {
		b.Create(ctx, &Spec{Name: fmt.Sprintf("ipsec%d", i), IfID: uint32(i + 1)})
	}
	res, err := b.Commit(ctx)
	var conflict *ConflictError
	if err != nil || len(res.Failed) != 1 || res.Unsent != 4 || !errors.As(res.Failed[2], &conflict) || conflict.Holder == nil || conflict.Holder.Name != "mine" {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestBatchStops in front of what cannot be sent.
func TestBatchStops(t *testing.T) {
	ctx, k := context.Background(), newFake(t)
	c, _ := k.conn()
	b := c.NewBatch()
	b.Create(ctx, &Spec{Name: "ipsec0", IfID: 1})
	b.Create(ctx, &Spec{Name: "ipsec1", IfID: 2, Underlay: "none0"})
	res, err := b.Commit(ctx)
	if err == nil || !strings.Contains(err.Error(), "none0") || res.Unsent != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := c.Get(ctx, "ipsec0"); err != nil {
		t.Error(err)
	}
}
