package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Files lists the files of paths: a file itself, and of a folder the files named *.toml that do not begin with a dot, in name order.
func Files(paths []string) (files []string, problems Problems) {
	for _, p := range paths {
		found, err := filesOf(p)
		if err != nil {
			problems = append(problems, Problem{Pos{File: p}, Error, reason(err), ""})
		}
		files = append(files, found...)
	}
	return files, problems
}

func filesOf(path string) (files []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted by name
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".toml") && !strings.HasPrefix(name, ".") {
			files = append(files, filepath.Join(path, name))
		}
	}
	return files, err
}

// ReadFile reads a file of TOML, if it is one that can be: a problem says why not.
func ReadFile(path string) (data []byte, problem *Problem) {
	wrong := func(what, hint string) ([]byte, *Problem) {
		return nil, &Problem{Pos{File: path}, Error, what, hint}
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return wrong(reason(err), "")
	case !info.Mode().IsRegular(): // reading a pipe might never end
		return wrong("not a regular file", "")
	case info.Size() > maxFile:
		return wrong(fmt.Sprintf("the file has %d bytes, more than %d", info.Size(), maxFile), "split it")
	}
	if data, err = os.ReadFile(path); err != nil {
		return wrong(reason(err), "")
	}
	return data, nil
}

// reason is an error without the path, which the position has.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}
