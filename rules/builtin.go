package rules

import (
	"embed"
	"path"
)

//go:embed builtin/*.toml wide/*.toml
var builtinFiles embed.FS

// Wide is the path that stands for the wide packs: secrets that only their name tells, accounts, identifiers, personal and health data. They come with Weir, too, but cost time
// and memory, so they are read only where they are asked for.
const Wide = "builtin:wide"

// builtin takes in the rules that come with Weir, once. Their files are named as builtin/NAME.toml.
func (l *loader) builtin() { l.embedded("builtin") }

func (l *loader) embedded(dir string) {
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
