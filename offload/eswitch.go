package offload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Eswitch is what devlink tells of a NIC's switch, on which packet offload of
// mlx5 depends. A word that the device does not tell is "".
type Eswitch struct {
	Mode string `json:"mode,omitempty"` // legacy, switchdev, switchdev-inactive
	// Encap is whether the switch may encapsulate: none, basic.
	Encap string `json:"encap,omitempty"`
	// Steering is who manages the tables: dmfs (the device), smfs, hmfs.
	Steering string `json:"steering,omitempty"`
}

// Names of facts about the NIC, see Facts. What it does not tell is absent.
const (
	FactEswitch  = "eswitch"
	FactEncapSw  = "eswitch_encap"
	FactSteering = "steering"
)

// add gives the facts of the switch to rules; a nil Eswitch has none.
func (e *Eswitch) add(f Facts) {
	if e == nil {
		return
	}
	for name, v := range map[string]string{FactEswitch: e.Mode, FactEncapSw: e.Encap, FactSteering: e.Steering} {
		if v != "" {
			f[name] = v
		}
	}
}

// String says it in a line, "" for nothing.
func (e *Eswitch) String() string {
	s := ""
	if e == nil {
		return s
	}
	for _, w := range [][2]string{{"eswitch ", e.Mode}, {"encap-mode ", e.Encap}, {"flow_steering_mode ", e.Steering}} {
		if w[1] != "" {
			s += ", " + w[0] + w[1]
		}
	}
	return s
}

// Numbers of linux/devlink.h.
const (
	netlinkGeneric    = 16
	devlinkFamily     = "devlink"
	devlinkVersion    = 1
	devlinkEswitchGet = 29
	devlinkParamGet   = 38
	dlBusName         = 1
	dlDevName         = 2
	dlEswitchMode     = 25
	dlEswitchEncap    = 62
	dlParam           = 80
	dlParamName       = 81
	dlParamValuesList = 84
	dlParamValue      = 85
	dlParamValueData  = 86
)

// ReadEswitch asks devlink about a device on a bus ("pci", "0000:3b:00.0"). It
// changes nothing. nil means that devlink knows nothing of it; nor may those
// without CAP_NET_ADMIN ask.
func ReadEswitch(ctx context.Context, ns netlinkx.NetNS, bus, slot string) (*Eswitch, error) {
	cfg := &netlink.Config{Strict: true}
	f, err := ns.Open()
	if err != nil {
		return nil, err
	}
	if f != nil {
		defer f.Close() // opened for reading: nothing is lost
		cfg.NetNS = int(f.Fd())
	}
	conn, err := genetlink.Dial(cfg)
	if err != nil {
		return nil, fmt.Errorf("open devlink: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // a read under way fails
	e, err := askEswitch(conn, bus, slot)
	return e, errors.Join(err, conn.Close())
}

func askEswitch(conn *genetlink.Conn, bus, slot string) (*Eswitch, error) {
	family, err := conn.GetFamily(devlinkFamily)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // CONFIG_NET_DEVLINK
	}
	if err != nil {
		return nil, fmt.Errorf("find devlink: %w", err)
	}
	ask := func(cmd uint8, param string) ([]genetlink.Message, error) {
		ae := netlink.NewAttributeEncoder()
		ae.String(dlBusName, bus)
		ae.String(dlDevName, slot)
		if param != "" {
			ae.String(dlParamName, param)
		}
		data, err := ae.Encode()
		if err != nil {
			return nil, err
		}
		return conn.Execute(genetlink.Message{Header: genetlink.Header{Command: cmd, Version: devlinkVersion}, Data: data}, family.ID, netlink.Request)
	}
	e := &Eswitch{}
	for cmd, param := range map[uint8]string{devlinkEswitchGet: "", devlinkParamGet: "flow_steering_mode"} {
		msgs, err := ask(cmd, param)
		if refusedByDevlink(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("ask devlink about %s/%s: %w", bus, slot, err)
		}
		for _, m := range msgs {
			if err := e.decode(m.Data); err != nil {
				return nil, fmt.Errorf("malformed devlink reply: %w", err)
			}
		}
	}
	if *e == (Eswitch{}) {
		return nil, nil
	}
	return e, nil
}

// refusedByDevlink: the device, the driver or the kernel knows no such thing,
// or the caller may not ask.
func refusedByDevlink(err error) bool {
	for _, errno := range []syscall.Errno{syscall.ENODEV, syscall.EOPNOTSUPP, syscall.EINVAL, syscall.EPERM, syscall.EACCES, syscall.ENOENT} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// decode reads an ESWITCH_GET or PARAM_GET reply.
func (e *Eswitch) decode(b []byte) error {
	ad, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return err
	}
	for ad.Next() {
		switch ad.Type() {
		case dlEswitchMode:
			e.Mode = word(int(ad.Uint16()), "legacy", "switchdev", "switchdev-inactive")
		case dlEswitchEncap:
			e.Encap = word(int(ad.Uint8()), "none", "basic")
		case dlParam:
			ad.Nested(e.param)
		}
	}
	return ad.Err()
}

// param reads a string from the nests of a parameter's values.
func (e *Eswitch) param(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case dlParamValuesList, dlParamValue:
			ad.Nested(e.param)
		case dlParamValueData:
			e.Steering = ad.String()
		}
	}
	return nil
}

func word(n int, words ...string) string {
	if n < len(words) {
		return words[n]
	}
	return fmt.Sprint(n)
}
