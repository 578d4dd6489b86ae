package engine

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"weir/alert"
	"weir/content"
	"weir/dissect"
	"weir/dlp"
	"weir/wire"
)

// record is what is written down of one exchange for its event: copies of the values that have a
// name in it, masked where something was found.
type record struct {
	tx      uint64
	proto   *dissect.Protocol
	time    int64
	items   []item
	buf     []byte
	found   []dlp.Value // what was found in it, and is hidden wherever it stands
	files   []file
	members []content.Member // of archives in them
	named   [2]int           // of each direction, the index of the item that names its next file, plus 1; 0: none, nameless: it found no room
}

// item is one value in a record: buf[at:end].
type item struct {
	at, end int32
	value   uint32
	field   dissect.Field
	reply   bool // of the answer
	hidden  bool // something was found in it whose place is not known: nothing of it is shown
}

const (
	maxRecords    = 256     // exchanges of a flow that wait for their answer; then the oldest is told as it is
	maxRecordSize = 8 << 10 // bytes of all values of an exchange; then values are left out
	maxValueSize  = 2 << 10 // bytes of one value; then it is cut
	maxItems      = 2048    // values of an exchange, empty ones too; then values are left out
	maxFound      = 64      // findings and credentials of an exchange that are looked for in all that is shown of it
	maxKnown      = 8       // of a flow: in its later exchanges; the oldest is forgotten
)

// record copies what an event of m's exchange shows.
func (l *Lane) record(m *dissect.Message) {
	if !l.e.recorded(m.Protocol.EventType()) {
		return
	}
	r := l.recordOf(m)
	for i := range m.Parts {
		part := &m.Parts[i]
		spec := &m.Protocol.Fields[part.Field]
		if part.View != dissect.ViewPlain {
			continue
		}
		if l.e.files && spec.File >= dissect.File && m.Tx != 0 { // what is in no exchange is nobody's file
			l.file(r, m, part)
		}
		names := l.e.files && spec.File == dissect.FileName
		if spec.EVE == "" && !names && spec.Privacy != dissect.Credential {
			continue
		}
		b := part.Bytes
		if n := len(r.items); part.Off > 0 && !spec.Pieces && n > 0 && r.items[n-1].field == part.Field && r.items[n-1].value == part.Value {
			last := &r.items[n-1]
			b = b[:min(len(b), maxValueSize-int(last.end-last.at))]
			if int(last.end) != len(r.buf) { // what was masked stands behind it
				at := len(r.buf)
				r.buf = append(r.buf, r.buf[last.at:last.end]...)
				last.at = int32(at)
			}
			r.buf = append(r.buf, b...)
			last.end = int32(len(r.buf))
			continue
		}
		b = b[:min(len(b), maxValueSize)]
		if len(r.buf)+len(b) > maxRecordSize || len(r.items) == maxItems {
			if names {
				r.named[m.Dir] = nameless
			}
			continue
		}
		at := int32(len(r.buf))
		r.buf = append(r.buf, b...)
		r.items = append(r.items, item{at: at, end: int32(len(r.buf)), value: part.Value, field: part.Field, reply: m.Dir == wire.ToClient})
		if names {
			r.named[m.Dir] = len(r.items)
		}
	}
	if m.End {
		r.endFiles(m.ID)
	}
}

func (l *Lane) recordOf(m *dissect.Message) *record {
	a := l.a
	if r := a.find(m); r != nil {
		return r
	}
	if len(a.records) >= maxRecords {
		l.tellRecord(a.records[0])
		l.dropRecord(0)
	}
	var r *record
	if n := len(l.records); n > 0 {
		r, l.records = l.records[n-1], l.records[:n-1]
		*r = record{items: r.items[:0], buf: r.buf[:0], files: r.files[:0], members: r.members[:0], found: r.found[:0]}
	} else {
		r = &record{}
	}
	r.tx, r.proto, r.time = m.Tx, m.Protocol, l.t.now
	a.records = append(a.records, r)
	return r
}

