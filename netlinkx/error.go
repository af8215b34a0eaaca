package netlinkx

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// errNotSupported is ENOTSUPP of the kernel's own linux/errno.h, which leaks
// from network drivers and has no name in user space.
const errNotSupported syscall.Errno = 524

// errNoData is Linux's ENODATA, which package syscall lacks on some systems.
const errNoData syscall.Errno = 61

// Error is the kernel's refusal of a request. It answers errors.Is for
//
//	fs.ErrNotExist         ESRCH (SAs), ENOENT (policies), ENODEV
//	fs.ErrExist            EEXIST
//	fs.ErrPermission       EPERM, EACCES
//	errors.ErrUnsupported  EOPNOTSUPP, EPROTONOSUPPORT, EAFNOSUPPORT, ENOPROTOOPT, ENOSYS
//
// and for the errno itself. It never holds key bytes. Errors are values of the
// caller, not changed after they are returned.
type Error struct {
	Op, Object string // what was asked and of what: "add sa", "esp sa 0x00001000 to 192.0.2.1"
	Errno      syscall.Errno
	Text       string // the extended ack's text, verbatim; kernels before 6.1 give none for XFRM
	Attr       string // name of the attribute at fault, for example "SA_DIR"
	Missing    string // name of an attribute that is missing
	Offset     int    // of the fault in the request as sent, its netlink header included; 0 unknown
	Hint       string // what the kernel compared, what is missing, what to run next; one line or ""
}

// Error returns one line without the hint, for example "add esp sa 0x00001000
// to 192.0.2.1: invalid argument: Invalid attribute length (attribute SA_DIR)".
func (e *Error) Error() string {
	s := describe(e.Op, e.Object)
	if e.Errno != 0 {
		s += ": " + errnoText(e.Errno)
	}
	if e.Text != "" {
		s += ": " + oneLine(e.Text)
	}
	if e.Attr != "" {
		s += " (" + attrWords(e.Attr) + ")"
	}
	if e.Missing != "" {
		s += " (missing " + attrWords(e.Missing) + ")"
	}
	return s
}

// Format prints the hint on a second line for %+v; other verbs print Error.
func (e *Error) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('+') {
		s := e.Error()
		if e.Hint != "" {
			s += "\nhint: " + e.Hint
		}
		_, _ = f.Write([]byte(s)) // fmt keeps write errors to itself
		return
	}
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), e.Error())
}

// Unwrap returns the errno.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// Is reports whether the errno is of the class that target names. Errno.Is of
// the syscall package does not know what ESRCH and ENOPROTOOPT mean here.
func (e *Error) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return e.Errno == syscall.ESRCH || e.Errno == syscall.ENOENT || e.Errno == syscall.ENODEV
	case fs.ErrExist:
		return e.Errno == syscall.EEXIST
	case fs.ErrPermission:
		return e.Errno == syscall.EPERM || e.Errno == syscall.EACCES
	case errors.ErrUnsupported:
		switch e.Errno {
		case syscall.EOPNOTSUPP, syscall.EPROTONOSUPPORT, syscall.EAFNOSUPPORT, syscall.ENOPROTOOPT, syscall.ENOSYS, errNotSupported:
			return true
		}
	}
	return false
}

// Warning is extended-ack text that came with success: the kernel did what was
// asked, but not all of it or not as one might think.
type Warning struct{ Op, Object, Text string }

// String returns one line: "add esp sa 0x00001000 to 192.0.2.1: TEXT".
func (w *Warning) String() string { return describe(w.Op, w.Object) + ": " + oneLine(w.Text) }

// describe joins verb and object without naming the kind of object twice:
// "add sa" and "esp sa 0x1 to any" make "add esp sa 0x1 to any".
func describe(op, object string) string {
	verb, noun, ok := strings.Cut(op, " ")
	if ok && strings.Contains(" "+object+" ", " "+noun+" ") {
		op = verb
	}
	return strings.TrimSpace(op + " " + object)
}

// attrWords puts "attribute" in front of a name; an unknown one has it already.
func attrWords(name string) string { return "attribute " + strings.TrimPrefix(name, "attribute ") }

func errnoText(e syscall.Errno) string {
	if e == errNotSupported {
		return "operation not supported (ENOTSUPP)"
	}
	return e.Error()
}

// oneLine replaces what would break a line or steer a terminal: an engine other
// than the kernel may have sent the text.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s))
}

// ackInfo is what an NLMSG_ERROR message with its extended-ack attributes says.
type ackInfo struct {
	errno      syscall.Errno
	text       string // NLMSGERR_ATTR_MSG
	offset     int    // NLMSGERR_ATTR_OFFS, 0 none
	missType   uint16 // NLMSGERR_ATTR_MISS_TYPE
	missOffset int    // NLMSGERR_ATTR_MISS_NEST, 0 top level
	hasMiss    bool
}

// newError makes an Error of a refused request. msg is the request as sent,
// from its netlink header on; nil leaves the attribute unnamed.
func newError(r Request, msg []byte, ack ackInfo) *Error {
	e := &Error{Op: r.op, Object: r.Object(), Errno: ack.errno, Text: ack.text, Offset: ack.offset}
	e.Attr = attrAt(msg, ack.offset)
	if ack.hasMiss {
		e.Missing = attrSpace(r.typ)(AttrType(ack.missType))
	}
	attr := e.Attr
	if attr == "" {
		attr = e.Missing
	}
	e.Hint = explain(r.op, r.typ, ack.errno, ack.text, attr, r.body)
	return e
}

// newDialError makes an Error of a failure to open the socket, to enter the
// namespace or to join groups.
func newDialError(err error) *Error {
	e := &Error{Op: "open", Object: "xfrm netlink socket"}
	if !errors.As(err, &e.Errno) {
		e.Text = err.Error()
		return e
	}
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		e.Object = "network namespace " + file.Path
	}
	e.Hint = explainDial(e.Errno)
	return e
}
