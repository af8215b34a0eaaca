package main

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

func TestServiceManager(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	environ := map[string]string{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}
	m, err := connectServiceManager(func(n string) string { return environ[n] }, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	if m.watchdog != 1500*time.Millisecond {
		t.Errorf("watchdog %v", m.watchdog)
	}
	m.tell("READY=1", "STATUS=serving")
	buf := make([]byte, 100)
	if err := l.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n, _, err := l.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "READY=1\nSTATUS=serving" {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

func TestWatchdogOfAnother(t *testing.T) {
	for _, tt := range []struct {
		usec, pid string
		want      time.Duration
	}{{"", "", 0}, {"x", "", 0}, {"-5", "", 0}, {"2000", "", time.Millisecond}, {"2000", "8", 0}, {"2000", "7", time.Millisecond}} {
		environ := map[string]string{"WATCHDOG_USEC": tt.usec, "WATCHDOG_PID": tt.pid}
		if got := watchdogInterval(func(n string) string { return environ[n] }, 7); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestNoServiceManager(t *testing.T) {
	m, err := connectServiceManager(func(string) string { return "" }, 7)
	if err != nil || m.watchdog != 0 {
		t.Fatalf("%+v, %v", m, err)
	}
	m.tell("READY=1")
	m.close()
	if _, err := connectServiceManager(func(string) string { return "vsock:2:1" }, 7); err == nil {
		t.Error("a socket of an unknown kind is accepted")
	}
}