func (l *Lane) dropRecord(i int) {
	a := l.a
	a.know(a.records[i].found)
	clear(a.records[i].found)
	if len(l.records) < maxFree {
		l.records = append(l.records, a.records[i])
	}
	a.records = slices.Delete(a.records, i, i+1)
}

// find returns the record of a message's exchange, nil if there is none.
func (a *app) find(m *dissect.Message) *record {
	if i := a.indexOf(m); i >= 0 {
		return a.records[i]
	}
	return nil
}

// indexOf returns its place, -1 if there is none. What a protocol says outside of any exchange has the number of the last one before it, which may
// be another protocol's, and still open: a record has fields of one.
func (a *app) indexOf(m *dissect.Message) int {
	return slices.IndexFunc(a.records, func(r *record) bool { return r.tx == m.Tx && r.proto == m.Protocol })
}

// mask hides what h found wherever the record has it, or comes to have it: the same bytes may stand in several values, in upper case or decoded
// in some of them. forms are the ways in which they are written; those of nil are not known.
func (r *record) mask(h *dlp.Hit, forms ...[]byte) {
	known := false
	for k, form := range forms {
		if len(form) == 0 || k > 0 && bytes.Equal(form, forms[0]) {
			continue
		}
		known = true
		for i := range r.items {
			it := &r.items[i]
			if v := maskFold(r.buf[it.at:it.end], form, h.Masked); v != nil {
				it.at = int32(len(r.buf))
				r.buf = append(r.buf, v...)
				it.end = int32(len(r.buf))
			} else if spec := &r.proto.Fields[it.field]; k == 0 && it.value == h.Value && spec.Name == h.Field ||
				spec.Derived && spec.File == dissect.FileName && it.end-it.at == maxValueSize { // cut, say
				it.hidden = true
			}
		}
		r.remember(form, h.Masked)
	}
	if !known || len(forms[0]) == 0 {
		r.hide(h)
	}
}

// remember has a value hidden in all that is shown of the exchange, in whatever way it is written there.
func (r *record) remember(value []byte, mask string) {
	if len(r.found) >= maxFound {
		return
	}
	v := dlp.NewValue(value, mask)
	if !slices.ContainsFunc(r.found, func(o dlp.Value) bool { return o.Is(&v) }) {
		r.found = append(r.found, v)
	}
}

// rememberCredentials does so with credentials that tell themselves in the exchange's values: a server says in its error what it did not
// like. It reports whether there is anything to hide.
func (r *record) rememberCredentials(m *dlp.Masker) (any bool) {
	for i := range r.items {
		it := &r.items[i]
		if spec := &r.proto.Fields[it.field]; !spec.Number && !spec.Bool {
			any = m.Credentials(r.buf[it.at:it.end], spec.Privacy, r.remember) || any
		}
	}
	return any
}

// know keeps what was found in an exchange for the flow's other ones.
func (a *app) know(found []dlp.Value) {
	if len(found) == 0 {
		return
	}
	known := &a.more().known
	for i := range found {
		v := &found[i]
		if slices.ContainsFunc(*known, func(o dlp.Value) bool { return o.Is(v) }) {
			continue
		}
		if len(*known) == maxKnown {
			*known = slices.Delete(*known, 0, 1)
		}
		*known = append(*known, *v)
	}
}

// maskFold returns v with mask in place of found, letters in either case; nil if found does not stand in it.
func maskFold(v, found []byte, mask string) (out []byte) {
	from, first := 0, lowerByte(found[0])
	for i := 0; i+len(found) <= len(v); i++ {
		if (first >= utf8.RuneSelf || lowerByte(v[i]) == first) && bytes.EqualFold(v[i:i+len(found)], found) {
			out = append(append(out, v[from:i]...), mask...)
			from = i + len(found)
			i = from - 1
		}
	}
	if from == 0 {
		return nil
	}
	return append(out, v[from:]...)
}

