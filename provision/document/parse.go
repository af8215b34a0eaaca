package document

import (
	"net/netip"

	"go.yaml.in/yaml/v3"
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
	d.rule().read(r, "the document", top)
	switch {
	case !plain(top): // said already
		return nil, r.err()
	case !d.version.Set:
		r.missing(top, "the document says no version; this is version: %d", Version)
	case d.version.V != Version:
		r.fail(d.version.at, "version %d is not known, only %d", d.version.V, Version)
	}
	d.check(top)
	if err := r.err(); err != nil {
		return nil, err
	}
	d.forget()
	return d, nil
}

// forget lets go of the tree, which takes more memory than all that was found
// in it.
func (d *Document) forget() {
	d.Owner.node = nil
	for _, t := range d.Tunnels {
		t.node, t.Keys.node = nil, nil
	}
}

// What follows are the fields of documents: what the reader takes, and what the
// schema says of it.

func (d *Document) rule() rule {
	version := single(&d.version, count()).with(func(f *form) { *f = form{Const: Version} })
	return mapping(
		field{"version", "version of this form of documents", version.needed()},
		field{"owner", "in whose name objects are made, and the ids that they have", d.Owner.rule().needed()},
		field{"engine", "who has the SAs: kernel, userspace, or auto, which is what xfrmctl chooses by itself", preset(&d.Engine, oneOf("auto", "kernel", "userspace"), "auto")},
		field{"nodes", "the machines at the ends of tunnels, by name", d.nodes()},
		field{"tunnels", "the tunnels between them", d.tunnels()},
	)
}

func (o *Owner) rule() rule {
	return mapping(
		field{"name", "names the owner in the state directory", single(&o.Name, name()).needed()},
		field{"reqid", "A-B, both included: the reqids that nobody else uses on these machines", single(&o.ReqID, idRange()).needed()},
		field{"if_id", "A-B, both included: the if_ids that nobody else uses on these machines", single(&o.IfID, idRange()).needed()},
	).then(func(_ *reader, n *yaml.Node) { o.at, o.node = spotOf(n), n })
}

// nodes reads as tunnels does.
func (d *Document) nodes() rule {
	n := &Node{}
	u := n.rule()
	blank := *n
	return open(func(key *yaml.Node) rule {
		*n = blank
		n.Name = key.Value
		return u.as("node " + key.Value).then(func(_ *reader, value *yaml.Node) {
			read := *n
			d.node(key, value, &read)
		})
	}).with(func(f *form) {
		n := name().form
		f.PropertyNames = &n
	})
}

// node takes a node with a name that is one.
func (d *Document) node(key, value *yaml.Node, node *Node) {
	if _, err := name().parse(key.Value); err != nil {
		d.r.fail(spotOf(key), "node: %v", err)
		return
	}
	if node.Endpoint.at == (spot{}) && hasFields(value) {
		d.r.fail(spotOf(key), "node %s has no endpoint: the address of its outer packets", key.Value)
	}
	d.Nodes[key.Value] = node
}

func (n *Node) rule() rule {
	return mapping(
		field{"endpoint", "the address of its outer packets", single(&n.Endpoint, endpoint()).needed()},
		field{"underlay", "the device that its outer packets take", single(&n.Underlay, device())},
		field{"path_mtu", "MTU of the outer path in bytes, when it is less than the underlay's", single(&n.PathMTU, mtu())},
		field{"gro", "how the underlay joins and cuts packets: keep, fast, or settings in the words of xfrmctl gro set", n.GRO.rule()},
		field{"default_policy", "what becomes of traffic that no policy matches, in the whole network namespace", n.Default.rule()},
		field{"boot_id", "what /proc/sys/kernel/random/boot_id says there; for derived keys", single(&n.BootID, word())},
	)
}

// tunnels reads each tunnel into one and the same, which is then copied: the rule
// of a tunnel is larger than what it finds.
func (d *Document) tunnels() rule {
	t := &Tunnel{}
	u := t.rule().as("tunnel")
	blank := *t
	return list(func(n *yaml.Node) rule {
		*t = blank
		t.at, t.node = spotOf(n), n
		return u.then(func(*reader, *yaml.Node) {
			read := *t
			d.Tunnels = append(d.Tunnels, &read)
		})
	})
}

