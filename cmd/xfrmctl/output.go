package main

import (
	"bytes"
	"encoding/json"
)

// marshal returns one JSON value without a newline.
func (e *env) marshal(v any, prefix string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if e.opts.pretty {
		enc.SetIndent(prefix, "  ")
	}
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// marshalLine returns one JSON value on one line, whatever --pretty says.
func (e *env) marshalLine(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// printJSON prints one JSON value and a newline.
func (e *env) printJSON(v any) error {
	b, err := e.marshal(v, "")
	if err != nil {
		return err
	}
	_, err = e.stdout.Write(append(b, '\n'))
	return err
}

// list prints records one at a time: as text, or as a JSON array with a record
// per line. It holds one record, however many there are.
type list struct {
	e   *env
	n   int
	buf []byte
}

// longRecord is more than nearly every record takes, in bytes.
const longRecord = 4096

// item prints one record.
func (l *list) item(text func([]byte) []byte, js func() any) error {
	if !l.e.opts.json {
		w := l.e.stdout
		if w.Available() < longRecord {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		_, err := w.Write(text(w.AvailableBuffer())) // no copy of what fits
		return err
	}
	sep, prefix := ",\n", ""
	if l.n == 0 {
		sep = "["
		if l.e.opts.pretty {
			sep = "[\n"
		}
	}
	if l.e.opts.pretty {
		prefix = "  "
	}
	l.n++
	b, err := l.e.marshal(js(), prefix)
	if err != nil {
		return err
	}
	l.buf = append(append(append(l.buf[:0], sep...), prefix...), b...)
	_, err = l.e.stdout.Write(l.buf)
	return err
}

// end closes the array.
func (l *list) end() error {
	if !l.e.opts.json {
		return nil
	}
	text := "]\n"
	switch {
	case l.n == 0:
		text = "[]\n"
	case l.e.opts.pretty:
		text = "\n]\n"
	}
	_, err := l.e.stdout.WriteString(text)
	return err
}
