package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// serviceManager tells systemd how the engine is doing (sd_notify(3)). The zero
// value tells nobody. It is safe for concurrent use.
type serviceManager struct {
	conn     net.Conn
	watchdog time.Duration // how often it wants to hear from us, 0 never
}

// connectServiceManager connects to who has started us, if that is systemd. pid
// is our own: the watchdog may be meant for another process.
func connectServiceManager(getenv func(string) string, pid int) (*serviceManager, error) {
	path := getenv("NOTIFY_SOCKET")
	if path == "" {
		return &serviceManager{}, nil
	}
	if strings.HasPrefix(path, "@") || strings.HasPrefix(path, "/") {
		c, err := net.Dial("unixgram", path)
		if err != nil {
			return nil, fmt.Errorf("service manager: %w", err)
		}
		return &serviceManager{conn: c, watchdog: watchdogInterval(getenv, pid)}, nil
	}
	return nil, fmt.Errorf("service manager: NOTIFY_SOCKET %q is not supported", path)
}

// watchdogInterval is half of the time after which systemd gives us up.
func watchdogInterval(getenv func(string) string, pid int) time.Duration {
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 {
		return 0
	}
	if p := getenv("WATCHDOG_PID"); p != "" && p != strconv.Itoa(pid) {
		return 0
	}
	return time.Duration(usec) * time.Microsecond / 2
}

// tell sends assignments, such as READY=1. What does not arrive is not missed:
// systemd then acts as if we had not said it.
func (m *serviceManager) tell(assignments ...string) {
	if m.conn == nil {
		return
	}
	_ = m.conn.SetWriteDeadline(time.Now().Add(time.Second)) // a closed socket fails by itself
	_, _ = m.conn.Write([]byte(strings.Join(assignments, "\n")))
}

func (m *serviceManager) close() {
	if m.conn != nil {
		_ = m.conn.Close()
	}
}
