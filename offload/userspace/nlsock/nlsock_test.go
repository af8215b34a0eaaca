package nlsock

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// serve listens in a directory of the test's and answers with handle.
func serve(t *testing.T, handle func(*Peer)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "esp.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.Serve(handle) }()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

// echo sends back what comes.
func echo(p *Peer) {
	if p.Welcome() != nil {
		return
	}
	buf := make([]byte, 256<<10)
	for {
		n, files, err := p.Recv(buf)
		if err != nil {
			return
		}
		closeAll(files)
		if p.Send(buf[:n]) != nil {
			return
		}
	}
}

func message(n int) []byte { return append(appendHeader(nil, n, 0x10, 1, 7, 0), make([]byte, n)...) }

func TestEcho(t *testing.T) {
	path := serve(t, echo)
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v %v", st.Mode(), err)
	}
	c, err := DialXFRM(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 256<<10)
	for _, n := range []int{0, 1, 1000, 64 << 10, 150 << 10} { // the last: more than a default send buffer carries in one piece twice
		want := message(n)
		if err := c.Send(want); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		got, err := c.Recv(buf)
		if err != nil || !bytes.Equal(buf[:got], want) {
			t.Errorf("%d bytes: %d came back, %v", n, got, err)
		}
	}
	if err := c.Send(message(100)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Recv(buf[:50]); err == nil {
		t.Error("a cut datagram is no error")
	}
}

func TestDeadline(t *testing.T) {
	c, err := DialXFRM(serve(t, echo))
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	if _, err := c.Recv(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(message(4)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Recv(make([]byte, 100)); err != nil {
		t.Errorf("after the deadline was lifted: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestNotRunning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "esp.sock")
	if _, err := DialXFRM(path); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second engine: %v", err)
	}
	l.l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := DialXFRM(path); !errors.Is(err, ErrNotRunning) {
		t.Errorf("stale socket: %v", err)
	}
	l, err = Listen(path) // takes the stale one's place
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestRefuse(t *testing.T) {
	path := serve(t, func(p *Peer) { p.Refuse(syscall.EPERM, "not you") })
	_, err := DialXFRM(path)
	var e *netlinkx.Error
	if !errors.As(err, &e) || e.Errno != syscall.EPERM || e.Text != "not you" || e.Hint == "" {
		t.Errorf("got %+v", err)
	}
	if !errors.Is(err, os.ErrPermission) {
		t.Errorf("not a permission error: %v", err)
	}
}

// TestStranger: who is neither root nor the owner is refused by the listener.
func TestStranger(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("needs an ordinary user, root is never a stranger: that strangers are refused was not tested")
	}
	path := filepath.Join(t.TempDir(), "esp.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	l.uids = []uint32{0}
	go func() { _ = l.Serve(echo) }()
	defer l.Close()
	if _, err := DialXFRM(path); !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v", err)
	}
}

func TestEngineEnds(t *testing.T) {
	stop := make(chan struct{})
	path := serve(t, func(p *Peer) { _ = p.Welcome(); <-stop })
	c, err := DialXFRM(path)
	if err != nil {
		t.Fatal(err)
	}
	close(stop)
	if _, err := c.Recv(make([]byte, 100)); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

// TestLostEvents: a listener that does not read loses events, is told once
// behind those that it did get, and hears what comes afterwards.
func TestLostEvents(t *testing.T) {
	const first = 4096
	peers, sent, more := make(chan *Peer), make(chan struct{}), make(chan struct{})
	path := serve(t, func(p *Peer) {
		_ = p.Welcome()
		peers <- p
		buf := make([]byte, 100)
		_, _, _ = p.Recv(buf) // until it goes
	})
	go func() {
		p := <-peers
		for i := range first {
			p.Notify(append(appendHeader(nil, 4096, 0x10, 0, uint32(i), 0), make([]byte, 4096)...))
		}
		close(sent)
		<-more
		p.Notify(message(1))
	}()
	c, err := DialMonitor(path, []netlinkx.Group{netlinkx.GroupSA})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-sent
	buf := make([]byte, 8192)
	for i := uint32(0); ; i++ {
		n, err := c.Recv(buf)
		if errors.Is(err, syscall.ENOBUFS) {
			if i == 0 || i >= first {
				t.Errorf("ENOBUFS after %d events of %d", i, first)
			}
			break
		}
		if err != nil || n != 4096+sizeHeader || host.Uint32(buf[8:]) != i {
			t.Fatalf("event %d: number %d of %d bytes, %v", i, host.Uint32(buf[8:]), n, err)
		}
	}
	close(more)
	if n, err := c.Recv(buf); err != nil || n != sizeHeader+1 {
		t.Errorf("after the loss: %d bytes, %v", n, err)
	}
}

func TestPortIDs(t *testing.T) {
	ids := make(chan uint32, 3)
	path := serve(t, func(p *Peer) { ids <- p.PortID; echo(p) })
	seen := map[uint32]bool{}
	for range 3 {
		c, err := DialXFRM(path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		seen[<-ids] = true
	}
	if len(seen) != 3 || !seen[uint32(os.Getpid())] || seen[0] {
		t.Errorf("port ids %v of process %d", seen, os.Getpid())
	}
}

func TestStatus(t *testing.T) {
	doc := bytes.Repeat([]byte("0123456789"), 20000)
	path := serve(t, func(p *Peer) {
		if p.Protocol == ProtocolStatus && p.Welcome() == nil {
			_ = p.SendStatus(doc)
		}
	})
	got, err := Status(path)
	if err != nil || !bytes.Equal(got, doc) {
		t.Errorf("%d bytes of %d, %v", len(got), len(doc), err)
	}
}

func TestBadHello(t *testing.T) {
	path := serve(t, echo)
	c, err := DialXFRM(path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	for _, b := range [][]byte{message(3), hello{}.encode()[:20], append(hello{}.encode(), 0), make([]byte, 4000)} {
		raw := &conn{path: path}
		raw.c, err = dialRaw(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Send(b); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		n, err := raw.Recv(buf)
		if errno, _, derr := decodeAck(buf[:n]); err != nil || derr != nil || errno != syscall.EPROTO {
			t.Errorf("%d bytes: errno %v, %v, %v", len(b), errno, err, derr)
		}
		raw.Close()
	}
}
