package stamp

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// programIdentity tells this program from every other version of it: another
// file, or another state of the same file.
func programIdentity() (string, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/exe", &st); err != nil {
		return "", fmt.Errorf("/proc/self/exe: %w", err)
	}
	return fmt.Sprintf("%d %d %d %d.%d %d.%d", st.Dev, st.Ino, st.Size, st.Mtim.Sec, st.Mtim.Nsec, st.Ctim.Sec, st.Ctim.Nsec), nil
}