func (t *Tunnel) rule() rule {
	return mapping(
		field{"name", "names the tunnel; its ids and derived keys come from the name", single(&t.Name, name()).needed()},
		field{"between", "the nodes at its two ends", t.between().needed()},
		field{"endpoints", "addresses of outer packets by node, where this tunnel has others than the nodes", perNode(&t.Endpoints, endpoint())},
		field{"underlays", "devices of outer packets by node, where this tunnel has others than the nodes", perNode(&t.Underlays, device())},
		field{"mode", "transport is for the two hosts themselves", preset(&t.Mode, oneOf("tunnel", "transport"), "tunnel")},
		field{"cipher", "encryption and integrity check", preset(&t.Cipher, cipher(), "aes-gcm-128")},
		field{"esn", "extended sequence numbers", preset(&t.ESN, boolean(), true)},
		field{"replay_window", "how late a packet may come, in packets", preset(&t.Window, window(), defaultWindow)},
		field{"tfc_pad", "pad inner packets to this many bytes", single(&t.TFCPad, bounded(1, 65535))},
		field{"reqid", "of SAs and policies; absent: chosen by the tunnel's name", single(&t.ReqID, bounded(1, max32))},
		field{"keys", "where keys come from: derive, or one for each direction", t.Keys.rule().needed()},
		field{"spi", "SPIs by direction, A-to-B; absent: derived from the key", t.spi()},
		field{"interface", "name of the XFRM interface; absent: policies apply to all traffic of the machine", single(&t.Interface, device())},
		field{"if_id", "of the interface; absent: chosen by the tunnel's name", single(&t.IfID, bounded(1, max32))},
		field{"mtu", "of the interface in bytes; absent: what fits", single(&t.MTU, mtu())},
		field{"addresses", "of the interface at each end, with the length of their subnets", t.addresses()},
		field{"namespace", "the named network namespace that the interface lives in, by node; SAs and policies stay outside", t.namespaces()},
		field{"traffic", "what the tunnel carries: a prefix behind each of its ends", list(t.traffic).then(func(_ *reader, n *yaml.Node) { t.trafficAt = spotOf(n) })},
		field{"routes", "routes to the other end's prefixes, through the interface; multipath: shared with the other tunnels that have the same prefix and say so",
			preset(&t.Routes, routing(), "true").with(func(f *form) { f.Default = true })},
		field{"guard", "what keeps clear text off ways around the tunnel: routes below its own that answer unreachable, policies that block, both or neither", preset(&t.Guard, guard(), "true").with(func(f *form) { f.Default = true })},
		field{"forward", "the policy for what is forwarded; false is for hosts only", preset(&t.Forward, boolean(), true)},
		field{"encap_port", "UDP port of both ends for ESP in UDP; needs the userspace engine", single(&t.EncapPort, bounded(1, 65535))},
		field{"mark", "VALUE/MASK that packets must have for SAs and policies to be theirs, for both directions or by direction", inOut(&t.Mark, match(), both)},
		field{"output_mark", "VALUE/MASK that outer packets get; by direction also that which decrypted ones get", inOut(&t.Output, mark(), onlyOut)},
		field{"offload", "whether the underlay carries the SAs, for both directions or by direction", t.offload()},
		field{"offload_type", "crypto: the device encrypts; packet: it does all, policies too", preset(&t.OffloadOf, oneOf("crypto", "packet"), "crypto")},
		field{"lifetime", "what ends the SAs", t.Limits.rule()},
	)
}

// between takes two names and counts them.
func (t *Tunnel) between() rule {
	k := 0
	return list(func(*yaml.Node) rule {
		k++
		return single(&t.Between[min(k, len(t.Between))-1], name())
	}).with(func(f *form) {
		f.MinItems, f.MaxItems = len(t.Between), len(t.Between)
	}).then(func(r *reader, n *yaml.Node) {
		if n.Kind == yaml.SequenceNode && k != len(t.Between) {
			r.fail(spotOf(n), "a tunnel is between two nodes, not %d", k)
		}
		k = 0
	})
}

func (k *Keys) rule() rule {
	direction := func(key *yaml.Node) rule {
		return keyed(&k.Static, key, reference()).with(func(f *form) { f.Description = "A-to-B: where the key of that direction is" })
	}
	return open(direction,
		field{"derive", "where a root secret is, at least 32 bytes, the same at both ends", single(&k.Derive, reference())},
		field{"epoch", "counts up with each new key, or is counted by a clock", k.epoch()},
	).then(func(r *reader, n *yaml.Node) {
		k.at, k.node = spotOf(n), n
		r.withhold(n)
	})
}

// keyed reads a value that belongs to a node or a direction (A-to-B); its place
// is that of the key.
func keyed[T any](to *map[string]Value[T], key *yaml.Node, k kind[T]) rule {
	v := new(Value[T])
	return single(v, k).then(func(*reader, *yaml.Node) {
		v.at = spotOf(key)
		put(to, key.Value, *v)
	})
}

// put makes the map with its first entry: most tunnels need none.
func put[V any](to *map[string]V, key string, v V) {
	if *to == nil {
		*to = map[string]V{}
	}
	(*to)[key] = v
}

// perNode reads a value for each of some nodes.
func perNode[T any](to *map[string]Value[T], k kind[T]) rule {
	return open(func(key *yaml.Node) rule { return keyed(to, key, k) })
}

func (t *Tunnel) spi() rule {
	return open(func(key *yaml.Node) rule { return keyed(&t.SPI, key, bounded(256, max32)).as("spi") })
}

func (t *Tunnel) addresses() rule {
	return open(func(key *yaml.Node) rule {
		put(&t.Addresses, key.Value, []Value[netip.Prefix]{})
		return list(func(*yaml.Node) rule {
			v := &Value[netip.Prefix]{at: spotOf(key)}
			return single(v, address()).as("address").then(func(*reader, *yaml.Node) {
				t.Addresses[key.Value] = append(t.Addresses[key.Value], *v)
			})
		}).as("addresses of " + key.Value)
	})
}

func (t *Tunnel) traffic(n *yaml.Node) rule {
	x := Traffic{Prefix: map[string]Value[netip.Prefix]{}, at: spotOf(n)}
	t.Traffic = append(t.Traffic, x)
	return open(func(key *yaml.Node) rule {
		v := &Value[netip.Prefix]{at: spotOf(key)}
		return single(v, prefix()).as("prefix").then(func(*reader, *yaml.Node) { x.Prefix[key.Value] = *v })
	}).with(func(f *form) { f.MinProperties, f.MaxProperties = 2, 2 })
}

func (l *Limits) rule() rule {
	return mapping(
		field{"soft_bytes", "an event comes after so many bytes", single(&l.SoftBytes, limit())},
		field{"hard_bytes", "the SA ends after so many bytes", single(&l.HardBytes, limit())},
		field{"soft_packets", "an event comes after so many packets", single(&l.SoftPackets, limit())},
		field{"hard_packets", "the SA ends after so many packets", single(&l.HardPackets, limit())},
		field{"soft_seconds", "an event comes so many seconds after the SA was made", single(&l.SoftSeconds, limit())},
		field{"hard_seconds", "the SA ends so many seconds after it was made", single(&l.HardSeconds, limit())},
	)
}
