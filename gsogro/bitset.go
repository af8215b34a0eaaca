package gsogro

import (
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
)

// Messages of ethtool's generic netlink family, and the attributes of them
// that are used here (linux/ethtool_netlink.h).

// encodeHeader appends the nest that names the device; "" for all.
func encodeHeader(ae *netlink.AttributeEncoder, device string, flags uint32) {
	ae.Nested(aHeader, func(h *netlink.AttributeEncoder) error {
		if device != "" {
			h.String(aHeaderDevName, device)
		}
		if flags != 0 {
			h.Uint32(aHeaderFlags, flags)
		}
		return nil
	})
}

// encodeChange makes the payload of FEATURES_SET: a bit by name for each
// feature, in alphabetical order.
func encodeChange(device string, change map[string]bool) ([]byte, error) {
	names := make([]string, 0, len(change))
	for n := range change {
		names = append(names, n)
	}
	slices.Sort(names)
	ae := netlink.NewAttributeEncoder()
	encodeHeader(ae, device, 0)
	ae.Nested(aFeaturesWanted, func(set *netlink.AttributeEncoder) error {
		set.Nested(aBitsetBits, func(bits *netlink.AttributeEncoder) error {
			for _, n := range names {
				bits.Nested(aBitsBit, func(bit *netlink.AttributeEncoder) error {
					bit.String(aBitName, n)
					bit.Flag(aBitValue, change[n])
					return nil
				})
			}
			return nil
		})
		return nil
	})
	return ae.Encode()
}

// featureMessage is one device of a FEATURES_GET reply. Bit i of a set is the
// feature with name i of the string set.
type featureMessage struct {
	device                       string
	index                        uint32
	hw, wanted, active, nochange []uint32
}

func decodeFeatures(data []byte) (*featureMessage, error) {
	ad, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return nil, fmt.Errorf("malformed FEATURES_GET reply: %w", err)
	}
	m := &featureMessage{}
	for ad.Next() {
		switch ad.Type() {
		case aHeader:
			ad.Nested(m.header)
		case aFeaturesHW:
			ad.Nested(compactSet(&m.hw))
		case aFeaturesWanted:
			ad.Nested(compactSet(&m.wanted))
		case aFeaturesActive:
			ad.Nested(compactSet(&m.active))
		case aFeaturesNoChange:
			ad.Nested(compactSet(&m.nochange))
		}
	}
	if err := ad.Err(); err != nil {
		return nil, fmt.Errorf("malformed FEATURES_GET reply: %w", err)
	}
	return m, nil
}

func (m *featureMessage) header(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case aHeaderDevName:
			m.device = ad.String()
		case aHeaderDevIndex:
			m.index = ad.Uint32()
		}
	}
	return nil
}

// compactSet reads a bitset of the compact form: a value of 32-bit words.
func compactSet(into *[]uint32) func(*netlink.AttributeDecoder) error {
	return func(ad *netlink.AttributeDecoder) error {
		for ad.Next() {
			if ad.Type() != aBitsetValue {
				continue
			}
			b := ad.Bytes()
			if len(b)%4 != 0 {
				return fmt.Errorf("bitset of %d bytes", len(b))
			}
			for ; len(b) > 0; b = b[4:] {
				*into = append(*into, native.Uint32(b))
			}
		}
		return nil
	}
}

func bit(words []uint32, i int) bool { return i/32 < len(words) && words[i/32]>>(i%32)&1 == 1 }

// set gives names to the bits. A bit that is neither in hw nor in nochange is
// changed by others alone (netns-local and the like): it counts as fixed.
func (m *featureMessage) set(names []string) FeatureSet {
	s := FeatureSet{}
	for i, n := range names {
		if n == "" {
			continue
		}
		s[n] = Feature{
			Name:   n,
			Active: bit(m.active, i),
			Wanted: bit(m.wanted, i),
			Fixed:  bit(m.nochange, i) || !bit(m.hw, i),
		}
	}
	return s
}

// decodeStrings reads a STRSET_GET reply of one string set.
func decodeStrings(data []byte) ([]string, error) {
	ad, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return nil, fmt.Errorf("malformed STRSET_GET reply: %w", err)
	}
	var names []string
	inner := func(want uint16, next func(*netlink.AttributeDecoder) error) func(*netlink.AttributeDecoder) error {
		return func(ad *netlink.AttributeDecoder) error {
			for ad.Next() {
				if ad.Type() == want {
					ad.Nested(next)
				}
			}
			return nil
		}
	}
	one := func(ad *netlink.AttributeDecoder) (err error) {
		names, err = withString(names, ad)
		return err
	}
	for ad.Next() {
		if ad.Type() == aStrsetStringsets {
			ad.Nested(inner(aStringsetsSet,
				inner(aStringsetStrings, inner(aStringsString, one))))
		}
	}
	if err := ad.Err(); err != nil {
		return nil, fmt.Errorf("malformed STRSET_GET reply: %w", err)
	}
	return names, nil
}

// withString returns names with the one that ad holds, at its place.
func withString(names []string, ad *netlink.AttributeDecoder) ([]string, error) {
	index, value := uint32(0), ""
	for ad.Next() {
		switch ad.Type() {
		case aStringIndex:
			index = ad.Uint32()
		case aStringValue:
			value = ad.String()
		}
	}
	if index > 4096 {
		return nil, fmt.Errorf("string number %d", index)
	}
	for int(index) >= len(names) {
		names = append(names, "")
	}
	names[index] = value
	return names, nil
}
