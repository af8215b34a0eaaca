package ifaces

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// maxNamespaces bounds the search for the holder of an if_id.
const maxNamespaces = 1024

// netnsDir is where `ip netns` keeps its names.
const netnsDir = "/run/netns"

// visibleNamespaces lists the namespaces that can be named: those of `ip
// netns` first, then those of processes (containers), each once.
func visibleNamespaces() []netlinkx.NetNS {
	var out []netlinkx.NetNS
	var seen []os.FileInfo
	add := func(path string, ns netlinkx.NetNS) {
		fi, err := os.Stat(path)
		if err != nil || len(out) >= maxNamespaces {
			return // gone meanwhile, or not ours to see
		}
		for _, s := range seen {
			if os.SameFile(s, fi) {
				return
			}
		}
		seen, out = append(seen, fi), append(out, ns)
	}
	names, _ := os.ReadDir(netnsDir) // none where `ip netns` was never used
	for _, n := range names {
		add(filepath.Join(netnsDir, n.Name()), netlinkx.NamedNetNS(n.Name()))
	}
	procs, _ := os.ReadDir("/proc") // without it there is nothing to add
	for _, p := range procs {
		if _, err := strconv.ParseUint(p.Name(), 10, 31); err == nil {
			path := filepath.Join("/proc", p.Name(), "ns/net")
			add(path, netlinkx.NetNSAt(path))
		}
	}
	return out
}

// NamespaceNames names the namespaces that can be seen (by /run/netns, else by
// a process in it) by the ids under which this namespace knows them: what
// Link.ContextID holds.
func (c *Conn) NamespaceNames(ctx context.Context) (map[int32]string, error) {
	names := make(map[int32]string)
	for _, ns := range c.namespaces() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f, err := ns.Open()
		if err != nil {
			continue // deleted meanwhile
		}
		id, err := c.nsid(ctx, f)
		closeFile(f)
		if err == nil && id.Valid {
			if _, known := names[id.V]; !known {
				names[id.V] = ns.String()
			}
		}
	}
	return names, nil
}

// nsid asks by which id this namespace knows another; absent: by none.
func (c *Conn) nsid(ctx context.Context, f *os.File) (netlinkx.Opt[int32], error) {
	none := netlinkx.Opt[int32]{}
	m := &rawRequest{header: make([]byte, sizeofGenMsg), attrs: []netlink.Attribute{u32Attr(netnsaFD, uint32(f.Fd()))}}
	msgs, err := c.get(ctx, request{op: "get namespace id", object: f.Name(), typ: rtmGetNSID, msg: m}, rtmNewNSID)
	if err != nil {
		return none, err
	}
	for _, msg := range msgs {
		if len(msg.Data) < sizeofGenMsg {
			return none, fmt.Errorf("namespace id message of %d bytes", len(msg.Data))
		}
		ad, err := netlink.NewAttributeDecoder(msg.Data[sizeofGenMsg:])
		if err != nil {
			return none, fmt.Errorf("namespace id message: %w", err)
		}
		for ad.Next() {
			if v := ad.Bytes(); ad.Type() == netnsaNSID && len(v) == 4 {
				if id := int32(binary.NativeEndian.Uint32(v)); id >= 0 {
					return netlinkx.Some(id), nil
				}
			}
		}
	}
	return none, nil
}

// holderElsewhere looks into the other namespaces for the device that has the
// wanted key in the wanted context; nil when none can be seen.
func (c *Conn) holderElsewhere(ctx context.Context, w *wanted) *Holder {
	home, id := c.home, w.context.id
	if id.Valid {
		// the device being changed was made elsewhere: find that namespace
		if home = c.fileByID(ctx, id.V); home == nil {
			return nil
		}
		defer closeFile(home)
	}
	if home == nil {
		return nil
	}
	for _, ns := range c.namespaces() {
		if ctx.Err() != nil {
			return nil
		}
		if h := c.holderIn(ctx, ns, home, w); h != nil {
			return h
		}
	}
	return nil
}

// fileByID opens the namespace that this one knows by that id.
func (c *Conn) fileByID(ctx context.Context, id int32) *os.File {
	for _, ns := range c.namespaces() {
		f, err := ns.Open()
		if err != nil {
			continue
		}
		if got, err := c.nsid(ctx, f); err == nil && got == netlinkx.Some(id) {
			return f
		}
		closeFile(f)
	}
	return nil
}

// holderIn looks into one namespace; home is the context that counts.
func (c *Conn) holderIn(ctx context.Context, ns netlinkx.NetNS, home *os.File, w *wanted) *Holder {
	f, err := ns.Open()
	if err != nil {
		return nil
	}
	defer closeFile(f)
	if c.isHome(f) {
		return nil // already searched
	}
	at, err := c.dial(&Config{NetNS: netlinkx.NetNSFD(int(f.Fd())), Engine: c.cfg.Engine})
	if err != nil {
		return nil // not allowed in there
	}
	defer func() { _ = at.Close() }()
	context := namespace{}
	if fi, err := home.Stat(); err != nil || !sameFile(f, fi) {
		id, err := at.nsid(ctx, home)
		if err != nil || !id.Valid {
			return nil // no device in there can have that context
		}
		context.id = id
	}
	devices, _ := at.devices(ctx, Kind) // an incomplete list may hold it too
	for _, d := range devices {
		other := *w
		other.self = 0
		if other.holds(d) && d.ContextID == context.id {
			return holderOf(d, ns)
		}
	}
	return nil
}
