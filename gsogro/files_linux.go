package gsogro

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// files reads and writes /sys/class/net of a namespace. What sysfs shows is
// decided by the namespace of whoever mounted it, so another namespace needs a
// mount of its own, on a thread that ends afterwards.
type files struct {
	home *os.File // nil: the caller's
}

func newFiles(home *os.File) sysfs { return files{home: home} }

const sysClassNet = "/sys/class/net"

// read returns the trimmed content of device's file. Errors are those of os.
func (f files) read(device, name string) (string, error) {
	var out string
	err := f.at(func() error {
		b, err := os.ReadFile(filepath.Join(sysClassNet, device, name))
		out = strings.TrimSpace(string(b))
		return err
	})
	return out, err
}

func (f files) write(device, name, value string) error {
	return f.at(func() error {
		file, err := os.OpenFile(filepath.Join(sysClassNet, device, name), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = file.WriteString(value)
		return errors.Join(err, file.Close())
	})
}

// driver returns the name of the driver of hardware, "" for virtual devices.
func (f files) driver(device string) (string, error) {
	var out string
	err := f.at(func() error {
		target, err := os.Readlink(filepath.Join(sysClassNet, device, "device", "driver"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		out = filepath.Base(target)
		return err
	})
	return out, err
}

// at runs fn where /sys is that of the namespace. Whoever may not mount sees
// the /sys that is there, which is right for all but those who entered a
// namespace by hand.
func (f files) at(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := f.enter()
		if f.home == nil && errors.Is(err, fs.ErrPermission) {
			err = nil
		}
		if err == nil {
			err = fn()
		}
		result <- err
	}()
	return <-result
}

func (f files) enter() error {
	if f.home != nil {
		if err := unix.Setns(int(f.home.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
	}
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace for /sys: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("keep mounts to a thread: %w", err)
	}
	err := unix.Mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if err != nil && !errors.Is(err, unix.EBUSY) { // busy: what is there is this namespace's already
		return fmt.Errorf("mount /sys of the network namespace: %w", err)
	}
	return nil
}
