package scan

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Why files are left out on purpose.
const (
	skipLink    = "symbolic links that lead out of the tree"
	skipSpecial = "devices, pipes and sockets"
	skipObjects = "object stores of git (their content is compressed history)"
	skipSize    = "files larger than --max-file"
	skipAllowed = "files that an allow-list leaves out"
)

// errSpecial is of what was named and is neither file nor folder.
var errSpecial = errors.New("it is a device, pipe or socket, no file (what comes through a pipe is looked at with: weir dlp scan - < PIPE)")

// walk meets all files and hands them to the workers. Folders are gone through in the order of their names; hidden files are files.
func (r *run) walk() {
	defer close(r.jobs)
	for _, path := range r.opt.Paths {
		if path == "-" {
			r.send(job{path: "-", stdin: true})
			continue
		}
		r.root(path)
	}
	r.progress.known()
}

// root goes through one path that was named. A link that was named is followed.
func (r *run) root(path string) {
	info, err := os.Stat(path)
	if err != nil {
		r.fail(path, err)
		return
	}
	switch {
	case info.Mode().IsRegular():
		r.meet(path, info.Mode(), info.Size())
		return
	case !info.IsDir(): // it was asked for, so it is not left out in silence
		r.fail(path, errSpecial)
		return
	}
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		r.fail(path, err)
		return
	}
	r.folder(path, real)
}

// folder goes through a folder; root is the real name of the one that was named.
func (r *run) folder(path, root string) {
	entries, err := os.ReadDir(path)
	if err != nil {
		r.fail(path, err) // what could be read of it comes nevertheless
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		switch {
		case e.IsDir():
			if e.Name() == "objects" && filepath.Base(path) == ".git" {
				r.skip(name, skipObjects)
				continue
			}
			r.folder(name, root)
		case e.Type()&fs.ModeSymlink != 0:
			r.link(name, root)
		default:
			r.meet(name, e.Type(), r.size(e))
		}
	}
}

// size returns a file's size where somebody watches the progress; workers ask anew.
func (r *run) size(e fs.DirEntry) int64 {
	if r.opt.Progress == nil {
		return 0
	}
	if info, err := e.Info(); err == nil {
		return info.Size()
	}
	return 0
}

// link looks where a link leads: what is in the tree is met anyway, and what is not was not asked for.
func (r *run) link(name, root string) {
	to, err := filepath.EvalSymlinks(name)
	if err == nil {
		to, err = filepath.Abs(to)
	}
	if err != nil || to == root || strings.HasPrefix(to, strings.TrimSuffix(root, "/")+"/") {
		return // it leads nowhere, or stays
	}
	r.skip(name, skipLink)
}

func (r *run) meet(name string, mode fs.FileMode, size int64) {
	if !mode.IsRegular() {
		r.skip(name, skipSpecial)
		return
	}
	r.send(job{path: name, size: size})
}

func (r *run) skip(name, why string) { r.send(job{result: &Result{Path: name, Skipped: why}}) }

func (r *run) fail(name string, err error) { r.send(job{result: &Result{Path: name, Err: err}}) }
