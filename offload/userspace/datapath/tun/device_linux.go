package tun

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const clonePath = "/dev/net/tun"

// Config says what device Create makes. Only the name is necessary.
type Config struct {
	Name string
	// Queues is how many queues the device has, 0 for one. Some kernels and
	// sandboxes have no multi-queue TUN: Device.Queues tells what came of it.
	Queues int
	// Persist keeps the device, with its addresses and routes, when the
	// process ends: what is routed there is then dropped, not sent in clear
	// by another route. Create adopts a device that persisted.
	Persist bool
	// NoTSO and NoUSO switch super-packets off in the direction from the
	// device, for a kernel that gets them wrong.
	NoTSO, NoUSO bool
}

// Device is a TUN device. Its methods are safe for concurrent use, those of its
// queues are not.
type Device struct {
	queues   []*Queue
	offloads Offloads
	index    int
}

// Create makes the device, in the network namespace of the calling thread. It
// is down and has no addresses. The error of a name that is taken answers
// errors.Is(err, fs.ErrExist).
func Create(c Config) (*Device, error) {
	if len(c.Name) == 0 || len(c.Name) >= unix.IFNAMSIZ {
		return nil, fmt.Errorf("create tun device %q: a name has 1 to %d bytes", c.Name, unix.IFNAMSIZ-1)
	}
	queues, err := attachAll(c)
	if err != nil {
		return nil, fmt.Errorf("create tun device %s: %w", c.Name, err)
	}
	d := &Device{queues: queues}
	if err := d.prepare(c); err != nil {
		d.Close()
		return nil, fmt.Errorf("create tun device %s: %w", c.Name, err)
	}
	return d, nil
}

// attachAll opens the queues. A device without IFF_MULTI_QUEUE cannot get a
// second queue, and the kernel says so with EINVAL: then there is one.
func attachAll(c Config) ([]*Queue, error) {
	n := max(c.Queues, 1)
	var flags uint16
	if n > 1 {
		flags = unix.IFF_MULTI_QUEUE
	}
	if !c.Persist {
		flags |= unix.IFF_TUN_EXCL
	}
	first, err := attach(c.Name, flags)
	if errors.Is(err, unix.EINVAL) && n > 1 {
		n = 1
		first, err = attach(c.Name, flags&^unix.IFF_MULTI_QUEUE)
	}
	if err != nil {
		return nil, err
	}
	queues := []*Queue{first}
	for len(queues) < n {
		q, err := attach(c.Name, flags&^unix.IFF_TUN_EXCL)
		if err != nil {
			break // fewer queues than asked for work as well
		}
		queues = append(queues, q)
	}
	return queues, nil
}

func attach(name string, flags uint16) (*Queue, error) {
	fd, err := unix.Open(clonePath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: clonePath, Err: err}
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(flags | unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		unix.Close(fd)
		if errors.Is(err, unix.EBUSY) {
			err = unix.EEXIST // what TUNSETIFF answers for a name in use
		}
		return nil, os.NewSyscallError("ioctl TUNSETIFF", err)
	}
	return &Queue{fd: fd}, nil
}

func (d *Device) prepare(c Config) error {
	persist := 0
	if c.Persist {
		persist = 1
	}
	fd := d.queues[0].fd
	if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, persist); err != nil {
		return os.NewSyscallError("ioctl TUNSETPERSIST", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, HeaderLen); err != nil {
		return os.NewSyscallError("ioctl TUNSETVNETHDRSZ", err)
	}
	d.offloads = setOffloads(fd, c)
	index, err := indexOf(fd)
	d.index = index
	return err
}

// Queues returns the queues, at least one. They belong to the device.
func (d *Device) Queues() []*Queue { return d.queues }

// Offloads returns what super-packets reads may bring.
func (d *Device) Offloads() Offloads { return d.offloads }

// Index returns the device's index in the namespace of its birth. A move to
// another namespace may change it.
func (d *Device) Index() int { return d.index }

// Name asks the kernel for the device's name, which ip link may have changed.
func (d *Device) Name() (string, error) { return nameOf(d.queues[0].fd) }

// Forget makes the device vanish with its last queue even if it was made to
// persist.
func (d *Device) Forget() error {
	return os.NewSyscallError("ioctl TUNSETPERSIST", unix.IoctlSetInt(d.queues[0].fd, unix.TUNSETPERSIST, 0))
}

// Close closes the queues; nobody may be using them. The device is gone unless
// it persists.
func (d *Device) Close() error {
	var errs []error
	for _, q := range d.queues {
		errs = append(errs, q.close())
	}
	return errors.Join(errs...)
}

func nameOf(fd int) (string, error) {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return "", err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr); err != nil {
		return "", os.NewSyscallError("ioctl TUNGETIFF", err)
	}
	return ifr.Name(), nil
}

func indexOf(fd int) (int, error) {
	name, err := nameOf(fd)
	if err != nil {
		return 0, err
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	defer unix.Close(s)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFINDEX, ifr); err != nil {
		return 0, os.NewSyscallError("ioctl SIOCGIFINDEX", err)
	}
	return int(ifr.Uint32()), nil
}
