package rules

import (
	"fmt"
	"syscall"
)

// Refusal is the answer to a request that is not carried out: what the kernel
// would say. It answers errors.Is for its errno and for what that stands for
// (fs.ErrExist for EEXIST and so on). Refusals are immutable; they never hold
// key bytes.
type Refusal struct {
	Errno syscall.Errno
	Text  string // of the extended acknowledgement, the kernel's words; "" none
}

// Error returns the text and the errno's words.
func (r *Refusal) Error() string {
	if r.Text == "" {
		return r.Errno.Error()
	}
	return fmt.Sprintf("%s: %s", r.Errno.Error(), r.Text)
}

// Unwrap returns the errno.
func (r *Refusal) Unwrap() error { return r.Errno }

// ErrnoNoData is Linux's ENODATA, which package syscall lacks on some systems.
const ErrnoNoData syscall.Errno = 61

// Refuse returns a refusal with a text.
func Refuse(errno syscall.Errno, text string) *Refusal { return &Refusal{Errno: errno, Text: text} }

// invalid is the most common refusal.
func invalid(text string) *Refusal { return Refuse(syscall.EINVAL, text) }
