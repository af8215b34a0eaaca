package main

import (
	"fmt"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// flagWord makes a keyword without a value.
func flagWord(name, help string, set func(*ifaceRequest) error) ifaceWord {
	return ifaceWord{name: name, help: help, set: func(r *ifaceRequest, rest []string) ([]string, error) { return rest, set(r) }}
}

// valueWord makes a keyword with one value.
func valueWord(name, value, help string, set func(*ifaceRequest, string) error) ifaceWord {
	return ifaceWord{name: name, value: value, help: help, set: func(r *ifaceRequest, rest []string) ([]string, error) {
		return rest[1:], set(r, rest[0])
	}}
}

func ifaceKindWords() []ifaceWord {
	return []ifaceWord{valueWord("type", "xfrm", "kind of link; the only one, and not needed", setKind)}
}

// ifaceLinkWords are the options of the kind, which `ip` takes abbreviated.
func ifaceLinkWords() []ifaceWord {
	dev := valueWord("dev", "DEVICE", "underlying device: the kernel uses it for its VRF only, and for nothing it sends", setUnderlay)
	id := valueWord("if_id", "NUMBER", "ties the interface to SAs and policies with the same if_id; 1 to 4294967295, one interface each", setIfID)
	dev.abbrev, id.abbrev = true, true
	return append(ifaceKindWords(), dev, id,
		flagWord("external", "the if_id comes with each packet, from a route or a BPF program; one such interface in a namespace (Linux 6.1)", setExternal))
}

func ifaceMTUWords() []ifaceWord {
	return []ifaceWord{
		valueWord("mtu", "{ BYTES | auto }", "auto: what fits through the SA that the next words describe, computed from the underlying device's mtu", setMTU),
		valueWord("cipher", "NAME", "for mtu auto: the ESP cipher, for example rfc4106(gcm(aes)) or cbc(aes), or a document's, for example aes-gcm-128", saWord(func(s *ifaceSA) *string { return &s.cipher })),
		valueWord("auth", "NAME", "for mtu auto: the integrity algorithm next to a plain cipher, for example hmac(sha256)", saWord(func(s *ifaceSA) *string { return &s.auth })),
		valueWord("icv", "BITS", "for mtu auto: length of the ICV, by default 128, or what RFC 4868 gives the hash", saWord(func(s *ifaceSA) *string { return &s.icv })),
		valueWord("mode", "MODE", "for mtu auto: tunnel (the default), transport, beet", saWord(func(s *ifaceSA) *string { return &s.mode })),
		valueWord("encap", "TYPE", "for mtu auto: espinudp or espintcp", saWord(func(s *ifaceSA) *string { return &s.encap })),
		valueWord("family", "FAMILY", "for mtu auto: family of the outer addresses, inet (the default) or inet6", saWord(func(s *ifaceSA) *string { return &s.family })),
	}
}

func ifaceAddWords() []ifaceWord {
	words := append(ifaceLinkWords(), ifaceMTUWords()...)
	return append(words,
		valueWord("netns", "NETNS", "name, path or process id: create here, so that SAs and policies are those of this namespace, then move there", setTargetNetNS),
		valueWord("addr", "PREFIX", "address of the interface; may be repeated", func(r *ifaceRequest, v string) error {
			p, err := parseInterfaceAddress(v)
			r.spec.Addresses = append(r.spec.Addresses, p)
			return err
		}),
		valueWord("alias", "TEXT", "a note kept with the interface", func(r *ifaceRequest, v string) error { r.spec.Alias = v; return nil }),
		flagWord("up", "set it up", func(r *ifaceRequest) error { r.spec.Up = true; return nil }),
		refusedLink(),
	)
}

func ifaceSetWords() []ifaceWord {
	words := append(ifaceLinkWords(), ifaceMTUWords()...)
	addr := ifaceWord{name: "addr", value: "{ add | del } PREFIX", help: "add or remove an address; may be repeated", set: setAddress}
	return append(words,
		flagWord("up", "set it up", func(r *ifaceRequest) error { r.change.Up = netlinkx.Some(true); return nil }),
		flagWord("down", "set it down", func(r *ifaceRequest) error { r.change.Up = netlinkx.Some(false); return nil }),
		addr,
		valueWord("alias", "TEXT", "a note kept with the interface; empty removes it", func(r *ifaceRequest, v string) error {
			r.change.Alias = netlinkx.Some(v)
			return nil
		}),
		valueWord("netns", "NETNS", "then move it there", setTargetNetNS),
	)
}

func ifaceShowWords() []ifaceWord {
	id := valueWord("if_id", "NUMBER", "only the one with that if_id", func(r *ifaceRequest, v string) error {
		n, err := ifIDOf(v)
		r.filter.ifID = netlinkx.Some(n)
		return err
	})
	return append(ifaceKindWords(), flagWord("up", "only those that are up", func(r *ifaceRequest) error { r.filter.up = true; return nil }), id)
}

func ifaceMoveWords() []ifaceWord {
	return append(ifaceKindWords(), valueWord("netns", "NETNS", "name, path or process id; the word itself may be left out", setTargetNetNS))
}

func ifaceAdoptWords() []ifaceWord {
	return append(ifaceLinkWords(), valueWord("mtu", "BYTES", "its mtu; not compared when left out", setMTU))
}

func setKind(r *ifaceRequest, v string) error {
	if v != ifaces.Kind {
		return &exitError{code: exitCheck, msg: fmt.Sprintf("type %q is not %s: for other links use ip", v, ifaces.Kind)}
	}
	r.kind = true
	return nil
}

func setUnderlay(r *ifaceRequest, v string) error {
	r.options = true
	err := once(r.spec.Underlay != "", "dev", v)
	r.spec.Underlay = v
	return err
}

func setIfID(r *ifaceRequest, v string) error {
	r.options = true
	if err := once(r.spec.IfID != 0, "if_id", v); err != nil {
		return err
	}
	n, err := ifIDOf(v)
	r.spec.IfID, r.change.IfID = n, netlinkx.Some(n)
	return err
}

func ifIDOf(v string) (uint32, error) {
	n, err := parseCount(v, 32)
	if err != nil || n == 0 {
		return 0, wrong(v, "if_id value is invalid")
	}
	return uint32(n), nil
}

func setExternal(r *ifaceRequest) error {
	r.options, r.spec.External = true, true
	return nil
}

func setMTU(r *ifaceRequest, v string) error {
	if err := once(r.auto || r.spec.MTU != 0, "mtu", v); err != nil {
		return err
	}
	if v == "auto" {
		r.auto = true
		return nil
	}
	n, err := parseCount(v, 32)
	if err != nil || n == 0 {
		return wrong(v, "invalid \"mtu\" value")
	}
	r.spec.MTU, r.change.MTU = uint32(n), netlinkx.Some(uint32(n))
	return nil
}

func setTargetNetNS(r *ifaceRequest, v string) error {
	err := once(r.netns != "", "netns", v)
	r.netns = v
	return err
}

func setAddress(r *ifaceRequest, rest []string) ([]string, error) {
	if len(rest) < 2 {
		return nil, incomplete("addr")
	}
	p, err := parseInterfaceAddress(rest[1])
	switch {
	case err != nil:
		return nil, err
	case isPrefix(rest[0], "add"):
		r.change.AddAddresses = append(r.change.AddAddresses, p)
	case isPrefix(rest[0], "delete"):
		r.change.DeleteAddresses = append(r.change.DeleteAddresses, p)
	default:
		return nil, wrong(rest[0], "neither add nor del")
	}
	return rest[2:], nil
}

// refusedLink explains the one word of `ip link add` that the kernel takes and
// then ignores for this kind.
func refusedLink() ifaceWord {
	return ifaceWord{name: "link", value: "DEVICE", set: func(*ifaceRequest, []string) ([]string, error) {
		return nil, argError("the kernel ignores \"link DEVICE\" for this kind: write \"dev DEVICE\" behind the name")
	}}
}

func (r *ifaceRequest) checkAdd() error {
	if err := r.checkKey(); err != nil {
		return err
	}
	sa, err := r.mtuFor()
	if err == nil && sa != nil && r.spec.Underlay == "" {
		err = &exitError{code: exitCheck, msg: "mtu auto needs an underlying device: dev DEVICE"}
	}
	r.spec.MTUFor = sa
	return err
}

// checkKey has the answers of `ip` to keys that cannot be. No option at all is
// left to the kernel, as `ip` does.
func (r *ifaceRequest) checkKey() error {
	switch {
	case r.spec.External && (r.spec.IfID != 0 || r.spec.Underlay != ""):
		return &exitError{code: exitCheck, msg: "external excludes if_id and dev"}
	case r.options && !r.spec.External && r.spec.IfID == 0:
		return argError("argument \"IF_ID\" is required")
	}
	return nil
}

func (r *ifaceRequest) checkSet() error {
	sa, err := r.mtuFor()
	r.change.MTUFor = sa
	return err
}

func (r *ifaceRequest) checkMove() error {
	if r.netns == "" {
		return argError("iface move: the network namespace is required")
	}
	return nil
}

func (r *ifaceRequest) checkAdopt() error {
	if !r.options {
		return argError("iface adopt: give if_id NUMBER [dev DEVICE], or external")
	}
	if r.auto {
		return argError("iface adopt compares a number: mtu BYTES")
	}
	return r.checkKey()
}

// onlyMoves reports whether set was given nothing but a namespace, or nothing.
func (r *ifaceRequest) onlyMoves() bool {
	c := &r.change
	return !c.IfID.Valid && !c.MTU.Valid && c.MTUFor == nil && !c.Alias.Valid && !c.Up.Valid &&
		len(c.AddAddresses) == 0 && len(c.DeleteAddresses) == 0
}
