package dlp

import (
	"slices"
	"strings"

	"weir/dissect"
	"weir/rules"
)

// onDisk reports whether the field with this index is one of dissect.OnDisk.
func onDisk(field int) bool {
	return field >= dissect.OnDisk.Base && field < dissect.OnDisk.Base+len(dissect.OnDisk.Fields)
}

// contents are the last words of the names of fields that carry what a file may hold just as well.
var contents = []string{"raw", "body", "row", "value", "payload", "data", "text", "content", "message", "copy", "stdin"}

// ForFiles reports whether a rule looks at a field of files: one without fields at all, one with fields where it names that one, and at the
// content also where it names a field that carries content in traffic. Signatures are of attacks on what receives them: they look at files
// only by name.
func ForFiles(r *rules.Rule, field string) bool {
	if len(r.Fields) == 0 {
		return r.Engine != rules.Signature
	}
	return slices.ContainsFunc(r.Fields, func(name string) bool {
		carries := slices.Contains(contents, name[strings.LastIndexByte(name, '.')+1:])
		return name == field || carries && r.Engine != rules.Signature && field == dissect.OnDisk.Fields[dissect.OnDiskContent].Name
	})
}
