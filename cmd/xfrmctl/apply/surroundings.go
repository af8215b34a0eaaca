package apply

import (
	"context"
	"os"
	"strings"

	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// surroundings answer what documents ask about this machine. What was found out
// is kept for one run.
type surroundings struct {
	env    *Env
	links  *gsogro.Conn // nil: not needed yet
	placer *offload.Placer
	mtus   map[string]int
}

// surroundings are those of a run, as package document has them.
func (n *Node) surroundings(env *Env) (*document.Surroundings, error) {
	userspace, err := env.Userspace()
	if err != nil {
		return nil, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	s := &surroundings{env: env, mtus: map[string]int{}}
	n.around, n.source = s, &keys.Source{Getenv: env.Getenv}
	return &document.Surroundings{
		Keys: n.source, BootID: strings.TrimSpace(string(boot)), BootIDs: n.Boots, Userspace: userspace,
		UnderlayMTU: s.mtu, Device: s.device, Namespace: namespace, Place: s.place,
	}, nil
}

func (s *surroundings) mtu(_ context.Context, name string) (int, error) {
	if s.mtus[name] != 0 {
		return s.mtus[name], nil
	}
	mtu, err := provision.DeviceMTU(s.env.NetNS, name)
	s.mtus[name] = mtu
	return mtu, err
}

func namespace(name string) error {
	f, err := netlinkx.NamedNetNS(name).Open()
	if err != nil {
		return err
	}
	return f.Close()
}

// device reads what a device is set to.
func (s *surroundings) device(ctx context.Context, name string) (*gsogro.State, error) {
	if err := s.connect(); err != nil {
		return nil, err
	}
	return s.links.State(ctx, name)
}

// connect opens the connection that the process keeps until it ends.
func (s *surroundings) connect() (err error) {
	if s.links == nil {
		s.links, err = gsogro.Dial(&gsogro.Config{NetNS: s.env.NetNS})
	}
	return err
}

// place decides as `state add … offload WORD` does, but for asking the kernel:
// that is part of applying.
func (s *surroundings) place(ctx context.Context, sa *netlinkx.SA, wish *document.Wish) (*provision.Placement, error) {
	if err := s.connect(); err != nil {
		return nil, err
	}
	if s.placer == nil {
		s.placer = &offload.Placer{NetNS: s.env.NetNS, Links: s.links}
	}
	out := &provision.Placement{Want: wish.Want, Choice: offload.Choice{Rung: offload.RungSoftware}}
	index, device, err := s.deviceOf(ctx, sa, wish)
	if err != nil {
		if wish.Want == offload.Auto {
			out.Reason, err = err.Error(), nil
		}
		return out, err
	}
	choice, err := s.placer.Climb(ctx, sa, device, wish.Want.Types(wish.Packet), nil)
	if err != nil {
		return nil, err
	}
	out.Choice = *choice
	if choice.NIC != "" {
		sa.Offload = offload.Request(choice.Type(), sa.Dir, index)
	}
	return out, nil
}

// deviceOf returns the device that a document names, or that of the route.
func (s *surroundings) deviceOf(ctx context.Context, sa *netlinkx.SA, wish *document.Wish) (index int32, device string, err error) {
	if wish.Device != "" {
		index, err = s.placer.Index(ctx, wish.Device)
		return index, wish.Device, err
	}
	if index, err = s.placer.PathDevice(sa); err == nil {
		device, err = s.placer.Name(ctx, index)
	}
	return index, device, err
}
