// Package content finds what values carry inside, in whatever encoding: text in base64, escapes, UTF-16, and files in containers such as
// archives. What it finds it emits as further messages, whose parts are views of the same values: a rule that looks at a field sees it as it
// came and opened. It neither matches rules nor writes events.
//
// To add a text encoding: write NAME.go with its codec, and put it into codecs. To add a container: likewise, into formats.
package content

import "weir/dissect"

// Counters count what an Opener did. They are read by its owner.
type Counters struct {
	Bytes   uint64 // bytes looked at
	Opened  uint64 // encodings that were undone: each run, escape or container
	Refused uint64 // times that something was not opened, or not to its end
}

// Refusal tells that something was not opened, or not to its end.
type Refusal struct {
	Code   string // constant, as "content.depth"; stands in anomaly.event
	Detail string // constant, for people
	Form   string // of what was not opened: "7z", say; "": it has none
	Bytes  int    // that were not looked at, as far as is known
}

// Opener is one lane's scratch. The zero value is not ready: see New. One goroutine uses it at a time.
type Opener struct {
	Count  Counters
	Files  bool                   // what archives have in them is to be told: see Members
	Speaks func(name []byte) bool // reports whether a name, as of a column, says what stands under it; nil: none does

	limits  dissect.Limits
	refused []Refusal
	members []Member
	beyond  int                    // members for which there was no room
	path    []byte                 // of the archives that are being read, within each other
	emit    func(*dissect.Message) // of the call at hand
	msg     dissect.Message
	parts   [1]dissect.Part
	whole   value     // of a value that is there whole
	levels  []scratch // by depth
	values  []*value  // free list
	nodes   []*node   // free list
}

// scratch is what a node at one depth needs during a call.
type scratch struct {
	win    []byte          // what the node keeps, and the piece at hand
	text   []byte          // what it gives out
	shifts []dissect.Shift // how that leads back
	norm   []dissect.Shift // those of a part, in groups
	lead   []dissect.Shift // those of a member
	dec    [decodeMost + 64]byte
	found  finder
	w      window
}

// ours
const (
	least    = 16       // bytes of a value below which nothing is looked for
	reach    = 320      // bytes around what was encoded that its view shows too: words near a finding count
	flush    = 16 << 10 // bytes of a view in one part
	maxFree  = 32       // of each kind, kept for reuse
	maxOpen  = 128      // values of a flow that are open at once
	maxNodes = 64       // nodes of a value
	maxKept  = 1 << 20  // bytes of scratch that are kept
)

// New returns an Opener that keeps to limits.
func New(limits dissect.Limits) *Opener {
	return &Opener{limits: limits, levels: make([]scratch, limits.DecodeDepth+2)}
}

// Trim lets go of memory that is kept for reuse.
func (o *Opener) Trim() {
	*o = Opener{Count: o.Count, Speaks: o.Speaks, Files: o.Files, limits: o.limits, levels: make([]scratch, len(o.levels))}
}

// Refused returns what was not opened in the last call of Open or Close, one for each reason; it is borrowed until the next.
func (o *Opener) Refused() []Refusal { return o.refused }

func (o *Opener) refuse(code, detail string, bytes int) { o.refuseForm(code, detail, "", bytes) }

func (o *Opener) refuseForm(code, detail, form string, bytes int) {
	o.Count.Refused++
	for i := range o.refused {
		if o.refused[i].Code == code {
			o.refused[i].Bytes += bytes
			return
		}
	}
	o.refused = append(o.refused, Refusal{code, detail, form, bytes})
}

// State is what is kept with one flow. The zero value is ready. It is used with one Opener at a time, but any. It is empty once every message
// ended, or Close was called.
type State struct {
	open  *value // newest first
	n     int
	size  int
	table *table // a result that is coming; nil: none is
}

// Empty reports whether nothing is kept.
func (st *State) Empty() bool { return st.open == nil && st.table == nil }

// Size returns the bytes that are kept.
func (st *State) Size() int { return st.size }

// Open looks into the parts of m that somebody asks for, and emits what it finds as messages of the same ID whose parts are views of the same
// values. They borrow from m and from the Opener until emit returns; none of them is the message's End.
func (o *Opener) Open(st *State, m *dissect.Message, wants dissect.Wants, emit func(*dissect.Message)) {
	o.refused = o.refused[:0]
	o.members, o.beyond, o.path = o.members[:0], 0, o.path[:0]
	o.emit = emit
	for i := range m.Parts {
		p := &m.Parts[i]
		switch m.Protocol.Fields[p.Field].Table {
		case dissect.ColumnName:
			o.column(st, m, p)
		case dissect.RowOfCells:
			if st.table != nil && wants.Has(m.Protocol, p.Field) {
				o.cells(st, m, p)
			}
		}
		if st.open != nil {
			if v := st.find(m, p); v != nil {
				v.resolved = v.resolved || resolved(m, p)
				o.more(st, v, p)
				continue
			}
		}
		if !p.More && len(p.Bytes) < least || !wants.Has(m.Protocol, p.Field) {
			continue
		}
		if p.More {
			v := o.begin(st, m, p)
			v.resolved = resolved(m, p)
			o.more(st, v, p)
			continue
		}
		if o.plain(p.Bytes) {
			o.Count.Bytes += uint64(len(p.Bytes))
			continue
		}
		o.whole.about(m, p)
		o.whole.resolved = resolved(m, p)
		o.feed(&o.whole, p)
		o.release(&o.whole)
	}
	if m.End {
		if t := st.table; t != nil && t.id == m.ID && t.dir == uint8(m.Dir) {
			st.size -= t.size()
			st.table = nil
		}
		for v := st.open; v != nil; {
			next := v.next
			if v.id == m.ID && v.dir == m.Dir {
				o.end(st, v)
			}
			v = next
		}
	}
}

// plain reports whether nothing is in a value that is there whole.
func (o *Opener) plain(b []byte) bool {
	f := &o.levels[0].found
	if f.find(b, 0, strongKinds); len(f.list) > 0 {
		return false
	}
	form, _ := formOf(b, false, true)
	if form == nil {
		form, _ = o.csvOf(b, true)
	}
	return form == nil
}

// Close ends what is open: the flow brings no more. st is as new afterwards.
func (o *Opener) Close(st *State, emit func(*dissect.Message)) {
	o.refused = o.refused[:0]
	o.members, o.beyond, o.path = o.members[:0], 0, o.path[:0]
	o.emit = emit
	for st.open != nil {
		o.end(st, st.open)
	}
	*st = State{}
}

// Drop forgets what is kept with a flow, and emits nothing.
func (o *Opener) Drop(st *State) {
	for v := st.open; v != nil; v = v.next {
		o.release(v)
	}
	*st = State{}
}

// Forget drops what a call left behind that has panicked.
func (o *Opener) Forget() {
	o.release(&o.whole)
	o.Trim()
}
