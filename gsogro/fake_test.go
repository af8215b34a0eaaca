package gsogro

import (
	"context"
	"encoding/binary"
	"io/fs"
	"syscall"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
)

// fakeKernel is one device with the kernel's rules for its features.
type fakeKernel struct {
	t      *testing.T
	link   Link
	order  []string // the string set
	fixed  map[string]bool
	wanted map[string]bool
	// stuck are features whose change the driver ignores.
	stuck map[string]bool
	// tooBig is the largest size that is taken.
	tooBig uint32
	writes int
	napi   map[string]string
}

func newFake(t *testing.T) *fakeKernel {
	k := &fakeKernel{
		t: t, tooBig: 65536, napi: map[string]string{GROFlushTimeout: "0", Threaded: "0"}, fixed: map[string]bool{ESPHW: true, "netns-local": true}, stuck: map[string]bool{},
		link:   Link{Name: "v0", Index: 3, Kind: "veth", MTU: 1500, Sizes: map[string]uint32{GSOMaxSize: 65536, GROMaxSize: 65536, TSOMaxSize: 65536}},
		order:  []string{"netns-local", TxScatterGather, TxChecksumGeneric, TxTSO, TxTSO6, TxTSOECN, TxGSO, RxGRO, ESPHW, RxGROHW, RxChecksum},
		wanted: map[string]bool{TxScatterGather: true, TxChecksumGeneric: true, TxTSO: true, TxTSO6: true, TxTSOECN: true, TxGSO: true, RxChecksum: true},
	}
	return k
}

func (k *fakeKernel) conn() *Conn {
	return &Conn{askRoute: k.route, askEthtool: k.ethtool, files: k}
}

func (k *fakeKernel) read(_, name string) (string, error) {
	if v, ok := k.napi[name]; ok {
		return v, nil
	}
	return "", &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
}

func (k *fakeKernel) write(_, name, value string) error {
	if name == Threaded {
		return &fs.PathError{Op: "write", Path: name, Err: syscall.EOPNOTSUPP}
	}
	k.napi[name] = value
	k.writes++
	return nil
}

func (k *fakeKernel) driver(string) (string, error) { return "", nil }

// active is what the kernel makes of what is wanted.
func (k *fakeKernel) active() map[string]bool {
	have := FeatureSet{}
	for _, n := range k.order {
		have[n] = Feature{Name: n, Active: k.wanted[n]}
	}
	on := map[string]bool{}
	for _, n := range k.order {
		on[n] = k.wanted[n]
	}
	for _, d := range Predict(have, nil) {
		on[d.Feature] = false
	}
	return on
}

func (k *fakeKernel) route(_ context.Context, typ uint16, _ netlink.HeaderFlags, payload []byte) ([]netlink.Message, error) {
	ad, err := netlink.NewAttributeDecoder(payload[sizeofIfInfo:])
	if err != nil {
		k.t.Fatal(err)
	}
	if typ == rtmNewLink {
		for ad.Next() {
			for _, s := range sizeAttrs() {
				if s.attr != ad.Type() {
					continue
				}
				if v := ad.Uint32(); v <= k.tooBig {
					k.link.Sizes[s.name] = v
					k.writes++
					continue
				}
				return nil, &netlink.OpError{Op: "receive", Err: syscall.EINVAL, Message: "too big " + s.name}
			}
		}
		return nil, nil
	}
	ae := netlink.NewAttributeEncoder()
	ae.String(iflaIfname, k.link.Name)
	ae.Nested(iflaLinkinfo, func(in *netlink.AttributeEncoder) error { in.String(iflaInfoKind, k.link.Kind); return nil })
	for _, s := range sizeAttrs() {
		if v, ok := k.link.Sizes[s.name]; ok {
			ae.Uint32(s.attr, v)
		}
	}
	b, err := withIfInfo(k.link.Index, ae)
	if err != nil {
		k.t.Fatal(err)
	}
	return []netlink.Message{{Header: netlink.Header{Type: rtmNewLink}, Data: b}}, nil
}

func (k *fakeKernel) ethtool(_ context.Context, cmd uint8, _ netlink.HeaderFlags, payload []byte) ([]genetlink.Message, error) {
	ae := netlink.NewAttributeEncoder()
	switch cmd {
	case msgStrsetGet:
		k.encodeStrings(ae)
	case msgFeaturesGet:
		k.encodeFeatures(ae)
	case msgFeaturesSet:
		k.take(payload)
		return nil, nil
	}
	b, err := ae.Encode()
	if err != nil {
		k.t.Fatal(err)
	}
	return []genetlink.Message{{Data: b}}, nil
}

func (k *fakeKernel) encodeStrings(ae *netlink.AttributeEncoder) {
	ae.Nested(aStrsetStringsets, func(a *netlink.AttributeEncoder) error {
		a.Nested(aStringsetsSet, func(a *netlink.AttributeEncoder) error {
			a.Nested(aStringsetStrings, func(a *netlink.AttributeEncoder) error {
				for i, n := range k.order {
					a.Nested(aStringsString, func(a *netlink.AttributeEncoder) error {
						a.Uint32(aStringIndex, uint32(i))
						a.String(aStringValue, n)
						return nil
					})
				}
				return nil
			})
			return nil
		})
		return nil
	})
}

func (k *fakeKernel) encodeFeatures(ae *netlink.AttributeEncoder) {
	encodeHeader(ae, k.link.Name, 0)
	active := k.active()
	set := func(typ uint16, on func(string) bool) {
		var v uint32
		for i, n := range k.order {
			if on(n) {
				v |= 1 << i
			}
		}
		ae.Nested(typ, func(a *netlink.AttributeEncoder) error {
			a.Bytes(aBitsetValue, binary.NativeEndian.AppendUint32(nil, v))
			return nil
		})
	}
	set(aFeaturesHW, func(n string) bool { return !k.fixed[n] })
	set(aFeaturesWanted, func(n string) bool { return k.wanted[n] })
	set(aFeaturesActive, func(n string) bool { return active[n] })
	set(aFeaturesNoChange, func(string) bool { return false })
}

// take reads FEATURES_SET.
func (k *fakeKernel) take(payload []byte) {
	ad, err := netlink.NewAttributeDecoder(payload)
	if err != nil {
		k.t.Fatal(err)
	}
	one := func(ad *netlink.AttributeDecoder) error {
		name, on := "", false
		for ad.Next() {
			switch ad.Type() {
			case aBitName:
				name = ad.String()
			case aBitValue:
				on = true
			}
		}
		if !k.fixed[name] && !k.stuck[name] {
			k.wanted[name] = on
			k.writes++
		}
		return nil
	}
	nest := func(want uint16, next func(*netlink.AttributeDecoder) error) func(*netlink.AttributeDecoder) error {
		return func(ad *netlink.AttributeDecoder) error {
			for ad.Next() {
				if ad.Type() == want {
					ad.Nested(next)
				}
			}
			return nil
		}
	}
	for ad.Next() {
		if ad.Type() == aFeaturesWanted {
			ad.Nested(nest(aBitsetBits, nest(aBitsBit, one)))
		}
	}
	if err := ad.Err(); err != nil {
		k.t.Fatal(err)
	}
}
