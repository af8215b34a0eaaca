//go:build !linux

package offload

import (
	"errors"
	"os"
)

func newNamespace() (*os.File, error) { return nil, errors.ErrUnsupported }

func probeInterface(*os.File) Outcome { return Outcome{Why: errors.ErrUnsupported.Error()} }
