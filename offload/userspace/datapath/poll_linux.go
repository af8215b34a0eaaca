package datapath

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller waits for a worker's sources, and for those who want the worker.
type poller struct {
	epoll  int
	event  int // eventfd that wake writes to
	events [64]unix.EpollEvent
}

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("start worker: %w", os.NewSyscallError("epoll_create1", err))
	}
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("start worker: %w", os.NewSyscallError("eventfd", err))
	}
	p := &poller{epoll: epoll, event: event}
	if err := p.add(event); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poller) add(fd int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &e))
}

// remove may be asked for what is gone already.
func (p *poller) remove(fd int) {
	_ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, fd, nil)
}

func (p *poller) wake() {
	one := [8]byte{1}
	_, _ = unix.Write(p.event, one[:]) // EAGAIN: it is awake anyway
}

// wait heats the sources that are ready. With block it waits for one.
func (p *poller) wait(w *worker, block bool) (woken bool) {
	var n int
	if block {
		w.shown.set(&w.stats)
		n, _ = unix.EpollWait(p.epoll, p.events[:], -1)
	} else {
		// As in package tun: without telling Go's scheduler.
		r, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), 0, 0, 0)
		if errno == 0 {
			n = int(r)
		}
	}
	for i := range max(n, 0) {
		fd := int(p.events[i].Fd)
		if fd == p.event {
			var b [8]byte
			_, _ = unix.Read(p.event, b[:])
			woken = true
			continue
		}
		if s := w.sources[fd]; s != nil {
			w.heat(s)
		}
	}
	return woken
}

func (p *poller) close() {
	unix.Close(p.epoll)
	unix.Close(p.event)
}

// lingerTime is long enough for a few dozen packets of plain ESP, and short
// beside the round trip of a network.
const lingerTime = 60 * time.Microsecond

// linger lets others run for a moment.
func linger(long bool) {
	if !long {
		unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		return
	}
	ts := unix.NsecToTimespec(int64(lingerTime))
	unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// sharpenTimers makes this thread's short sleeps as short as they are meant:
// the kernel adds 50 us otherwise.
func sharpenTimers() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}
