package document

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// kind is a kind of single values: how one is read, and what the schema says of
// it.
type kind[T any] struct {
	parse func(string) (T, error)
	form  form
}

// What the schema says of names. They are looked at without it: compiling these
// takes a program longer than all else that it does when it starts.
const (
	namePattern      = `^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$`
	namespacePattern = `^[^/ \t\n]{1,255}$`
	devicePattern    = `^[^/:% \x00-\x1f\x7f]{1,15}$`
)

func isName(s string) bool {
	other := func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '.' && r != '-'
	}
	return s != "" && len(s) <= 64 && s[0] != '.' && !strings.ContainsFunc(s, other)
}

func isNamespace(s string) bool {
	n := utf8.RuneCountInString(s)
	return 1 <= n && n <= 255 && !strings.ContainsAny(s, "/ \t\n")
}

func isDevice(s string) bool {
	refused := func(r rune) bool { return r <= ' ' || r == 0x7f || r == '/' || r == ':' || r == '%' }
	// the kernel takes the byte 0xa0, wherever it comes from, for a blank (isspace)
	return s != "" && len(s) <= 15 && !strings.ContainsFunc(s, refused) && strings.IndexByte(s, 0xa0) < 0
}

// name is that of a node, a tunnel or an owner.
func name() kind[string] {
	return kind[string]{func(s string) (string, error) {
		if !isName(s) || strings.Contains(s, "-to-") {
			return "", fmt.Errorf("%q is no name: letters, digits, - _ . and at most 64 of them, without -to-", s)
		}
		return s, nil
	}, form{Type: "string", Pattern: namePattern, Not: &form{Pattern: "-to-"}}}
}

// Name returns s if it may be the name of a node, a tunnel or an owner.
func Name(s string) (string, error) { return name().parse(s) }

// word is any text.
func word() kind[string] {
	return kind[string]{func(s string) (string, error) {
		if s == "" {
			return "", errors.New("it is empty")
		}
		return s, nil
	}, form{Type: "string", MinLength: 1}}
}

// device is the name of a network device.
func device() kind[string] {
	return kind[string]{func(s string) (string, error) {
		switch {
		case !isDevice(s):
			return "", fmt.Errorf("%q is no name of a device: at most 15 bytes without / : %% and blanks", s)
		case slices.Contains(noDevices(), s):
			return "", fmt.Errorf("%q is no name of a device: the kernel has another meaning for it", s)
		}
		return s, nil
	}, form{Type: "string", Pattern: devicePattern, Not: &form{Enum: noDevices()}}}
}

// noDevices are names that no device can have: those of folders, also of the
// settings of all devices.
func noDevices() []string { return []string{".", "..", "all", "default"} }

// namespace is the name of a network namespace, as `ip netns` has it.
func namespace() kind[string] {
	return kind[string]{func(s string) (string, error) {
		if !isNamespace(s) || s == "." || s == ".." {
			return "", fmt.Errorf("%q is no name of a network namespace, a file in /run/netns", s)
		}
		return s, nil
	}, form{Type: "string", Pattern: namespacePattern, Not: &form{Enum: []string{".", ".."}}}}
}

func oneOf(words ...string) kind[string] {
	return kind[string]{func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
		}
		return s, nil
	}, form{Type: "string", Enum: words}}
}

func cipher() kind[string] {
	var names []string
	for _, x := range Suites() {
		names = append(names, x.Name)
	}
	return oneOf(names...)
}

// guard is true or false, or one of the two ways to guard.
func guard() kind[string] {
	k := oneOf("true", "false", "routes", "policies")
	k.form = form{AnyOf: []form{{Type: "boolean"}, {Type: "string", Enum: []string{"routes", "policies"}}}}
	return k
}

func boolean() kind[bool] {
	return kind[bool]{func(s string) (bool, error) {
		switch s {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, fmt.Errorf("%q is neither true nor false", s)
	}, form{Type: "boolean"}}
}

// routing says what routes a tunnel has.
func routing() kind[string] {
	k := oneOf("true", "false", "multipath")
	k.form = form{AnyOf: []form{boolean().form, {Const: "multipath"}}}
	return k
}

func number(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 0, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errors.New("the number is too large")
	case err != nil:
		return 0, fmt.Errorf("%q is not a whole number", s)
	case len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9':
		return 0, fmt.Errorf("%s is %d when read as octal; write it without the 0 in front, or as 0o%s", s, n, s[1:])
	}
	return n, nil
}

func inBounds(s string, low, high uint64) (uint64, error) {
	n, err := number(s)
	if err == nil && (n < low || n > high) {
		err = fmt.Errorf("%d is not in %d to %d", n, low, high)
	}
	return n, err
}

const max32 = 1<<32 - 1

