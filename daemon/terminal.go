package daemon

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// IsTerminal reports whether a person looks at what is written to w.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
