package userspace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/journal"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/server"
)

// stillPlane is a data path without devices or packets.
type stillPlane struct {
	db      *sadb.DB
	changes atomic.Int32
	closed  bool
}

func (p *stillPlane) Create(server.LinkSpec) (server.Device, error) { return nil, fs.ErrExist }
func (p *stillPlane) start(db *sadb.DB) error                       { p.db = db; return nil }
func (p *stillPlane) saChanged(*sadb.SA, bool)                      { p.changes.Add(1) }
func (p *stillPlane) close() error                                  { p.closed = true; return nil }

func (p *stillPlane) sourceAddr(netip.Addr, uint32) (netip.Addr, bool) { return netip.Addr{}, false }

func (p *stillPlane) stats(s *Status) {
	s.Law = Law{OuterReceived: 3, InnerDelivered: 2, InDropped: 1, InnerReceived: 1, OuterSent: 1}
}

// start runs an engine on a stillPlane.
func start(t *testing.T, cfg *Config) (*Engine, *stillPlane) {
	t.Helper()
	p := &stillPlane{}
	e, err := open(cfg, func(*Config) (plane, error) { return p, nil }, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve() }()
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return e, p
}

func config(t *testing.T) *Config {
	t.Helper()
	dir := t.TempDir()
	return &Config{
		Socket:  filepath.Join(dir, "esp.sock"),
		Journal: &journal.Config{Dir: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "run")},
		Version: "test",
		Logf:    t.Logf,
	}
}

func dial(t *testing.T, e *Engine) *netlinkx.Conn {
	t.Helper()
	c, err := netlinkx.Dial(&netlinkx.Config{Dial: func() (netlinkx.Transport, error) { return nlsock.DialXFRM(e.Socket()) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func testSA(key byte) *netlinkx.SA {
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	sa.Proto, sa.SPI, sa.Mode = netlinkx.ProtoESP, 0x100, netlinkx.ModeTunnel
	sa.Dir = netlinkx.DirOut
	k := make([]byte, 20)
	k[0] = key
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(k), ICVBits: 128}
	return sa
}

func TestEngineAnswers(t *testing.T) {
	e, p := start(t, config(t))
	c := dial(t, e)
	if err := c.AddSA(t.Context(), testSA(1)); err != nil {
		t.Fatal(err)
	}
	sas, err := c.ListSAs(t.Context(), nil)
	if err != nil || len(sas) != 1 || p.changes.Load() != 1 {
		t.Errorf("%d SAs, %v; the data path heard of %d", len(sas), err, p.changes.Load())
	}
	doc, err := nlsock.Status(e.Socket())
	if err != nil {
		t.Fatal(err)
	}
	var s Status
	if err := json.Unmarshal(doc, &s); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	if s.SAs != 1 || s.PID != os.Getpid() || s.Version != "test" || !s.Law.Holds || s.Journal == nil || s.Confined != nil {
		t.Errorf("%s", doc)
	}
}

// A key that was used before goes on above what it may have been used for.
func TestKeyGoesOnAfterRestart(t *testing.T) {
	cfg := config(t)
	e, _ := start(t, cfg)
	counter, err := e.key("rfc4106(gcm(aes))", testSA(1).AEAD.Key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := counter.Reserve(1000); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e, _ = start(t, cfg)
	c := dial(t, e)
	for _, tt := range []struct {
		key  byte
		want uint32
	}{{1, 1000}, {2, 0}} {
		sa := testSA(tt.key)
		sa.SPI += netlinkx.SPI(tt.key)
		if err := c.AddSA(t.Context(), sa); err != nil {
			t.Fatal(err)
		}
		got, err := c.GetSA(t.Context(), sa.ID())
		if err != nil {
			t.Fatal(err)
		}
		if got.Replay == nil || got.Replay.OSeq != tt.want {
			t.Errorf("key %d: replay state %+v, want oseq %d", tt.key, got.Replay, tt.want)
		}
	}
}

// An engine whose journal is lost runs, and refuses keys that may repeat an IV.
func TestLostJournal(t *testing.T) {
	cfg := config(t)
	e, _ := start(t, cfg)
	if err := dial(t, e).AddSA(t.Context(), testSA(1)); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(cfg.Journal.Dir, "journal")); err != nil {
		t.Fatal(err)
	}
	var logged []string
	cfg.Logf = func(f string, args ...any) { logged = append(logged, fmt.Sprintf(f, args...)) }
	e, _ = start(t, cfg)
	c := dial(t, e)
	err := c.AddSA(t.Context(), testSA(1))
	var refused *netlinkx.Error
	if !errors.As(err, &refused) || !strings.Contains(refused.Text, "its file is gone") || !strings.Contains(refused.Text, "--new-journal") {
		t.Errorf("add: %v", err)
	}
	if len(logged) != 1 || !strings.Contains(logged[0], "its file is gone") {
		t.Errorf("logged %q", logged)
	}
	cbc := testSA(1)
	cbc.AEAD = nil
	cbc.Crypt = &netlinkx.Algo{Name: "cbc(aes)", Key: netlinkx.NewKey(make([]byte, 16))}
	cbc.AuthTrunc = &netlinkx.AuthTrunc{Name: "hmac(sha256)", Key: netlinkx.NewKey(make([]byte, 32)), ICVBits: 128}
	if err := c.AddSA(t.Context(), cbc); err != nil {
		t.Errorf("a key that is not of counter mode: %v", err)
	}
	if s := e.Status(); s.Journal.Lost == "" {
		t.Errorf("%+v", s.Journal)
	}
}

func TestOpenFailsEarly(t *testing.T) {
	running, _ := start(t, config(t))
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing := errors.New("this machine lacks what it needs")
	for _, tt := range []struct {
		name   string
		change func(*Config)
		check  error
		plane  error
		want   string
		is     error
	}{
		{"socket in use", func(c *Config) { c.Socket = running.Socket() }, nil, nil, "another engine is running", syscall.EADDRINUSE},
		{"state is a file", func(c *Config) { c.Journal.Dir = file }, nil, nil, "journal of used keys", nil},
		{"machine", func(*Config) {}, missing, nil, "lacks what it needs", missing},
		{"data path", func(*Config) {}, nil, missing, "lacks what it needs", missing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(t)
			tt.change(cfg)
			p := &stillPlane{}
			e, err := open(cfg, func(*Config) (plane, error) { return p, tt.plane }, func() error { return tt.check })
			if err == nil {
				e.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v", err)
			}
			if cfg.Socket != running.Socket() {
				if _, err := os.Stat(cfg.Socket); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the socket is left: %v", err)
				}
			}
		})
	}
}

func TestCloseRemovesSocket(t *testing.T) {
	cfg := config(t)
	e, p := start(t, cfg)
	c := dial(t, e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cfg.Socket); !errors.Is(err, fs.ErrNotExist) || !p.closed {
		t.Errorf("socket %v, data path closed %v", err, p.closed)
	}
	if err := c.AddSA(context.Background(), testSA(1)); err == nil {
		t.Error("a closed engine answers")
	}
}

func TestVolatileKeysNeedNoDirectory(t *testing.T) {
	cfg := config(t)
	cfg.Journal = nil
	e, _ := start(t, cfg)
	if err := dial(t, e).AddSA(t.Context(), testSA(1)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(cfg.Socket), "*"))
	if err != nil || len(files) != 1 || e.Status().Journal != nil {
		t.Errorf("files %v", files)
	}
}
