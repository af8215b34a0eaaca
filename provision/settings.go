package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"syscall"

	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// features connects to what devices are set by.
func (s *Session) features() (*gsogro.Conn, error) {
	var err error
	if s.gro == nil {
		s.gro, err = gsogro.Dial(&gsogro.Config{NetNS: s.cfg.NetNS})
	}
	return s.gro, err
}

// observeSettings reads those that are wanted and those that are remembered.
// What is not there is left out.
func (s *Session) observeSettings(ctx context.Context, wanted, out *State) error {
	devices := map[string]bool{}
	for _, st := range wanted.Settings {
		devices[st.Device] = true
	}
	for id := range s.store.objects {
		if dev, ok := strings.CutPrefix(string(id), settingsOf); ok {
			devices[dev] = true
		} else if id == (&Settings{}).id() {
			devices[""] = true
		}
	}
	s.alone = s.alone && len(devices) == 0
	for _, dev := range slices.Sorted(maps.Keys(devices)) {
		values, err := s.readSettings(ctx, dev)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		out.Settings = append(out.Settings, &Settings{dev, values})
	}
	return nil
}

// readSettings reads all values of a device, or the default policy. Features are
// read as they are asked for: what depends on another is off with that.
func (s *Session) readSettings(ctx context.Context, device string) (map[string]uint64, error) {
	if device == "" {
		d, err := s.cfg.XFRM.Defaults(ctx)
		if errors.Is(err, syscall.EINVAL) {
			return nil, fs.ErrNotExist // Linux before 5.15
		}
		return map[string]uint64{"in": uint64(d.In), "fwd": uint64(d.Fwd), "out": uint64(d.Out)}, err
	}
	conn, err := s.features()
	if err != nil {
		return nil, err
	}
	st, err := conn.State(ctx, device)
	if err != nil {
		return nil, err
	}
	values := maps.Clone(st.Numbers)
	for name, f := range st.Features {
		values[name] = 0
		if f.Wanted {
			values[name] = 1
		}
	}
	return values, nil
}

// set carries out a step of settings. Those of devices are read back at once,
// and taken back as a whole when a part is refused.
func (s *Session) set(ctx context.Context, st *Settings) error {
	if st.Device == "" {
		v := func(dir string) netlinkx.DefaultAction { return netlinkx.DefaultAction(st.Values[dir]) }
		return s.cfg.XFRM.SetDefaults(ctx, netlinkx.Defaults{In: v("in"), Fwd: v("fwd"), Out: v("out")})
	}
	conn, err := s.features()
	if err != nil {
		return err
	}
	ch := gsogro.Change{Features: map[string]bool{}, Numbers: map[string]uint64{}}
	numbers := slices.Concat(gsogro.SizeNames(), gsogro.NAPINames())
	for name, v := range st.Values {
		if slices.Contains(numbers, name) {
			ch.Numbers[name] = v
		} else {
			ch.Features[name] = v != 0
		}
	}
	_, err = conn.Apply(ctx, st.Device, ch)
	return err
}

// relookup makes the kernel look up again what it knows of routes, which is
// what a change of the default policy does, also one to nothing else. Kernels
// before 5.15 have none; there new policies do it.
func (s *Session) relookup(ctx context.Context) error {
	err := s.cfg.XFRM.SetDefaults(ctx, netlinkx.Defaults{})
	if errors.Is(err, syscall.EINVAL) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up routes again: %w", err)
	}
	return nil
}
