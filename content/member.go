package content

import (
	"strings"

	"weir/dissect"
	"weir/wire"
)

// Member is a file of an archive, all of which has come.
type Member struct {
	Name  string // with those of the archives that it is in, if these are members themselves
	Size  int64  // bytes, as far as they were read
	Cut   bool   // not all of it could be read
	Msg   uint64 // the message and the value that it came in
	Dir   wire.Dir
	Field dissect.Field
	Value uint32
}

// ours
const (
	maxMembers    = 64  // that are told of a call
	maxMemberPath = 256 // bytes of a name
)

// Members returns the files of archives that ended in the last call of Open or Close, and how many more there were than are told; they are borrowed until the next call.
func (o *Opener) Members() (list []Member, more int) { return o.members, o.beyond }

// Inside returns the name of the file in an archive whose content is being emitted, as Member.Name; "": it is none's. It is valid during emit.
func (o *Opener) Inside() string {
	return strings.ToValidUTF8(strings.TrimSuffix(string(o.path[:min(len(o.path), maxMemberPath)]), "/"), "\uFFFD")
}

// begin begins a member.
func (in *inside) begin(name string) {
	b := in.b
	b.name, b.cut = strings.TrimPrefix(name, "./"), false
	if name == "[Content_Types].xml" || name == "mimetype" { // of OOXML and ODF these come first
		b.office = true
	}
}

// over tells of a member that has come whole.
func (in *inside) over(size int64) {
	o, b, v := in.o, in.b, in.v
	if !o.Files || b.office || b.name == "" || strings.HasSuffix(b.name, "/") {
		return
	}
	if len(o.members) == maxMembers {
		o.beyond++
		return
	}
	name := string(o.path) + b.name
	if len(name) > maxMemberPath {
		name = name[:maxMemberPath]
	}
	o.members = append(o.members, Member{Name: strings.ToValidUTF8(name, "\uFFFD"), Size: size, Cut: b.cut, Msg: v.id, Dir: v.dir, Field: v.field, Value: v.value})
}
