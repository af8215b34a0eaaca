package document

import (
	"fmt"
	"strings"
)

func markForm(low uint64) form {
	return form{AnyOf: []form{integer(low, max32), {Type: "string", Pattern: `^[0-9][0-9a-fA-FxX]*(/[0-9][0-9a-fA-FxX]*)?$`}}}
}

// readMark reads VALUE or VALUE/MASK.
func readMark(s string) (Mark, error) {
	value, mask, masked := strings.Cut(s, "/")
	m := Mark{Mask: max32}
	v, err := inBounds(value, 0, max32)
	if err == nil && masked {
		var x uint64
		x, err = inBounds(mask, 0, max32)
		m.Mask = uint32(x)
	}
	m.Value = uint32(v)
	return m, err
}

// mark is one that packets get.
func mark() kind[Mark] {
	return kind[Mark]{func(s string) (Mark, error) {
		m, err := readMark(s)
		if err == nil && (m.Value&^m.Mask != 0 || m.Value == 0) {
			err = fmt.Errorf("%s sets nothing, or bits that its mask leaves out", s)
		}
		return m, err
	}, markForm(1)}
}

// match is one that packets must have.
func match() kind[Mark] {
	return kind[Mark]{func(s string) (Mark, error) {
		m, err := readMark(s)
		switch {
		case err != nil:
		case m.Value&^m.Mask != 0:
			err = fmt.Errorf("%s can match nothing: the value has bits (%#x) that the mask leaves out, and the kernel would drop them", s, m.Value&^m.Mask)
		case m.Mask == 0:
			err = fmt.Errorf("%s compares no bit: it is as good as no mark", s)
		}
		return m, err
	}, markForm(0)}
}
