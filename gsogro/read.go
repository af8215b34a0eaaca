package gsogro

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/mdlayher/netlink"
)

// Links returns all devices of the namespace, in the order of the kernel, in
// one dump.
func (c *Conn) Links(ctx context.Context) ([]*Link, error) {
	return c.links(ctx, "", netlink.Dump)
}

// Link returns one device by name. It fails with fs.ErrNotExist.
func (c *Conn) Link(ctx context.Context, name string) (*Link, error) {
	links, err := c.links(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	if len(links) != 1 {
		return nil, fmt.Errorf("get device %s: the kernel answered with %d devices", name, len(links))
	}
	return links[0], nil
}

func (c *Conn) links(ctx context.Context, name string, flags netlink.HeaderFlags) ([]*Link, error) {
	payload, err := encodeLinkGet(name)
	if err != nil {
		return nil, err
	}
	msgs, err := c.askRoute(ctx, rtmGetLink, flags, payload)
	if err != nil {
		return nil, refused("get device", name, err)
	}
	var out []*Link
	for _, m := range msgs {
		if m.Header.Type != rtmNewLink {
			continue
		}
		l, err := decodeLink(m.Data)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// featureNames returns the string set of features, which is asked for once.
func (c *Conn) featureNames(ctx context.Context) ([]string, error) {
	c.mu.Lock()
	names := c.names
	c.mu.Unlock()
	if names != nil {
		return names, nil
	}
	ae := netlink.NewAttributeEncoder()
	encodeHeader(ae, "", 0)
	ae.Nested(aStrsetStringsets, func(sets *netlink.AttributeEncoder) error {
		sets.Nested(aStringsetsSet, func(set *netlink.AttributeEncoder) error {
			set.Uint32(aStringsetID, ethSSFeatures)
			return nil
		})
		return nil
	})
	payload, err := ae.Encode()
	if err != nil {
		return nil, err
	}
	msgs, err := c.askEthtool(ctx, msgStrsetGet, 0, payload)
	if err != nil {
		return nil, refused("get", "names of features", err)
	}
	for _, m := range msgs {
		if names, err = decodeStrings(m.Data); err != nil {
			return nil, err
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("get names of features: the kernel named none")
	}
	c.mu.Lock()
	c.names = names
	c.mu.Unlock()
	return names, nil
}

// Features returns the features of one device.
func (c *Conn) Features(ctx context.Context, device string) (FeatureSet, error) {
	all, err := c.features(ctx, device, 0, nil)
	if err != nil {
		return nil, err
	}
	set, ok := all[device]
	if !ok {
		return nil, fmt.Errorf("get features of %s: the kernel's answer is about another device", device)
	}
	return set, nil
}

// AllFeatures returns features of every device by name, in one dump: those that
// are named, or all. With a thousand devices the names save more time than the
// dump takes.
func (c *Conn) AllFeatures(ctx context.Context, only ...string) (map[string]FeatureSet, error) {
	return c.features(ctx, "", netlink.Dump, only)
}

func (c *Conn) features(ctx context.Context, device string, flags netlink.HeaderFlags, only []string) (map[string]FeatureSet, error) {
	names, err := c.featureNames(ctx)
	if err != nil {
		return nil, err
	}
	ae := netlink.NewAttributeEncoder()
	encodeHeader(ae, device, flagCompact)
	payload, err := ae.Encode()
	if err != nil {
		return nil, err
	}
	msgs, err := c.askEthtool(ctx, msgFeaturesGet, flags, payload)
	if err != nil {
		return nil, refused("get features of", device, err)
	}
	if only != nil {
		names = slices.Clone(names)
		for i, n := range names {
			if !slices.Contains(only, n) {
				names[i] = "" // its bit has no name then
			}
		}
	}
	all := make(map[string]FeatureSet, len(msgs))
	for _, m := range msgs {
		fm, err := decodeFeatures(m.Data)
		if err != nil {
			return nil, err
		}
		all[fm.device] = fm.set(names)
	}
	return all, nil
}

// Driver returns the name of a device's driver, "" for virtual devices.
func (c *Conn) Driver(device string) (string, error) {
	d, err := c.files.driver(device)
	if err != nil {
		return "", fmt.Errorf("find the driver of %s: %w", device, err)
	}
	return d, nil
}

// Bytes returns how many bytes a device has received and sent.
func (c *Conn) Bytes(device string) (uint64, error) {
	var sum uint64
	for _, name := range []string{"statistics/rx_bytes", "statistics/tx_bytes"} {
		text, err := c.files.read(device, name)
		if err != nil {
			return 0, fmt.Errorf("read counters of %s: %w", device, err)
		}
		v, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read counters of %s: %w", device, err)
		}
		sum += v
	}
	return sum, nil
}