// bounded is a number between low and high, both included.
func bounded(low, high uint64) kind[uint32] {
	return kind[uint32]{func(s string) (uint32, error) {
		n, err := inBounds(s, low, high)
		return uint32(n), err
	}, integer(low, high)}
}

// atLeast is bounded with a reason why no smaller number makes sense; what in
// it is the number that was given.
func atLeast(low, high uint64, reason func(n uint64) string) kind[uint32] {
	return kind[uint32]{func(s string) (uint32, error) {
		n, err := number(s)
		switch {
		case err != nil:
		case n < low:
			err = errors.New(reason(n))
		case n > high:
			err = fmt.Errorf("%d is not in %d to %d", n, low, high)
		}
		return uint32(n), err
	}, integer(low, high)}
}

func window() kind[uint32] {
	return atLeast(1, 4096, func(uint64) string { return "a window of 0 turns protection against replays off" })
}

func mtu() kind[uint32] {
	return atLeast(576, 65535, func(n uint64) string {
		return fmt.Sprintf("%d is too small: hosts send 576 bytes without asking (RFC 1122)", n)
	})
}

// count is a number of any size.
func count() kind[uint64] { return kind[uint64]{number, integer(0, 1<<64-1)} }

func limit() kind[uint64] {
	return kind[uint64]{func(s string) (uint64, error) {
		n, err := number(s)
		if err == nil && n == 0 {
			err = errors.New("0 would end an SA with its first packet; leave it out for no limit")
		}
		return n, err
	}, integer(1, 1<<64-1)}
}

// reference says where a key is.
func reference() kind[string] {
	return kind[string]{func(s string) (string, error) { return s, keys.Check(s) },
		form{Type: "string", Pattern: `^(file|keys|env|command|credential):.`}}
}

func endpoint() kind[netip.Addr] {
	return kind[netip.Addr]{func(s string) (netip.Addr, error) {
		a, err := netip.ParseAddr(s)
		switch {
		case err != nil:
			return a, fmt.Errorf("%q is not an address like 192.0.2.1 or 2001:db8::1", s)
		case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.Zone() != "" || a.Is4In6() || a == broadcast:
			return a, fmt.Errorf("%s cannot be an endpoint: another machine has to reach it", a)
		}
		return a, nil
	}, form{Type: "string", AnyOf: []form{{Format: "ipv4"}, {Format: "ipv6"}}}}
}

// broadcast is no machine's address.
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func prefixForm() form { return form{Type: "string", Pattern: `^[0-9a-fA-F.:]+/[0-9]{1,3}$`} }

// address is an address with the length of its subnet.
func address() kind[netip.Prefix] {
	return kind[netip.Prefix]{func(s string) (netip.Prefix, error) {
		p, err := netip.ParsePrefix(s)
		a := p.Addr()
		switch {
		case err != nil:
			return p, fmt.Errorf("%q is not an address with the length of its subnet, like 10.255.0.1/30", s)
		case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.Is4In6() || a == broadcast:
			return p, fmt.Errorf("%s cannot be the address of an interface", a)
		case a.Is6() && a.IsLinkLocalUnicast():
			return p, fmt.Errorf("%s is link-local: the kernel gives such an address to an interface by itself", a)
		}
		return p, nil
	}, prefixForm()}
}

func prefix() kind[netip.Prefix] {
	return kind[netip.Prefix]{func(s string) (netip.Prefix, error) {
		p, err := netip.ParsePrefix(s)
		switch {
		case err != nil:
			return p, fmt.Errorf("%q is not a prefix like 10.1.0.0/16", s)
		case p.Addr().Is4In6():
			return p, fmt.Errorf("%s matches nothing: write it as IPv4", p)
		case p.Addr().IsLoopback():
			return p, fmt.Errorf("%s matches nothing: what is for a machine itself does not leave it", p)
		case p != p.Masked():
			return p, fmt.Errorf("%s has bits behind its length that match nothing: %s is meant", p, p.Masked())
		}
		return p, nil
	}, prefixForm()}
}

func idRange() kind[provision.Range] {
	return kind[provision.Range]{func(s string) (provision.Range, error) {
		first, last, ok := strings.Cut(s, "-")
		a, err := inBounds(strings.TrimSpace(first), 1, max32)
		b, err2 := inBounds(strings.TrimSpace(last), 1, max32)
		if !ok || err != nil || err2 != nil || b < a {
			return provision.Range{}, fmt.Errorf("%q is not a range like 1000-1999", s)
		}
		return provision.Range{First: uint32(a), Last: uint32(b)}, nil
	}, form{Type: "string", Pattern: `^\s*[0-9][0-9a-fA-FxX_]*\s*-\s*[0-9][0-9a-fA-FxX_]*\s*$`}}
}
