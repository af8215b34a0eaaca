package netlinkx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestNetNSOpen(t *testing.T) {
	own, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		ns   NetNS
		want error // nil: opens
		text string
	}{
		{"path", NetNSAt("/proc/self/ns/net"), nil, ""},
		{"fd", NetNSFD(int(own.Fd())), nil, ""},
		{"no such name", NamedNetNS("no-such-namespace"), fs.ErrNotExist,
			"network namespace no-such-namespace: open /run/netns/no-such-namespace: no such file or directory"},
		{"no such path", NetNSAt(plain + "x"), fs.ErrNotExist, ""},
		{"name with slash", NamedNetNS("../etc"), fs.ErrInvalid, ""},
		{"name of parent", NamedNetNS(".."), fs.ErrInvalid, ""},
		{"empty name", NamedNetNS(""), fs.ErrInvalid, ""},
		{"empty path", NetNSAt(""), fs.ErrNotExist, ""},
		{"bad fd", NetNSFD(-1), syscall.EBADF, ""},
		{"plain file", NetNSAt(plain), errNotNetNS, ""},
		{"other kind of namespace", NetNSAt("/proc/self/ns/mnt"), errNotNetNS, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.ns.IsZero() {
				t.Error("IsZero of a named namespace")
			}
			f, err := tt.ns.Open()
			if tt.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if f.Fd() == own.Fd() {
					t.Error("the file was not duplicated")
				}
				sameFile(t, own, f)
				return
			}
			if f != nil || !errors.Is(err, tt.want) {
				t.Fatalf("got %v, %v, want error %v", f, err, tt.want)
			}
			if tt.text != "" && err.Error() != tt.text {
				t.Errorf("error %q, want %q", err, tt.text)
			}
		})
	}
}

func sameFile(t *testing.T, a, b *os.File) {
	t.Helper()
	ai, err := a.Stat()
	if err != nil {
		t.Fatal(err)
	}
	bi, err := b.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(ai, bi) {
		t.Error("opened another namespace than asked for")
	}
}

func TestNetNSZero(t *testing.T) {
	f, err := NetNS{}.Open()
	if f != nil || err != nil || !(NetNS{}).IsZero() || (NetNS{}).String() != "" {
		t.Errorf("zero namespace: %v, %v, %q", f, err, NetNS{})
	}
}

func TestNetNSString(t *testing.T) {
	for want, ns := range map[string]NetNS{"blue": NamedNetNS("blue"), "/proc/1/ns/net": NetNSAt("/proc/1/ns/net"), "fd 0": NetNSFD(0)} {
		if ns.String() != want {
			t.Errorf("%q, want %q", ns, want)
		}
	}
}
