package engine

import (
	"strconv"
	"strings"

	"weir/alert"
	"weir/dissect"
	"weir/wire"
)

// file is a file that an exchange carries: a value, or part of one, of which only the size is kept.
type file struct {
	msg   uint64 // message that it is in
	size  int64  // bytes so far, lost ones among them
	name  int    // as in record.named
	value uint32
	field dissect.Field
	dir   wire.Dir
	over  bool // nothing more comes
	cut   bool // its end was not seen
	gaps  bool // part of it was not seen
}

// maxFiles is how many files of an exchange are remembered until its end; then the oldest is told as it is.
const maxFiles = 64

// maxMembers is how many files in the archives of an exchange are told one by one.
const (
	maxMembers = 256
	memberSize = 384 // bytes that one is counted for, with its name
)

// nameless stands for a name that found no room.
const nameless = -1

// file takes part of a value that is a file.
func (l *Lane) file(r *record, m *dissect.Message, part *dissect.Part) {
	role := m.Protocol.Fields[part.Field].File
	f := r.fileOf(m.ID, part)
	if f == nil {
		named := r.named[m.Dir]
		if named == 0 && role != dissect.File || role == dissect.File && len(part.Bytes) == 0 {
			return
		}
		r.named[m.Dir] = 0
		if len(r.files) == maxFiles {
			l.tellFile(r, &r.files[0], nil)
			r.files = r.files[:copy(r.files, r.files[1:])]
		}
		r.files = append(r.files, file{msg: m.ID, name: named, value: part.Value, field: part.Field, dir: m.Dir})
		f = &r.files[len(r.files)-1]
	}
	if role == dissect.InnerFile {
		f.size, _ = strconv.ParseInt(string(part.Bytes), 10, 64)
		f.over, f.cut = true, part.Cut
		return
	}
	f.gaps = f.gaps || part.Off != f.size
	f.size = part.Off + int64(len(part.Bytes))
	if !part.More {
		f.over, f.cut = true, part.Cut
	}
}

// fileOf returns the file that a part goes on with; nil if it begins one.
func (r *record) fileOf(msg uint64, part *dissect.Part) *file {
	for i := len(r.files) - 1; i >= 0; i-- {
		if f := &r.files[i]; f.msg == msg && f.value == part.Value && f.field == part.Field {
			return f
		}
	}
	return nil
}

// endFiles ends the files of a message that is complete: those that did not end in it were cut.
func (r *record) endFiles(msg uint64) {
	for i := range r.files {
		if f := &r.files[i]; f.msg == msg && !f.over {
			f.over, f.cut = true, true
		}
	}
}

// tellFiles writes the events of the files of an exchange that is told.
func (l *Lane) tellFiles(r *record) {
	var app *alert.App
	if r.shown() {
		app = l.app(r, nil)
	}
	for i := range r.files {
		l.tellFile(r, &r.files[i], app)
	}
	l.tellMembers(r, app)
}

// tellFile writes the event of a file; app is the exchange as it is shown.
func (l *Lane) tellFile(r *record, f *file, app *alert.App) {
	if r.holds(f) || l.e.full() {
		return
	}
	ev := l.fileEvent(r, f.dir, app)
	ev.File = &alert.FileInfo{Name: l.fileName(r, f), State: "CLOSED", Gaps: f.gaps, Size: uint64(max(0, f.size)), TxID: r.tx}
	if f.gaps || f.cut || !f.over {
		ev.File.State = "TRUNCATED"
	}
	l.send(ev)
}

// fileEvent returns the event of a file that goes in a direction.
func (l *Lane) fileEvent(r *record, dir wire.Dir, app *alert.App) *alert.Event {
	ev := l.event("fileinfo")
	ev.Time = r.time
	ev.AppProto, ev.TxID, ev.App = r.proto.Name, r.tx, app
	if dir == wire.ToClient {
		ev.Src, ev.Dst = ev.Dst, ev.Src
		ev.Weir.Src, ev.Weir.Dst = ev.Weir.Dst, ev.Weir.Src
	}
	return ev
}

// keepMembers notes what files the archives have that ended in a message.
func (l *Lane) keepMembers(m *dissect.Message) {
	list, more := l.opener.Members()
	if len(list) == 0 {
		return
	}
	r := l.a.find(m)
	if r == nil {
		return
	}
	room := min(len(list), maxMembers-len(r.members))
	r.members = append(r.members, list[:room]...)
	if more += len(list) - room; more > 0 && l.a.tell("content.members") {
		l.anomaly("applayer", "content.members", "archives with more files than are told one by one")
	}
}

// tellMembers writes the events of the files in the archives of an exchange: behind the name of the archive, masked with it.
func (l *Lane) tellMembers(r *record, app *alert.App) {
	for i := range r.members {
		m := &r.members[i]
		if l.e.full() {
			return
		}
		name := m.Name
		if f := r.fileOf(m.Msg, &dissect.Part{Value: m.Value, Field: m.Field}); f != nil {
			if archive := l.fileName(r, f); archive != "" {
				name = archive + "/" + name
			}
		}
		ev := l.fileEvent(r, m.Dir, app)
		ev.File = &alert.FileInfo{Name: string(l.masker.Text([]byte(name), dissect.Text, r.found, l.known())), State: "CLOSED", Size: uint64(m.Size), TxID: r.tx}
		if m.Cut {
			ev.File.State = "TRUNCATED"
		}
		l.send(ev)
	}
}

// holds reports whether f is a value that files were found in: then it is none itself.
func (r *record) holds(f *file) bool {
	if r.proto.Fields[f.field].File != dissect.File {
		return false
	}
	for i := range r.files {
		if in := &r.files[i]; in.msg == f.msg && r.proto.Fields[in.field].File == dissect.InnerFile {
			return true
		}
	}
	return false
}

// fileName returns what a file is called, masked as all that is shown of the exchange.
func (l *Lane) fileName(r *record, f *file) string {
	if f.name > 0 {
		return string(l.text(r, f.name-1))
	}
	for i := range r.items {
		it := &r.items[i]
		if r.proto.Fields[it.field].File == dissect.FileURL {
			return urlPath(string(l.text(r, i)))
		}
	}
	return ""
}

// urlPath cuts a request's target down to its path.
func urlPath(s string) string {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s = s[:i]
	}
	if _, rest, ok := strings.Cut(s, "://"); ok && s[0] != '/' {
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			return rest[i:]
		}
		return "/"
	}
	return s
}

// shown reports whether an event shows anything of the exchange.
func (r *record) shown() bool {
	for i := range r.items {
		if r.proto.Fields[r.items[i].field].EVE != "" {
			return true
		}
	}
	return false
}
