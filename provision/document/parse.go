package document

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// Read reads a document, YAML or JSON; file is its name in messages. All its
// mistakes that show without following references come in a *ProblemsError.
func Read(file string, b []byte) (*Document, error) {
	r := newReader(file, b)
	top, err := r.tree(b)
	if err != nil {
		return nil, err
	}
	d := &Document{Nodes: map[string]*Node{}, r: r}
	var version Value[uint64]
	r.mapping(top, "the document", fields{
		"version": scalar(r, "version", &version, number(64)),
		"owner":   d.owner,
		"nodes":   d.nodes,
		"tunnels": func(n *yaml.Node) { r.items(n, "tunnels", d.tunnel) },
	})
	switch {
	case !version.Set:
		r.fail(top, "the document says no version; this is version: %d", Version)
	case version.V != Version:
		r.fail(version.at, "version %d is not known, only %d", version.V, Version)
	}
	d.check(top)
	if err := r.err(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Document) owner(n *yaml.Node) {
	d.r.mapping(n, "owner", fields{
		"name":  scalar(d.r, "name", &d.Owner.Name, name),
		"reqid": scalar(d.r, "reqid", &d.Owner.ReqID, idRange),
		"if_id": scalar(d.r, "if_id", &d.Owner.IfID, idRange),
	})
}

func (d *Document) nodes(n *yaml.Node) {
	d.r.pairs(n, "nodes", func(key, value *yaml.Node) {
		if _, err := name(key.Value); err != nil {
			d.r.fail(key, "node: %v", err)
			return
		}
		node := &Node{Name: key.Value}
		d.r.mapping(value, "node "+key.Value, fields{
			"endpoint": scalar(d.r, "endpoint", &node.Endpoint, endpoint),
			"underlay": scalar(d.r, "underlay", &node.Underlay, device),
			"path_mtu": scalar(d.r, "path_mtu", &node.PathMTU, mtu),
			"boot_id":  scalar(d.r, "boot_id", &node.BootID, word),
		})
		if !node.Endpoint.Set {
			d.r.fail(key, "node %s has no endpoint", key.Value)
		}
		d.Nodes[key.Value] = node
	})
}

func (d *Document) tunnel(n *yaml.Node) {
	r, t := d.r, &Tunnel{at: n, SPI: map[string]Value[uint32]{}, Addresses: map[string][]Value[netip.Prefix]{}}
	t.Keys.Static = map[string]Value[string]{}
	r.mapping(n, "tunnel", fields{
		"name":          scalar(r, "name", &t.Name, name),
		"between":       func(n *yaml.Node) { r.between(n, t) },
		"mode":          scalar(r, "mode", &t.Mode, oneOf("tunnel", "transport")),
		"cipher":        scalar(r, "cipher", &t.Cipher, cipher),
		"esn":           scalar(r, "esn", &t.ESN, boolean),
		"replay_window": scalar(r, "replay_window", &t.Window, window),
		"tfc_pad":       scalar(r, "tfc_pad", &t.TFCPad, bounded(1, 65535)),
		"reqid":         scalar(r, "reqid", &t.ReqID, bounded(1, 1<<32-1)),
		"keys":          func(n *yaml.Node) { r.keys(n, &t.Keys) },
		"spi":           func(n *yaml.Node) { byDirection(r, n, "spi", t.SPI, bounded(256, 1<<32-1)) },
		"interface":     scalar(r, "interface", &t.Interface, device),
		"if_id":         scalar(r, "if_id", &t.IfID, bounded(1, 1<<32-1)),
		"mtu":           scalar(r, "mtu", &t.MTU, mtu),
		"addresses":     func(n *yaml.Node) { r.addresses(n, t) },
		"traffic":       func(n *yaml.Node) { r.items(n, "traffic", func(n *yaml.Node) { r.traffic(n, t) }) },
		"routes":        scalar(r, "routes", &t.Routes, boolean),
		"guard":         scalar(r, "guard", &t.Guard, boolean),
		"forward":       scalar(r, "forward", &t.Forward, boolean),
		"encap_port":    scalar(r, "encap_port", &t.EncapPort, bounded(1, 65535)),
		"output_mark":   scalar(r, "output_mark", &t.Output, mark),
		"lifetime":      func(n *yaml.Node) { r.lifetime(n, &t.Limits) },
	})
	d.Tunnels = append(d.Tunnels, t)
}

func (r *reader) between(n *yaml.Node, t *Tunnel) {
	k := 0
	r.items(n, "between", func(item *yaml.Node) {
		if k < len(t.Between) {
			scalar(r, "between", &t.Between[k], name)(item)
		}
		k++
	})
	if n.Kind == yaml.SequenceNode && k != len(t.Between) {
		r.fail(n, "a tunnel is between two nodes, not %d", k)
	}
}

func (r *reader) keys(n *yaml.Node, k *Keys) {
	k.at = n
	r.pairs(n, "keys", func(key, value *yaml.Node) {
		switch key.Value {
		case "derive":
			scalar(r, "derive", &k.Derive, reference)(value)
		case "epoch":
			scalar(r, "epoch", &k.Epoch, number(64))(value)
		default:
			var v Value[string]
			scalar(r, key.Value, &v, reference)(value)
			v.at = key
			k.Static[key.Value] = v
		}
	})
}

func byDirection[T any](r *reader, n *yaml.Node, what string, to map[string]Value[T], parse func(string) (T, error)) {
	r.pairs(n, what, func(key, value *yaml.Node) {
		var v Value[T]
		scalar(r, what, &v, parse)(value)
		v.at = key
		to[key.Value] = v
	})
}

func (r *reader) addresses(n *yaml.Node, t *Tunnel) {
	r.pairs(n, "addresses", func(key, value *yaml.Node) {
		t.Addresses[key.Value] = []Value[netip.Prefix]{}
		r.items(value, "addresses of "+key.Value, func(item *yaml.Node) {
			v := Value[netip.Prefix]{at: key}
			scalar(r, "address", &v, netip.ParsePrefix)(item)
			t.Addresses[key.Value] = append(t.Addresses[key.Value], v)
		})
	})
}

func (r *reader) traffic(n *yaml.Node, t *Tunnel) {
	x := Traffic{Prefix: map[string]Value[netip.Prefix]{}, at: n}
	r.pairs(n, "traffic", func(key, value *yaml.Node) {
		var v Value[netip.Prefix]
		scalar(r, "prefix", &v, prefix)(value)
		if v.at == nil {
			v.at = key
		}
		x.Prefix[key.Value] = v
	})
	t.Traffic = append(t.Traffic, x)
}

func (r *reader) lifetime(n *yaml.Node, l *Limits) {
	r.mapping(n, "lifetime", fields{
		"soft_bytes": scalar(r, "soft_bytes", &l.SoftBytes, limit), "hard_bytes": scalar(r, "hard_bytes", &l.HardBytes, limit),
		"soft_packets": scalar(r, "soft_packets", &l.SoftPackets, limit), "hard_packets": scalar(r, "hard_packets", &l.HardPackets, limit),
		"soft_seconds": scalar(r, "soft_seconds", &l.SoftSeconds, limit), "hard_seconds": scalar(r, "hard_seconds", &l.HardSeconds, limit),
	})
}

func name(s string) (string, error) {
	ok := s != "" && len(s) <= 64 && strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}) < 0 && !strings.HasPrefix(s, ".")
	if !ok || strings.Contains(s, "-to-") {
		return "", fmt.Errorf("%q is no name: letters, digits, - _ . and at most 64 of them, without -to-", s)
	}
	return s, nil
}

