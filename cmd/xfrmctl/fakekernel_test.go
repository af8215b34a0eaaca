package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/netlinkx/netlinkxtest"
)

// fakeKernel keeps SAs and policies in memory: enough of adding, deleting,
// getting, flushing and dumping to run the program against.
type fakeKernel struct {
	netlinkxtest.Kernel
	mu        sync.Mutex
	sas       []*netlinkx.SA
	policies  []*netlinkx.Policy
	nextIndex uint32
	refuse    func(netlinkx.MsgType) (syscall.Errno, string)
	interrupt bool // dumps tell that they were
}

func newFakeKernel() *fakeKernel {
	k := &fakeKernel{}
	k.Handle = k.handle
	return k
}

func (k *fakeKernel) handle(req netlinkxtest.Message) []netlinkxtest.Message {
	k.mu.Lock()
	defer k.mu.Unlock()
	if req.Flags&netlinkxtest.FlagDump == netlinkxtest.FlagDump {
		return k.dump(req.Type)
	}
	errno, text := syscall.Errno(0), ""
	if k.refuse != nil {
		errno, text = k.refuse(req.Type)
	}
	var answer *netlinkxtest.Message
	if errno == 0 {
		errno, answer = k.carryOut(req.Type, req.Payload)
	}
	if answer != nil {
		return []netlinkxtest.Message{*answer}
	}
	if errno == 0 && (text == "" || req.Flags&netlinkxtest.FlagAck == 0) {
		return nil
	}
	return []netlinkxtest.Message{netlinkxtest.Refuse(req, errno, netlinkxtest.ExtAck{Text: text})}
}

func (k *fakeKernel) carryOut(typ netlinkx.MsgType, p []byte) (syscall.Errno, *netlinkxtest.Message) {
	switch typ {
	case netlinkx.MsgNewSA, netlinkx.MsgUpdSA:
		return k.newSA(typ, p), nil
	case netlinkx.MsgDelSA, netlinkx.MsgGetSA:
		return k.nameSA(typ, p)
	case netlinkx.MsgFlushSA:
		k.sas = nil
	case netlinkx.MsgGetSADInfo:
		m := netlinkxtest.Message{Type: netlinkx.MsgNewSADInfo, Payload: make([]byte, 4)}
		m.Payload = append(m.Payload, 8, 0, 1, 0) // XFRMA_SAD_CNT
		m.Payload = binary.NativeEndian.AppendUint32(m.Payload, uint32(len(k.sas)))
		return 0, &m
	case netlinkx.MsgNewPolicy:
		ev, err := netlinkx.DecodeEvent(typ, 0, p)
		if err != nil {
			return syscall.EINVAL, nil
		}
		pol := &ev.(*netlinkx.PolicyEvent).Policy
		k.nextIndex += 8
		pol.Index = k.nextIndex | uint32(pol.Dir)
		k.policies = append(k.policies, pol)
	case netlinkx.MsgDelPolicy:
		index := binary.NativeEndian.Uint32(p[56:])
		for i, pol := range k.policies {
			if pol.Index == index {
				k.policies = append(k.policies[:i:i], k.policies[i+1:]...)
				return 0, nil
			}
		}
		return syscall.ENOENT, nil
	}
	return 0, nil
}

func (k *fakeKernel) newSA(typ netlinkx.MsgType, p []byte) syscall.Errno {
	ev, err := netlinkx.DecodeEvent(typ, 0, p)
	if err != nil {
		return syscall.EINVAL
	}
	sa := &ev.(*netlinkx.SAEvent).SA
	for _, old := range k.sas {
		if old.ID() == sa.ID() && sa.SPI != 0 {
			return syscall.EEXIST
		}
	}
	k.sas = append(k.sas, sa)
	return 0
}

// nameSA deletes or returns the SA that p names. One without an SPI has no name.
func (k *fakeKernel) nameSA(typ netlinkx.MsgType, p []byte) (syscall.Errno, *netlinkxtest.Message) {
	for i, sa := range k.sas {
		if sa.SPI != netlinkx.SPI(binary.BigEndian.Uint32(p[16:])) {
			continue
		}
		id := sa.ID()
		if m := netlinkxtest.Object(netlinkx.GetSA(&id)); !bytes.Equal(m.Payload[:24], p[:24]) || sa.SPI == 0 {
			continue
		}
		if typ == netlinkx.MsgGetSA {
			m := netlinkxtest.Object(netlinkx.AddSA(sa))
			return 0, &m
		}
		k.sas = append(k.sas[:i:i], k.sas[i+1:]...)
		return 0, nil
	}
	return syscall.ESRCH, nil
}

func (k *fakeKernel) dump(typ netlinkx.MsgType) []netlinkxtest.Message {
	var ms []netlinkxtest.Message
	if typ == netlinkx.MsgGetSA {
		for _, sa := range k.sas {
			ms = append(ms, netlinkxtest.Object(netlinkx.AddSA(sa)))
		}
	} else {
		for _, p := range k.policies {
			ms = append(ms, netlinkxtest.Object(netlinkx.AddPolicy(p)))
		}
	}
	answer := netlinkxtest.Dump(ms...)
	if k.interrupt {
		answer = netlinkxtest.Interrupted(answer)
	}
	return answer
}

// result is what one run of the program did.
type result struct {
	Code           int
	Stdout, Stderr string
}

// testKey is what env:KEY stands for.
var testKey = "0x" + strings.Repeat("5c", 20)

// testEnv is newEnv with k in place of the kernel.
func testEnv(ctx context.Context, k *fakeKernel, stdin io.Reader, stdout, stderr io.Writer) *env {
	e := newEnv(ctx, stdin, stdout, stderr)
	e.getenv = func(name string) string { return map[string]string{"KEY": testKey}[name] }
	e.dial = func(cfg *netlinkx.Config) (*netlinkx.Conn, error) {
		if cfg.Dial == nil { // else another engine has the work
			cfg.Dial = k.Dial
		}
		return netlinkx.Dial(cfg)
	}
	e.listen = func(cfg *netlinkx.MonitorConfig) (*netlinkx.Monitor, error) {
		if cfg.Dial == nil {
			cfg.Dial = k.DialMonitor
		}
		return netlinkx.NewMonitor(cfg)
	}
	e.socketDir = "no such directory" // whatever runs on this machine
	e.probeKernel = func(subject) (bool, string) { return true, "it can" }
	e.devices.open = func() (linkConn, error) { return &fakeLinks{}, nil }
	return e
}

// runReading runs the program against k.
func runReading(t *testing.T, k *fakeKernel, stdin io.Reader, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	code := testEnv(ctx, k, stdin, &out, &errs).main(args)
	if n := k.Open(); n != 0 {
		t.Errorf("%d connections left open", n)
	}
	return result{code, out.String(), errs.String()}
}

func runWith(t *testing.T, k *fakeKernel, stdin string, args ...string) result {
	t.Helper()
	return runReading(t, k, strings.NewReader(stdin), args...)
}

func runWords(t *testing.T, k *fakeKernel, words string) result {
	t.Helper()
	return runWith(t, k, "", strings.Fields(words)...)
}
