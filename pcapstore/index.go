package pcapstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// from FORMAT.md
const (
	suffix     = ".pcapng"
	timeDigits = 16 // of a name: microseconds since the epoch
	idDigits   = 16 // of a name: the slice's id, hexadecimal
	nameLen    = timeDigits + 1 + idDigits + len(suffix)
)

// entry is a slice as the folder tells it.
type entry struct {
	name   string
	size   int64
	pinned bool
}

// sliceName returns a slice's file name. It holds nothing but two numbers.
func sliceName(ns int64, id string) string {
	us := min(max(ns/1000, 0), 1e16-1)
	return fmt.Sprintf("%0*d-%s%s", timeDigits, us, id, suffix)
}

// sliceID returns the id in a file name, "" if it is none of ours.
func sliceID(name string) string {
	if len(name) != nameLen || name[timeDigits] != '-' || !strings.HasSuffix(name, suffix) {
		return ""
	}
	for _, c := range name[:timeDigits] {
		if c < '0' || c > '9' {
			return ""
		}
	}
	id := name[timeDigits+1:][:idDigits]
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return id
}

// scan reads the folder: the finished slices, oldest first; and sets usage and files.
func (s *Store) scan() ([]entry, error) {
	list, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var all []entry
	var usage, files int64
	for _, d := range list {
		name := d.Name()
		open := sliceID(openedName(name)) != ""
		if !d.Type().IsRegular() || sliceID(name) == "" && !open {
			continue
		}
		st, err := d.Info()
		if err != nil {
			continue // gone meanwhile
		}
		usage += st.Size()
		if !open {
			files++
			all = append(all, entry{name, st.Size(), pinned(st.Mode())})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	s.usage.Store(usage)
	s.files.Store(files)
	return all, nil
}

// List returns all finished slices, oldest alert first. Files that are no slices are left out.
func (s *Store) List() ([]Info, error) {
	all, err := s.entries()
	if err != nil {
		return nil, err
	}
	out := make([]Info, 0, len(all))
	for _, e := range all {
		if i, ok := s.info(e.name); ok {
			out = append(out, i)
		}
	}
	return out, nil
}

// parts returns the slices that are still being written, as far as their beginning is on disk.
func (s *Store) parts() ([]Info, error) {
	list, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("pcap store %s: %w", s.dir, err)
	}
	var out []Info
	for _, d := range list {
		name := openedName(d.Name())
		if sliceID(name) == "" || !d.Type().IsRegular() {
			continue
		}
		if i, ok := s.info(d.Name()); ok {
			i.ID, i.Open = sliceID(name), true
			out = append(out, i)
		}
	}
	return out, nil
}

// Find returns the slices with the given id: of the slice, or of an alert that fell into it. Errors: ErrNotFound.
func (s *Store) Find(id string) ([]Info, error) {
	all, err := s.entries()
	if err != nil {
		return nil, err
	}
	var out []Info
	if i := slices.IndexFunc(all, func(e entry) bool { return sliceID(e.name) == id }); i >= 0 {
		all = all[i : i+1] // no need to open all the others
	}
	for _, e := range all {
		if i, ok := s.info(e.name); ok && i.Has(id) {
			out = append(out, i)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%q: %w (weir pcap ls shows what there is; the oldest are removed at [pcap] quota)", id, ErrNotFound)
	}
	return out, nil
}

// Remove removes the slice with the given id, pinned or not. Errors: ErrNotFound.
func (s *Store) Remove(id string) error {
	name, err := s.name(id)
	if err != nil {
		return err
	}
	s.disk.Lock()
	defer s.disk.Unlock()
	e := entry{name: name}
	if st, err := s.root.Lstat(name); err == nil {
		e.size = st.Size()
	}
	return s.remove(e)
}

// Pin keeps the slice with the given id from being removed by the quota, or no longer. Errors: ErrNotFound.
func (s *Store) Pin(id string, keep bool) error {
	name, err := s.name(id)
	if err != nil {
		return err
	}
	mode := os.FileMode(0o600)
	if keep {
		mode = 0o400
	}
	return s.root.Chmod(name, mode)
}

func (s *Store) name(id string) (string, error) {
	all, err := s.entries()
	if err != nil {
		return "", err
	}
	for _, e := range all {
		if sliceID(e.name) == id {
			return e.name, nil
		}
	}
	return "", fmt.Errorf("%q: %w (weir pcap ls shows what there is)", id, ErrNotFound)
}

func (s *Store) entries() ([]entry, error) {
	s.disk.Lock()
	defer s.disk.Unlock()
	all, err := s.scan()
	if err != nil {
		return nil, fmt.Errorf("pcap store %s: %w", s.dir, err)
	}
	return all, nil
}

// info reads what a finished slice says of itself.
func (s *Store) info(name string) (Info, bool) {
	f, err := s.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, false
	}
	i := Info{ID: sliceID(name), Path: filepath.Join(s.dir, name)}
	if err != nil {
		return i, true
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return i, true
	}
	i.Size, i.Pinned = st.Size(), pinned(st.Mode())
	return i, readInfo(f, st.Size(), &i)
}
