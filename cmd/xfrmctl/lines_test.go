package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"
)

// TestMain makes of this test binary, when XFRMCTL_LINES is set, a program that
// carries out command lines one after another: each as main does, without the
// start of a process, which takes most of the time of a short command. module
// tests/ has a million of them carried out that way.
func TestMain(m *testing.M) {
	if os.Getenv("XFRMCTL_LINES") == "" {
		os.Exit(m.Run())
	}
	hideMemory(os.Stderr)
	if err := carryOut(os.Stdin, os.Stdout); err != nil && !errors.Is(err, io.EOF) {
		os.Stderr.WriteString(err.Error() + "\n") //nolint:errcheck // nothing is left to be done
		os.Exit(1)
	}
}

// carryOut reads command lines as JSON, and writes what each printed, on both
// streams, and its exit code.
func carryOut(in io.Reader, out io.Writer) error {
	lines, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var line struct {
			Words       []string
			Input       []byte
			Environment map[string]string // set before, and left
		}
		if err := lines.Decode(&line); err != nil {
			return err
		}
		for name, value := range line.Environment {
			if err := os.Setenv(name, value); err != nil {
				return err
			}
		}
		var printed bytes.Buffer
		code := run(context.Background(), append([]string{"xfrmctl"}, line.Words...), bytes.NewReader(line.Input), &printed, &printed)
		answer := struct {
			Code    int
			Printed []byte
		}{code, printed.Bytes()}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
}

func TestCarryOut(t *testing.T) {
	var out bytes.Buffer
	in := `{"Words":["-b","-"],"Input":"dmVyc2lvbgo="}{"Words":["nonsense"]}`
	if err := carryOut(bytes.NewReader([]byte(in)), &out); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	var first, second struct {
		Code    int
		Printed []byte
	}
	answers := json.NewDecoder(&out)
	if err := errors.Join(answers.Decode(&first), answers.Decode(&second)); err != nil {
		t.Fatal(err)
	}
	if first.Code != 0 || !bytes.HasPrefix(first.Printed, []byte("xfrmctl ")) || second.Code == 0 || !bytes.Contains(second.Printed, []byte("nonsense")) {
		t.Errorf("answers: %d %s, %d %s", first.Code, first.Printed, second.Code, second.Printed)
	}
}