// lowerByte makes an ASCII letter lower case.
func lowerByte(c byte) byte {
	if c-'A' < 26 {
		c |= 0x20
	}
	return c
}

// hide leaves all of the value out that h found something in, and names of files that may be part of it.
func (r *record) hide(h *dlp.Hit) {
	for i := range r.items {
		it := &r.items[i]
		spec := &r.proto.Fields[it.field]
		if it.value == h.Value && spec.Name == h.Field || spec.Derived && spec.File == dissect.FileName {
			it.hidden = true
		}
	}
}

// foundBytes returns what h found, as it stands in m's present parts; nil if it does not stand there whole.
func foundBytes(m *dissect.Message, h *dlp.Hit) []byte {
	if !h.Exact {
		return nil
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.View != dissect.ViewPlain || p.Value != h.Value || m.Protocol.Fields[p.Field].Name != h.Field {
			continue
		}
		if h.Off >= p.Off && h.End <= p.Off+int64(len(p.Bytes)) && h.End > h.Off {
			return p.Bytes[h.Off-p.Off : h.End-p.Off]
		}
	}
	return nil
}

// app makes the protocol's own object of the record. A STARTTLS session has from, what it began in; nil for others.
func (l *Lane) app(r *record, from *dissect.Protocol) *alert.App {
	hide := r.rememberCredentials(&l.masker) || len(r.found) > 0 || len(l.known()) > 0
	o := &l.object
	o.Reset()
	for i := range r.items {
		it := &r.items[i]
		spec, to := &r.proto.Fields[it.field], &spots[r.proto.Base+int(it.field)]
		if spec.EVE == "" {
			continue
		}
		text, kind := r.buf[it.at:it.end], alert.Text
		switch {
		case it.hidden:
			text = hiddenText
		case spec.Number:
			kind = alert.Number
		case spec.Bool:
			kind = alert.Truth
		}
		if hide && !it.hidden {
			text = l.text(r, i)
		}
		switch to.kind {
		case member:
			o.Add(to.list, text)
		case inRow:
			o.Row(to.list, it.value, it.reply, to.key, kind, text, spec.Pieces)
		default:
			o.Set(to.key, kind, text, spec.First)
		}
	}
	if from != nil {
		o.Set("from_proto", alert.Text, []byte(from.Name), true)
	}
	return o.App(r.proto.EventType())
}

// text returns a value as it is shown. It is valid until the next call.
func (l *Lane) text(r *record, i int) []byte {
	it := &r.items[i]
	if it.hidden {
		return hiddenText
	}
	b := r.buf[it.at:it.end]
	spec := &r.proto.Fields[it.field]
	if spec.Number || spec.Bool {
		return l.masker.Find(b, r.found, l.known())
	}
	return l.masker.Text(b, spec.Privacy, r.found, l.known())
}

// known returns what was found in earlier exchanges of the present flow.
func (l *Lane) known() []dlp.Value {
	if l.a == nil || l.a.rare == nil {
		return nil
	}
	return l.a.rare.known
}

// hiddenText stands for a value nothing of which is shown.
var hiddenText = []byte("[masked]")

// spot is where a field's values stand in its protocol's object: what dissect.FieldSpec.EVE says, taken apart.
type spot struct {
	kind      spotKind
	list, key string
}

type spotKind uint8

const (
	alone  spotKind = iota // key
	member                 // of a list of strings
	inRow                  // key of an object in a list
)

// spots has that of each field of dissect.FieldNames.
var spots = func() []spot {
	out := make([]spot, dissect.Protocols[0].Base, len(dissect.FieldNames)) // what is in no table is in no event
	for _, p := range dissect.Protocols {
		for i := range p.Fields {
			eve := p.Fields[i].EVE
			if list, ok := strings.CutSuffix(eve, "[]"); ok {
				out = append(out, spot{member, list, ""})
			} else if list, key, ok := strings.Cut(eve, "."); ok {
				out = append(out, spot{inRow, list, key})
			} else {
				out = append(out, spot{alone, "", eve})
			}
		}
	}
	return out
}()
