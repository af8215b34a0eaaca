package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
)

// Userspace returns the engine that does ESP in programs of its own, one in
// each namespace: `PROGRAM esp`, which is xfrmctl.
func Userspace(program string) Engine { return userspace{program} }

type userspace struct{ program string }

// Name returns "userspace".
func (userspace) Name() string { return "userspace" }

// Probe starts an engine in ns and tries with it what the kernel is asked for.
func (u userspace) Probe(ctx context.Context, ns *Namespace) (*Features, error) {
	end, err := u.open(ctx, ns)
	var failed *startError
	if errors.As(err, &failed) {
		f := Feature{Name: "TUN devices and raw sockets", Detail: failed.said, Option: "CONFIG_TUN", Modules: []string{"tun"}}
		return &Features{List: []Feature{f}}, nil
	}
	if err != nil {
		return nil, err
	}
	p := newProber(ctx, end.kernelEndpoint)
	p.found.Interfaces = true
	p.all()
	if err := end.Close(); p.err == nil {
		p.err = err
	}
	return &p.found, p.err
}

// Open starts an engine in ns.
func (u userspace) Open(ctx context.Context, ns *Namespace) (Endpoint, error) {
	end, err := u.open(ctx, ns)
	if err != nil {
		return nil, err // not an Endpoint that holds nil
	}
	return end, nil
}

// userspaceEndpoint is a kernelEndpoint whose messages an engine answers.
type userspaceEndpoint struct {
	*kernelEndpoint
	process *process
}

// engineName is an abstract socket, see notifyName.
const engineName = "@xfrmctl-demo-esp"

func (u userspace) open(ctx context.Context, ns *Namespace) (_ *userspaceEndpoint, err error) {
	p, err := startProcess(ctx, ns, u.program, "esp", "--socket", engineName, "--forget-keys")
	if err != nil {
		return nil, err
	}
	end := &userspaceEndpoint{&kernelEndpoint{ns: ns}, p}
	if err := end.connect(); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return end, nil
}

func (e *userspaceEndpoint) connect() (err error) {
	xfrm := func() (netlinkx.Transport, error) { return e.dial(nlsock.DialXFRM) }
	if e.xfrm, err = netlinkx.Dial(&netlinkx.Config{Dial: xfrm}); err != nil {
		return err
	}
	links := func(at netlinkx.NetNS) (netlinkx.Transport, error) {
		return e.dial(func(path string) (netlinkx.Transport, error) { return nlsock.DialRoute(path, at) })
	}
	e.links, err = ifaces.Dial(&ifaces.Config{NetNS: e.ns.NetNS(), Engine: &ifaces.Engine{Links: links, XFRM: xfrm}})
	if err != nil {
		_ = e.xfrm.Close() // the other error is the news
	}
	return err
}

// dial connects from the namespace, where alone the name is known.
func (e *userspaceEndpoint) dial(connect func(path string) (netlinkx.Transport, error)) (t netlinkx.Transport, err error) {
	err = e.ns.Do(func() (err error) {
		t, err = connect(engineName)
		return err
	})
	return t, err
}

// Errors implements Endpoint.
func (e *userspaceEndpoint) Errors(context.Context) (nonzero []string, counted bool) {
	var doc []byte
	err := e.ns.Do(func() (err error) {
		doc, err = nlsock.Status(engineName)
		return err
	})
	if err != nil {
		return nil, false
	}
	var s struct {
		Counters map[string]uint64 `json:"counters"`
		Law      struct {
			Holds bool `json:"holds"`
		} `json:"law"`
	}
	if err := json.Unmarshal(doc, &s); err != nil {
		return nil, false
	}
	for name, n := range s.Counters {
		if n > 0 {
			nonzero = append(nonzero, fmt.Sprintf("%s %d", name, n))
		}
	}
	if slices.Sort(nonzero); !s.Law.Holds {
		nonzero = append(nonzero, "packets that are not accounted for")
	}
	return nonzero, true
}

// Close implements Endpoint.
func (e *userspaceEndpoint) Close() error {
	return errors.Join(e.kernelEndpoint.Close(), e.process.stop())
}

// privilege tells a missing privilege from what a kernel lacks.
func (e *startError) privilege() error {
	if strings.Contains(e.said, "no right to") {
		return &PrivilegeError{Op: "run an engine", Err: fs.ErrPermission}
	}
	return e
}
