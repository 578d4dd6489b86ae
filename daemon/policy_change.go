package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weir/policy"
	"weir/rules"
)

// modesFile is where the mode of a group is written that no file gives yet. It is read last.
const modesFile = "90-modes.toml"

// lockFile is what commands lock that change the folder: nobody else may open it, as they may the folder. Its name is not one that is read.
const lockFile = ".lock"

// ours
const (
	lockWait  = 40 * time.Second // for another command that changes the folder; a daemon that does not answer keeps that waiting for as long as clientTimeout
	lockEvery = 20 * time.Millisecond
)

// PolicyFolder is the folder of policy files, as it is and as it would be. Nothing is written that could not be loaded.
type PolicyFolder struct {
	Dir   string
	Set   *policy.Set // as it is
	files []policy.File
}

// OpenPolicy reads the folder of policy files; it need not be there.
func OpenPolicy(dir string) (*PolicyFolder, rules.Problems) {
	p := &PolicyFolder{Dir: dir}
	var paths []string
	if _, err := os.Stat(dir); err == nil {
		paths = []string{dir}
	}
	names, problems := rules.Files(paths)
	for _, name := range names {
		data, problem := rules.ReadFile(name)
		if problem != nil {
			problems = append(problems, *problem)
			continue
		}
		p.files = append(p.files, policy.File{Name: name, Data: data})
	}
	set, more := policy.ParseFiles(p.files, policyOptions())
	p.Set = set
	return p, append(problems, more...)
}

// LockPolicy has other commands that change the folder of policy files wait until unlock is called, and waits for them; not for long. A folder that is not there needs no lock: what is
// written there first is not written over.
func LockPolicy(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(lockEvery) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EWOULDBLOCK):
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		case time.Now().After(end):
			f.Close()
			return nil, fmt.Errorf("%s: another weir command has been changing it for %s (end it, then try again)", dir, lockWait)
		}
	}
}

// With returns what the policy would be with a file of that name, a new one or in place of one.
func (p *PolicyFolder) With(name string, data []byte) (*policy.Set, rules.Problems) {
	path := filepath.Join(p.Dir, name)
	files := slices.DeleteFunc(slices.Clone(p.files), func(f policy.File) bool { return f.Name == path })
	at, _ := slices.BinarySearchFunc(files, path, func(f policy.File, path string) int { return strings.Compare(f.Name, path) })
	return policy.ParseFiles(slices.Insert(files, at, policy.File{Name: path, Data: data}), policyOptions())
}

// Write writes a file of the folder, whole or not at all. A file that was not there when the folder was read is not written over.
func (p *PolicyFolder) Write(name string, data []byte) error {
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(p.Dir, name)
	mode := fs.FileMode(0o644)
	known := slices.ContainsFunc(p.files, func(f policy.File) bool { return f.Name == path })
	if st, err := os.Stat(path); err == nil && known {
		mode = st.Mode().Perm()
	}
	f, err := os.CreateTemp(p.Dir, ".*.new") // not a name that is read
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil && known {
		err = os.Rename(f.Name(), path)
	} else if err == nil {
		err = renameNew(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already (choose another name, or remove it)", path)
	}
	return err
}

// renameNew renames a file, but never over another one: then the error is fs.ErrExist. Not every file system can do that; those that cannot have hard links for the most part.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if other := os.Link(from, to); errors.Is(other, fs.ErrExist) {
		return other
	} else if other != nil {
		return fmt.Errorf("%s cannot be made without perhaps writing over another one: %w; %w (use a file system that can rename so, or has hard links)", to, err, other)
	}
	return os.Remove(from)
}

// LearnedName is the name of a file for what is approved now.
func (p *PolicyFolder) LearnedName(now time.Time) string {
	return "50-learned-" + now.UTC().Format("20060102T150405Z") + ".toml"
}

// SetMode returns the file that gives a group its mode, with another mode: the file that has it, else modesFile. It changes the line and
// nothing else of the file.
func (p *PolicyFolder) SetMode(group, mode string) (name string, data []byte, err error) {
	for _, f := range p.files {
		if line := modeLine(f.Data, group); line >= 0 {
			data, ok := withMode(f.Data, line, mode)
			if !ok {
				return "", nil, fmt.Errorf("%s:%d: the mode of %s is written in a way that this command does not change (write %s there, then: weir reload)", f.Name, line+1, group, mode)
			}
			return filepath.Base(f.Name), data, nil
		}
	}
	line := tomlKey(group) + " = " + strconv.Quote(mode) + "\n"
	for _, f := range p.files {
		if filepath.Base(f.Name) != modesFile {
			continue
		}
		if i := headerLine(f.Data); i >= 0 {
			lines := bytes.SplitAfter(f.Data, []byte("\n"))
			return modesFile, slices.Concat(bytes.Join(lines[:i+1], nil), []byte(line), bytes.Join(lines[i+1:], nil)), nil
		}
		data = append(slices.Clone(f.Data), '\n')
	}
	return modesFile, append(data, "[modes]\n"+line...), nil
}

// tomlKey writes a key of a TOML table.
func tomlKey(name string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(name) {
		return name
	}
	return strconv.Quote(name)
}

// headerLine is the number of the line [modes], -1 if there is none.
func headerLine(data []byte) int {
	for i, line := range bytes.Split(data, []byte("\n")) {
		if text, _, _ := strings.Cut(string(line), "#"); strings.TrimSpace(text) == "[modes]" {
			return i
		}
	}
	return -1
}

// modeLine is the number of the line of [modes] that gives a group its mode, -1 if there is none.
func modeLine(data []byte, group string) int {
	in := false
	for i, line := range strings.Split(string(data), "\n") {
		text := strings.TrimSpace(line)
		if strings.HasPrefix(text, "[") {
			head, _, _ := strings.Cut(text, "#")
			in = strings.TrimSpace(head) == "[modes]"
			continue
		}
		if key, ok := lineKey(text); ok && in && key == group {
			return i
		}
	}
	return -1
}

// lineKey returns the key of a line KEY = VALUE.
func lineKey(text string) (key string, ok bool) {
	end := strings.IndexByte(text, '=')
	if m := quotedKey.FindString(text); m != "" { // which may have that in it
		end = len(m) - 1
	}
	if end < 0 {
		return "", false
	}
	key = strings.TrimSpace(text[:end])
	if unquoted, err := strconv.Unquote(key); err == nil && key[0] == '"' {
		return unquoted, true
	}
	return strings.Trim(key, "'"), true
}

var (
	quotedKey = regexp.MustCompile(`^\s*(?:"(?:[^"\\]|\\.)*"|'[^']*')\s*=`)
	modeValue = regexp.MustCompile(`^(\s*(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^="']+)\s*=\s*)("[a-z]*"|'[a-z]*')(\s*(?:#.*)?)$`)
)

func withMode(data []byte, line int, mode string) ([]byte, bool) {
	lines := strings.Split(string(data), "\n")
	m := modeValue.FindStringSubmatch(strings.TrimSuffix(lines[line], "\r"))
	if m == nil {
		return nil, false
	}
	lines[line] = m[1] + strconv.Quote(mode) + m[3]
	return []byte(strings.Join(lines, "\n")), true
}

// AddedName is the name under which a file of another place is looked at as one of the folder: read after all others.
func AddedName(path string) string { return "~" + filepath.Base(path) }
