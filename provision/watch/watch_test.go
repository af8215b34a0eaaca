package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/netlinkx/netlinkxtest"
	"github.com/xfrmctl/xfrmctl/provision"
)

// bench is a watcher of fake kernels.
type bench struct {
	w             *Watcher
	xfrm, routing *netlinkxtest.Kernel
}

func start(t *testing.T, files ...string) *bench {
	t.Helper()
	b := &bench{xfrm: &netlinkxtest.Kernel{}, routing: &netlinkxtest.Kernel{Handle: func(req netlinkxtest.Message) []netlinkxtest.Message {
		lo := linkMessage(rtmNewLink, 7, "old0")
		lo.Flags = netlinkxtest.FlagMulti
		return []netlinkxtest.Message{lo, {Type: netlinkxtest.TypeDone, Flags: netlinkxtest.FlagMulti, Payload: make([]byte, 4)}}
	}}}
	routing := func(groups ...uint32) (netlinkx.Transport, error) {
		var all []netlinkx.Group
		for _, g := range groups {
			all = append(all, netlinkx.Group(g))
		}
		return b.routing.DialMonitor(all)
	}
	w, err := New(&Config{XFRM: b.xfrm.DialMonitor, Routing: routing, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	b.w = w
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Look(InterestIn(provision.Owner{ReqID: provision.Range{First: 100, Last: 199}, IfID: provision.Range{First: 100, Last: 199}}, &provision.State{
		Interfaces: []*provision.Interface{{Name: "ipsec0", Underlay: "eth0"}, {Name: "old0"}},
		Routes:     []*provision.Route{{Dst: netip.MustParsePrefix("10.2.0.0/16"), Dev: "ipsec0"}},
	}))
	return b
}

func attr(typ uint16, data []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(data)))
	b = append(binary.NativeEndian.AppendUint16(b, typ), data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func u32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func linkMessage(typ netlinkx.MsgType, index uint32, name string) netlinkxtest.Message {
	b := make([]byte, sizeofIfInfo)
	binary.NativeEndian.PutUint32(b[4:], index)
	return netlinkxtest.Message{Type: typ, Payload: append(b, attr(iflaIfname, append([]byte(name), 0))...)}
}

func addressMessage(index uint32) netlinkxtest.Message {
	b := make([]byte, sizeofIfAddr)
	binary.NativeEndian.PutUint32(b[4:], index)
	return netlinkxtest.Message{Type: rtmDelAddr, Payload: b}
}

func routeMessage(dst string, index uint32) netlinkxtest.Message {
	p := netip.MustParsePrefix(dst)
	b := make([]byte, sizeofRtMsg)
	b[0], b[1] = uint8(netlinkx.FamilyOf(p.Addr())), uint8(p.Bits())
	b = append(b, attr(rtaDst, p.Addr().AsSlice())...)
	return netlinkxtest.Message{Type: rtmDelRoute, Payload: append(b, attr(rtaOIF, u32(index))...)}
}

func saMessage(reqID uint32) netlinkxtest.Message {
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst, sa.SPI, sa.Proto, sa.ReqID = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), 0x1000, netlinkx.ProtoESP, reqID
	m := netlinkxtest.Object(netlinkx.AddSA(sa))
	m.Type = netlinkx.MsgNewSA
	return m
}

// TestWhatCounts: what is ours wakes, and nothing else.
func TestWhatCounts(t *testing.T) {
	for name, c := range map[string]struct {
		group netlinkx.Group // of rtnetlink where it is 0
		m     netlinkxtest.Message
		want  string // "" nothing
	}{
		"sa of ours":              {netlinkx.GroupSA, saMessage(150), "esp sa 0x00001000 to 192.0.2.2"},
		"sa of another":           {netlinkx.GroupSA, saMessage(5), ""},
		"interface":               {0, linkMessage(rtmDelLink, 8, "ipsec0"), "interface ipsec0"},
		"underlay":                {0, linkMessage(rtmNewLink, 2, "eth0"), "interface eth0"},
		"another interface":       {0, linkMessage(rtmDelLink, 3, "eth1"), ""},
		"address of ours":         {0, addressMessage(7), "an address of old0"},
		"address of another":      {0, addressMessage(3), ""},
		"route of ours":           {0, routeMessage("10.2.0.0/16", 3), "route 10.2.0.0/16"},
		"route over ours":         {0, routeMessage("10.9.0.0/16", 7), "route 10.9.0.0/16"},
		"route of another":        {0, routeMessage("10.9.0.0/16", 3), ""},
		"xfrm events were lost":   {netlinkx.GroupSA, netlinkxtest.Message{Fail: syscall.ENOBUFS}, "lost"},
		"route events were lost":  {0, netlinkxtest.Message{Fail: syscall.ENOBUFS}, "lost"},
		"a link message cut off":  {0, netlinkxtest.Message{Type: rtmNewLink, Payload: []byte{1, 2}}, ""},
		"a route message cut off": {0, netlinkxtest.Message{Type: rtmNewRoute, Payload: []byte{1, 2}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			if c.group != 0 {
				b.xfrm.Notify(c.group, c.m)
			} else {
				b.routing.Notify(grpLink, c.m)
			}
			atMost := time.Minute
			if c.want == "" {
				atMost = 300 * time.Millisecond
			}
			change, err := b.w.Wait(t.Context(), atMost, 0)
			got := change.What
			if change.Lost {
				got = "lost"
			}
			if err != nil || got != c.want {
				t.Errorf("%+v, %v, want %q", change, err, c.want)
			}
		})
	}
}

// TestNewNames: an address of an interface that came after the watch began.
func TestNewNames(t *testing.T) {
	b := start(t)
	b.routing.Notify(grpLink, linkMessage(rtmNewLink, 9, "ipsec0"), addressMessage(9))
	if c, err := b.w.Wait(t.Context(), time.Minute, 0); err != nil || !c.Drift {
		t.Error(c, err)
	}
	b.routing.Notify(grpLink, addressMessage(9))
	if c, err := b.w.Wait(t.Context(), time.Minute, 0); err != nil || c.What != "an address of ipsec0" {
		t.Error(c, err)
	}
}

// TestSwarm is one change, Look forgets, and hold waits. A machine that stands
// still in the middle of a swarm makes two of it, but not again and again.
func TestSwarm(t *testing.T) {
	b := start(t)
	for tries := 1; ; tries++ {
		for range 1000 {
			b.xfrm.Notify(netlinkx.GroupSA, saMessage(150))
		}
		if c, err := b.w.Wait(t.Context(), time.Minute, 0); err != nil || !c.Drift {
			t.Error(c, err)
		}
		c, err := b.w.Wait(t.Context(), 500*time.Millisecond, 0)
		if err == nil && c == (Change{}) {
			break
		}
		if err != nil || tries == 5 {
			t.Fatal("a second change", c, err)
		}
	}
	b.xfrm.Notify(netlinkx.GroupSA, saMessage(150))
	begun := time.Now()
	if c, err := b.w.Wait(t.Context(), time.Minute, 600*time.Millisecond); err != nil || !c.Drift || time.Since(begun) < 600*time.Millisecond {
		t.Errorf("%v, %v after %v", c, err, time.Since(begun))
	}
}

func TestEnds(t *testing.T) {
	b := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.w.Wait(ctx, time.Minute, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// TestFiles: every way in which a file becomes another.
func TestFiles(t *testing.T) {
	write := func(t *testing.T, path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(path), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(t *testing.T, target, path string) {
		t.Helper()
		_ = os.Remove(path + ".tmp") // of an earlier call
		if err := errors.Join(os.Symlink(target, path+".tmp"), os.Rename(path+".tmp", path)); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(t *testing.T, dir string){
		"written in place": func(t *testing.T, dir string) { write(t, dir+"/1/office.yaml") },
		"renamed over": func(t *testing.T, dir string) {
			write(t, dir+"/new")
			if err := os.Rename(dir+"/new", dir+"/1/office.yaml"); err != nil {
				t.Fatal(err)
			}
		},
		"link in the middle swapped": func(t *testing.T, dir string) { link(t, "2", dir+"/data") },
		"link itself swapped":        func(t *testing.T, dir string) { link(t, "2/office.yaml", dir+"/office.yaml") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir+"/1/office.yaml")
			write(t, dir+"/2/office.yaml")
			link(t, "1", dir+"/data")
			link(t, "data/office.yaml", dir+"/office.yaml")
			b := start(t, dir+"/office.yaml")
			write(t, dir+"/other") // nothing of ours
			if c, err := b.w.Wait(t.Context(), 300*time.Millisecond, 0); err != nil || c.Files {
				t.Errorf("before: %+v, %v", c, err)
			}
			for range 2 { // the second time over what the first has made
				change(t, dir)
				if c, err := b.w.Wait(t.Context(), time.Minute, time.Hour); err != nil || !c.Files {
					t.Errorf("%+v, %v", c, err)
				}
				if name != "written in place" && name != "renamed over" {
					link(t, "1", dir+"/data")
					if c, err := b.w.Wait(t.Context(), 300*time.Millisecond, 0); err != nil {
						t.Errorf("%+v, %v", c, err)
					}
				}
			}
		})
	}
}

// TestFollow: files that come to be followed later, there or not, and no more.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := start(t, dir+"/office.yaml")
	for _, key := range []string{"root", "root.2"} {
		b.w.Follow([]string{filepath.Join(dir, key), filepath.Join(dir, "no", "such", "folder")})
		write(key)
		if c, err := b.w.Wait(t.Context(), time.Minute, 0); err != nil || !c.Files {
			t.Errorf("%s: %+v, %v", key, c, err)
		}
	}
	write("root") // nobody needs it any more
	if c, err := b.w.Wait(t.Context(), 300*time.Millisecond, 0); err != nil || c.Files {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestNoFile: one that is not there yet may come.
func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir+"/office.yaml")
	if err := os.WriteFile(dir+"/office.yaml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := b.w.Wait(t.Context(), time.Minute, 0); err != nil || !c.Files {
		t.Errorf("%+v, %v", c, err)
	}
}
