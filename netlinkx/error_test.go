package netlinkx

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/mdlayher/netlink"
)

func TestErrorText(t *testing.T) {
	sa, pol := testSA(), testPolicy()
	tests := []struct {
		name string
		err  *Error
		want string
	}{
		{"errno alone", newError(AddSA(sa), nil, ackInfo{errno: syscall.EEXIST}), "add esp sa 0x00001000 to 192.0.2.2: file exists"},
		{"text", newError(AddSA(sa), nil, ackInfo{errno: syscall.EINVAL, text: "Unsupported mode"}), "add esp sa 0x00001000 to 192.0.2.2: invalid argument: Unsupported mode"},
		{"policy", newError(DeletePolicy(ptr(pol.ID())), nil, ackInfo{errno: syscall.ENOENT}), "delete out policy 10.1.0.0/24 -> 10.2.0.0/24: no such file or directory"},
		{"missing", newError(SetAE(&AE{}), nil, ackInfo{errno: syscall.EINVAL, hasMiss: true, missType: 10}), "(missing attribute REPLAY_VAL)"},
		{"missing in another space", newError(SetSPDInfo(&SPDInfo{}), nil, ackInfo{errno: syscall.EINVAL, hasMiss: true, missType: 3}), "(missing attribute SPD_IPV4_HTHRESH)"},
		{"missing and new", newError(SetAE(&AE{}), nil, ackInfo{errno: syscall.EINVAL, hasMiss: true, missType: 77}), "invalid argument (missing attribute 77)"},
		{"hostile text", newError(FlushSAs(0), nil, ackInfo{errno: syscall.EPERM, text: " a\nb\x1b[2J "}), "flush sas of every protocol: operation not permitted: a b [2J"},
		{"kernel's own errno", newError(FlushSAs(0), nil, ackInfo{errno: 524}), "operation not supported (ENOTSUPP)"},
		{"unknown errno", newError(FlushSAs(0), nil, ackInfo{errno: 4000}), "errno 4000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.err.Error()
			if !strings.HasSuffix(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

func TestErrorFormat(t *testing.T) {
	e := &Error{Op: "add", Object: "x", Errno: syscall.EEXIST, Hint: "look"}
	for format, want := range map[string]string{
		"%v":  "add x: file exists",
		"%s":  "add x: file exists",
		"%q":  `"add x: file exists"`,
		"%+v": "add x: file exists\nhint: look",
		"%d":  "%!d(string=add x: file exists)",
	} {
		if got := fmt.Sprintf(format, e); got != want {
			t.Errorf("%s prints %q, want %q", format, got, want)
		}
	}
	e.Hint = ""
	if got := fmt.Sprintf("%+v", e); got != "add x: file exists" {
		t.Errorf("without hint: %q", got)
	}
}

func TestErrorIs(t *testing.T) {
	classes := []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, errors.ErrUnsupported}
	tests := map[syscall.Errno]error{
		syscall.ESRCH: fs.ErrNotExist, syscall.ENOENT: fs.ErrNotExist, syscall.ENODEV: fs.ErrNotExist,
		syscall.EEXIST: fs.ErrExist,
		syscall.EPERM:  fs.ErrPermission, syscall.EACCES: fs.ErrPermission,
		syscall.EOPNOTSUPP: errors.ErrUnsupported, syscall.EPROTONOSUPPORT: errors.ErrUnsupported, syscall.ENOSYS: errors.ErrUnsupported,
		syscall.EAFNOSUPPORT: errors.ErrUnsupported, syscall.ENOPROTOOPT: errors.ErrUnsupported, 524: errors.ErrUnsupported,
		syscall.EINVAL: nil, syscall.ENOBUFS: nil, syscall.EBUSY: nil, errNoData: nil, syscall.ERANGE: nil,
	}
	for errno, want := range tests {
		err := fmt.Errorf("wrapped: %w", newError(AddSA(testSA()), nil, ackInfo{errno: errno}))
		if !errors.Is(err, errno) {
			t.Errorf("%v: not its own errno", errno)
		}
		for _, class := range classes {
			if got := errors.Is(err, class); got != (class == want) {
				t.Errorf("%v is %v: %v", errno, class, got)
			}
		}
	}
}

func TestNewError(t *testing.T) {
	req := AddSA(testSA(func(sa *SA) { sa.Dir = DirIn }))
	msg, err := AppendRequest(nil, req, 1, flagAck)
	if err != nil {
		t.Fatal(err)
	}
	e := newError(req, msg, ackInfo{errno: syscall.ERANGE, text: "integer out of range", offset: len(msg) - 8})
	want := "add esp sa 0x00001000 to 192.0.2.2: numerical result out of range: integer out of range (attribute SA_DIR)"
	if e.Error() != want || e.Attr != "SA_DIR" || e.Offset != len(msg)-8 || e.Text != "integer out of range" || e.Errno != syscall.ERANGE {
		t.Errorf("got %q, want %q; %#v", e, want, *e)
	}
	if e.Hint != "a direction is 1 (in) or 2 (out)" {
		t.Errorf("hint %q", e.Hint)
	}
}

func TestWarning(t *testing.T) {
	w := &Warning{Op: "add sa", Object: testSA().String(), Text: "bonding: Slave does not\nsupport ipsec offload"}
	if got, want := w.String(), "add esp sa 0x00001000 to 192.0.2.2: bonding: Slave does not support ipsec offload"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDialError(t *testing.T) {
	_, missing := NamedNetNS("no-such-namespace").Open()
	_, plain := NetNSAt("/proc/self/ns/mnt").Open()
	socket := func(errno syscall.Errno) error {
		return &netlink.OpError{Op: "socket", Err: os.NewSyscallError("socket", errno)}
	}
	tests := []struct {
		name       string
		err        error
		text, hint string
		is         error
	}{
		{"no xfrm", socket(syscall.EPROTONOSUPPORT), "open xfrm netlink socket: protocol not supported", "modprobe xfrm_user", errors.ErrUnsupported},
		{"no netlink", socket(syscall.EAFNOSUPPORT), "open xfrm netlink socket: address family not supported", "sandbox", errors.ErrUnsupported},
		{"setns", os.NewSyscallError("setns", syscall.EPERM), "open xfrm netlink socket: operation not permitted", "CAP_SYS_ADMIN", fs.ErrPermission},
		{"files", socket(syscall.EMFILE), "open xfrm netlink socket: too many open files", "ulimit", syscall.EMFILE},
		{"group", socket(syscall.EINVAL), "open xfrm netlink socket: invalid argument", "group", syscall.EINVAL},
		{"no namespace", missing, "open network namespace /run/netns/no-such-namespace: no such file or directory", "ip netns list", fs.ErrNotExist},
		{"other namespace", plain, "open xfrm netlink socket: network namespace /proc/self/ns/mnt: not a network namespace", "", nil},
		{"other errno", socket(syscall.EIO), "open xfrm netlink socket: input/output error", "", syscall.EIO},
		{"no errno", net.ErrClosed, "open xfrm netlink socket: use of closed network connection", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newDialError(tt.err)
			if !strings.HasPrefix(e.Error(), tt.text) || !strings.Contains(e.Hint, tt.hint) || (tt.hint == "") != (e.Hint == "") {
				t.Errorf("got %+v\nwant %q, hint with %q", e, tt.text, tt.hint)
			}
			if tt.is != nil && !errors.Is(e, tt.is) {
				t.Errorf("%v is not %v", e, tt.is)
			}
			if tt.is == nil && errors.Unwrap(e) != nil {
				t.Errorf("unwraps to %v", errors.Unwrap(e))
			}
		})
	}
}
