package rules

import (
	"embed"
	"path"
)

//go:embed builtin/*.toml
var builtinFiles embed.FS

// builtin takes in the rules that come with Weir, once. Their files are named as builtin/NAME.toml.
func (l *loader) builtin() {
	const dir = "builtin"
	entries, err := builtinFiles.ReadDir(dir) // sorted by name
	if err != nil {
		l.complain(Pos{File: dir}, reason(err), "")
		return
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		key := "embedded:" + name
		if l.seen[key] {
			continue
		}
		l.seen[key] = true
		data, err := builtinFiles.ReadFile(name)
		if err != nil {
			l.complain(Pos{File: name}, reason(err), "")
			continue
		}
		l.inBuiltin = true
		l.file(name, data)
		l.inBuiltin = false
	}
}
