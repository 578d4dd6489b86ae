package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/policy"
)

// oddNames are names that a group may have.
var oddNames = []string{"web", "a=b", "a b", `quo"te`, `back\slash`, "it's", "#1", "[modes]", "ünï", "\u202eback", "x.y", "-", "🦊", "\u00ad", strings.Repeat("n", 200)}

// TestModesOfOddNames: whatever a group is called, its mode is written, changed, and nothing else is.
func TestModesOfOddNames(t *testing.T) {
	dir := t.TempDir()
	var groups strings.Builder
	for _, name := range oddNames {
		fmt.Fprintf(&groups, "[[groups]]\nname = %s\nmatch = [\"name=x\"]\n", strconv.Quote(name))
	}
	if err := os.WriteFile(filepath.Join(dir, "10-groups.toml"), []byte(groups.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"monitor", "protect"} { // written, then changed
		for _, name := range oddNames {
			p, problems := OpenPolicy(dir)
			if problems.Failed() {
				t.Fatal(problems.Err())
			}
			file, data, err := p.SetMode(name, mode)
			if err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			if _, problems = p.With(file, data); problems.Failed() {
				t.Fatalf("%q: %v\n%s", name, problems.Err(), data)
			}
			if err := p.Write(file, data); err != nil {
				t.Fatal(err)
			}
		}
		p, _ := OpenPolicy(dir)
		for _, name := range oddNames {
			if got := p.Set.Modes[name].String(); got != mode {
				t.Errorf("%q is in %s, want %s", name, got, mode)
			}
		}
		if len(p.Set.Modes) != len(oddNames) {
			t.Errorf("got %v", p.Set.Modes)
		}
	}
}

// TestPolicyAtOnce: of several commands that change the folder at a time each does what it says.
func TestPolicyAtOnce(t *testing.T) {
	dir := t.TempDir()
	const n = 8
	var wg sync.WaitGroup
	written := make(chan string, n)
	var folders [n]*PolicyFolder
	for i := range folders {
		folders[i], _ = OpenPolicy(dir) // each reads the folder before any writes, as without the lock
	}
	for i, p := range folders {
		wg.Go(func() {
			group := fmt.Sprintf("g%d", i)
			if p.Write("50-learned.toml", fmt.Appendf(nil, "[[groups]]\nname = %q\nmatch = [\"name=%s\"]\n", group, group)) == nil {
				written <- group
			}
		})
	}
	wg.Wait()
	close(written)
	p, problems := OpenPolicy(dir)
	if problems.Failed() || len(p.Set.Groups) != 1 {
		t.Fatalf("got %+v, %v", p.Set.Groups, problems)
	}
	told := 0
	for range written {
		told++
	}
	if told != 1 {
		t.Errorf("%d were told that they wrote the one file", told)
	}
	group := p.Set.Groups[0].Name
	modes := []string{group, policy.Default, policy.External, policy.Host, policy.Unknown}
	for _, name := range modes {
		wg.Go(func() {
			unlock, err := LockPolicy(dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			p, _ := OpenPolicy(dir)
			file, data, err := p.SetMode(name, "monitor")
			if err == nil {
				err = p.Write(file, data)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if p, _ = OpenPolicy(dir); len(p.Set.Modes) != len(modes) {
		t.Errorf("got the modes %v", p.Set.Modes)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 1 || filepath.Base(left[0]) != lockFile {
		t.Errorf("left behind: %v", left)
	}
}

// TestPolicyLock: who may read the folder, and no more, does not keep a command from changing it.
func TestPolicyLock(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := LockPolicy(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{dir}
	for _, f := range files {
		names = append(names, filepath.Join(dir, f.Name()))
	}
	for _, name := range names { // whatever others may open, they lock
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if st, err := f.Stat(); err != nil || st.Mode()&0o044 == 0 {
			continue
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
			t.Fatal(err)
		}
	}
	locked := make(chan error, 1)
	go func() {
		unlock, err := LockPolicy(dir)
		if err == nil {
			unlock()
		}
		locked <- err
	}()
	select {
	case err := <-locked:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(lockWait / 2):
		t.Error("it waits")
	}
	if _, err := LockPolicy(filepath.Join(dir, "none")); err != nil {
		t.Errorf("of a folder that is not there: %v", err)
	}
	if p, problems := OpenPolicy(dir); len(problems) > 0 || len(p.files) > 0 {
		t.Errorf("the lock is read: %v", problems)
	}
}

// TestRenameNew: what is there is not written over, and no hard links are needed.
func TestRenameNew(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("old"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(at("a"), 0o700); err != nil { // of which there is no hard link
		t.Fatal(err)
	}
	if err := renameNew(at("a"), at("old")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another one: %v", err)
	}
	if err := renameNew(at("a"), at("b")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(at("a")); err == nil {
		t.Error("the old name is there still")
	}
	if data, err := os.ReadFile(at("old")); err != nil || string(data) != "old" {
		t.Errorf("got %q, %v", data, err)
	}
	if err := renameNew(at("none"), at("c")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
}
