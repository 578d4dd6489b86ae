package daemon

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteCapture has write fill the file at path, which gets its name and mode 0600 once all of it is there: a file that stood
// there stays until then, and if write fails. Devices and pipes are written to as they are.
func WriteCapture(path string, write func(io.Writer) error) (err error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		if st.IsDir() {
			return &fs.PathError{Op: "write", Path: path, Err: errors.New("is a folder (name a file in it)")}
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part")
	if err != nil {
		var e *fs.PathError
		if errors.As(err, &e) {
			e.Path = path // not the name it has meanwhile
		}
		return err
	}
	if err = errors.Join(write(f), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