func word(s string) (string, error) {
	if s == "" {
		return "", errors.New("it is empty")
	}
	return s, nil
}

func device(s string) (string, error) {
	if s == "" || len(s) > 15 || strings.ContainsAny(s, "/: \t\n") || s == "." || s == ".." {
		return "", fmt.Errorf("%q is no name of a device: at most 15 bytes without / : and blanks", s)
	}
	return s, nil
}

func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
		}
		return s, nil
	}
}

func cipher(s string) (string, error) {
	var names []string
	for _, x := range Suites() {
		names = append(names, x.Name)
	}
	return oneOf(names...)(s)
}

func boolean(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

func number(bits int) func(string) (uint64, error) {
	return func(s string) (uint64, error) {
		n, err := strconv.ParseUint(s, 0, bits)
		if err != nil {
			return 0, fmt.Errorf("%q is not a number", s)
		}
		return n, nil
	}
}

func bounded(low, high uint64) func(string) (uint32, error) {
	return func(s string) (uint32, error) {
		n, err := number(64)(s)
		if err == nil && (n < low || n > high) {
			err = fmt.Errorf("%d is not in %d to %d", n, low, high)
		}
		return uint32(n), err
	}
}

func window(s string) (uint32, error) {
	n, err := bounded(0, 4096)(s)
	if err == nil && n == 0 {
		err = errors.New("a window of 0 turns protection against replays off")
	}
	return n, err
}

func mtu(s string) (uint32, error) {
	n, err := bounded(0, 65535)(s)
	if err == nil && n < 576 {
		err = fmt.Errorf("%d is too small: hosts send 576 bytes without asking (RFC 1122)", n)
	}
	return n, err
}

func limit(s string) (uint64, error) {
	n, err := number(64)(s)
	if err == nil && n == 0 {
		err = errors.New("0 would end an SA with its first packet; leave it out for no limit")
	}
	return n, err
}

func reference(s string) (string, error) { return s, keys.Check(s) }

func endpoint(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return a, fmt.Errorf("%q is not an address", s)
	case a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" || a.Is4In6():
		return a, fmt.Errorf("%s cannot be an endpoint", a)
	}
	return a, nil
}

func prefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is not a prefix like 10.1.0.0/16", s)
	case p != p.Masked():
		return p, fmt.Errorf("%s has bits behind its length that match nothing: %s is meant", p, p.Masked())
	}
	return p, nil
}

func idRange(s string) (provision.Range, error) {
	first, last, ok := strings.Cut(s, "-")
	a, err := bounded(1, 1<<32-1)(strings.TrimSpace(first))
	b, err2 := bounded(1, 1<<32-1)(strings.TrimSpace(last))
	if !ok || err != nil || err2 != nil || b < a {
		return provision.Range{}, fmt.Errorf("%q is not a range like 1000-1999", s)
	}
	return provision.Range{First: a, Last: b}, nil
}

func mark(s string) (Mark, error) {
	value, mask, masked := strings.Cut(s, "/")
	m := Mark{Mask: 1<<32 - 1}
	v, err := bounded(0, 1<<32-1)(value)
	if err == nil && masked {
		m.Mask, err = bounded(0, 1<<32-1)(mask)
	}
	m.Value = v
	if err == nil && (m.Value&^m.Mask != 0 || m.Value == 0) {
		err = fmt.Errorf("%s sets nothing, or bits that its mask leaves out", s)
	}
	return m, err
}
