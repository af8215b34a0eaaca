package gsogro

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Stats returns a device's own counters by name, as `ethtool -S` prints them;
// an empty map for a device without any. They exist only behind an ioctl.
func (c *Conn) Stats(device string) (map[string]uint64, error) {
	if len(device) >= unix.IFNAMSIZ {
		return nil, fmt.Errorf("get counters of %s: %w", device, unix.ENODEV)
	}
	var out map[string]uint64
	err := inNamespace(c.home, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		defer unix.Close(fd) // nothing was written
		out, err = readStats(fd, device)
		return err
	})
	if err != nil {
		return nil, refused("get counters of", device, err)
	}
	return out, nil
}

// inNamespace runs fn on a thread in the namespace; nil is the caller's.
func inNamespace(home *os.File, fn func() error) error {
	if home == nil {
		return fn()
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- os.NewSyscallError("setns", err)
			return
		}
		result <- fn()
	}()
	return <-result
}

// Sizes of linux/ethtool.h.
const (
	ethSSStats   = 1
	ethGStringSz = 32
	maxStats     = 1 << 16
)

// readStats asks for the number of counters, their names and their values.
//
//	ethtool_sset_info  cmd u32, reserved u32, mask u64, length u32
//	ethtool_gstrings   cmd u32, set u32, len u32, names of 32 bytes
//	ethtool_stats      cmd u32, n u32, values of 8 bytes
func readStats(fd int, device string) (map[string]uint64, error) {
	info := make([]byte, 20)
	binary.NativeEndian.PutUint32(info, unix.ETHTOOL_GSSET_INFO)
	binary.NativeEndian.PutUint64(info[8:], 1<<ethSSStats)
	if err := ethtoolIoctl(fd, device, info); err == unix.EOPNOTSUPP {
		return map[string]uint64{}, nil
	} else if err != nil {
		return nil, err
	}
	n := int(binary.NativeEndian.Uint32(info[16:]))
	if binary.NativeEndian.Uint64(info[8:]) == 0 || n == 0 {
		return map[string]uint64{}, nil
	}
	if n > maxStats {
		return nil, fmt.Errorf("%d counters", n)
	}
	names := make([]byte, 12+n*ethGStringSz)
	binary.NativeEndian.PutUint32(names, unix.ETHTOOL_GSTRINGS)
	binary.NativeEndian.PutUint32(names[4:], ethSSStats)
	binary.NativeEndian.PutUint32(names[8:], uint32(n))
	if err := ethtoolIoctl(fd, device, names); err != nil {
		return nil, err
	}
	values := make([]byte, 8+n*8)
	binary.NativeEndian.PutUint32(values, unix.ETHTOOL_GSTATS)
	binary.NativeEndian.PutUint32(values[4:], uint32(n))
	if err := ethtoolIoctl(fd, device, values); err != nil {
		return nil, err
	}
	out := make(map[string]uint64, n)
	for i := range n {
		name, _, _ := bytes.Cut(names[12+i*ethGStringSz:12+(i+1)*ethGStringSz], []byte{0})
		out[string(name)] = binary.NativeEndian.Uint64(values[8+i*8:])
	}
	return out, nil
}

// ifreq is struct ifreq with ifr_data.
type ifreq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

// ethtoolIoctl passes b to the driver, which writes its answer into it. b is
// pinned: the kernel gets its address inside of another structure, where the
// garbage collector does not look.
func ethtoolIoctl(fd int, device string, b []byte) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&b[0])
	r := &ifreq{data: unsafe.Pointer(&b[0])}
	copy(r.name[:], device)
	pin.Pin(r)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(r)))
	if errno != 0 {
		return errno
	}
	return nil
}
