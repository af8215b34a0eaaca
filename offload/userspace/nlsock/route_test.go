package nlsock

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func dialRaw(path string) (*net.UnixConn, error) {
	return net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
}

// linkMessage is an RTM_NEWLINK with attributes that are numbers.
func linkMessage(attrs ...[2]uint32) []byte {
	body := make([]byte, sizeIfInfo)
	for _, a := range attrs {
		body = host.AppendUint16(body, 8)
		body = host.AppendUint16(body, uint16(a[0]))
		body = host.AppendUint32(body, a[1])
	}
	return append(appendHeader(nil, len(body), rtmNewLink, 5, 1, 0), body...)
}

// TestRouteFiles: the socket and namespace of the client come with the hello,
// and namespaces that a message names with the message.
func TestRouteFiles(t *testing.T) {
	got := make(chan []*os.File, 1)
	path := serve(t, func(p *Peer) {
		if len(p.Files) != 2 {
			t.Errorf("%d files with the hello", len(p.Files))
		}
		_ = p.Welcome()
		_, files, err := p.Recv(make([]byte, 4096))
		if err != nil {
			t.Error(err)
		}
		got <- files
	})
	c, err := DialRoute(path, netlinkx.NetNS{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ns, err := os.Open(ownNamespace)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := c.Send(linkMessage([2]uint32{4, 1400}, [2]uint32{iflaNetNSFD, uint32(ns.Fd())}, [2]uint32{iflaNetNSPID, uint32(os.Getpid())})); err != nil {
		t.Fatal(err)
	}
	files := <-got
	defer closeAll(files)
	if len(files) != 2 {
		t.Fatalf("%d files with the message", len(files))
	}
	want, _ := ns.Stat()
	for i, f := range files {
		if st, err := f.Stat(); err != nil || !os.SameFile(st, want) {
			t.Errorf("file %d: %v, %v", i, st, err)
		}
	}
}

func TestRouteBadNamespace(t *testing.T) {
	c, err := DialRoute(serve(t, echo), netlinkx.NetNS{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := append(make([]byte, sizeIfInfo), 8, 0, iflaNetNSFD, 0, 0xff, 0xff, 0, 0)
	if err := c.Send(append(appendHeader(nil, len(body), rtmNewLink, 5, 1, 0), body...)); err == nil {
		t.Error("a descriptor that is not open is no error")
	}
}

func TestDefaultPath(t *testing.T) {
	own, err := DefaultPath(netlinkx.NetNS{})
	if err != nil || filepath.Dir(own) != Dir {
		t.Errorf("%q, %v", own, err)
	}
	same, err := DefaultPath(netlinkx.NetNSAt("/proc/self/ns/net"))
	if err != nil || same != own {
		t.Errorf("%q and %q of one namespace, %v", own, same, err)
	}
	// who may not look at process 1, as an ordinary user, finds its namespace too
	first, err := os.Stat("/proc/1/net/dev")
	if mine, _ := os.Stat("/proc/self/net/dev"); err == nil && os.SameFile(first, mine) != (own == Dir+"/esp.sock") {
		t.Errorf("%q in the namespace of process 1: %v", own, os.SameFile(first, mine))
	}
	if _, err := DefaultPath(netlinkx.NamedNetNS("no-such-namespace")); err == nil {
		t.Error("no error without such a namespace")
	}
}
