package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"weir/alert"
	"weir/dissect"
	"weir/dlp"
	"weir/wire"
)

// record is what is written down of one exchange for its event: copies of the values that have a
// name in it, masked where something was found.
type record struct {
	tx    uint64
	proto *dissect.Protocol
	time  int64
	items []item
	buf   []byte
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
		if part.View != dissect.ViewPlain || spec.EVE == "" {
			continue
		}
		b := part.Bytes
		if n := len(r.items); part.Off > 0 && !spec.Pieces && n > 0 && r.items[n-1].field == part.Field && r.items[n-1].value == part.Value {
			last := &r.items[n-1]
			b = b[:min(len(b), maxValueSize-int(last.end-last.at))]
			r.buf = append(r.buf, b...)
			last.end = int32(len(r.buf))
			continue
		}
		b = b[:min(len(b), maxValueSize)]
		if len(r.buf)+len(b) > maxRecordSize {
			continue
		}
		at := int32(len(r.buf))
		r.buf = append(r.buf, b...)
		r.items = append(r.items, item{at: at, end: int32(len(r.buf)), value: part.Value, field: part.Field, reply: m.Dir == wire.ToClient})
	}
}

func (l *Lane) recordOf(m *dissect.Message) *record {
	a := l.a
	for _, r := range a.records {
		if r.tx == m.Tx {
			return r
		}
	}
	if len(a.records) >= maxRecords {
		l.tellRecord(a.records[0])
		l.dropRecord(0)
	}
	var r *record
	if n := len(l.records); n > 0 {
		r, l.records = l.records[n-1], l.records[:n-1]
		*r = record{items: r.items[:0], buf: r.buf[:0]}
	} else {
		r = &record{}
	}
	r.tx, r.proto, r.time = m.Tx, m.Protocol, l.t.now
	a.records = append(a.records, r)
	return r
}

func (l *Lane) dropRecord(i int) {
	a := l.a
	if len(l.records) < maxFree {
		l.records = append(l.records, a.records[i])
	}
	a.records = slices.Delete(a.records, i, i+1)
}

// find returns the record of an exchange, nil if there is none.
func (a *app) find(tx uint64) *record {
	for _, r := range a.records {
		if r.tx == tx {
			return r
		}
	}
	return nil
}

// mask hides what h found wherever the record has it: the same bytes may stand in several values.
func (r *record) mask(m *dissect.Message, h *dlp.Hit) {
	found := foundBytes(m, h)
	if len(found) == 0 {
		r.hide(h)
		return
	}
	for i := range r.items {
		it := &r.items[i]
		v := r.buf[it.at:it.end]
		if !bytes.Contains(v, found) {
			if it.value == h.Value && r.proto.Fields[it.field].Name == h.Field { // cut, say
				it.hidden = true
			}
			continue
		}
		at := len(r.buf)
		r.buf = append(r.buf, bytes.ReplaceAll(v, found, []byte(h.Masked))...)
		it.at, it.end = int32(at), int32(len(r.buf))
	}
}

// hide leaves all of the value out that h found something in.
func (r *record) hide(h *dlp.Hit) {
	for i := range r.items {
		if it := &r.items[i]; it.value == h.Value && r.proto.Fields[it.field].Name == h.Field {
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

// app makes the protocol's own object of the record.
func (r *record) app() *alert.App {
	b := appBuilder{out: &alert.App{Name: r.proto.EventType()}, rows: map[row]int{}}
	for _, it := range r.items {
		spec := &r.proto.Fields[it.field]
		var v any = string(r.buf[it.at:it.end])
		switch {
		case it.hidden:
			v = "[masked]"
		case spec.Number:
			v = json.Number(v.(string))
		case spec.Bool:
			v = v == "true"
		}
		if list, ok := strings.CutSuffix(spec.EVE, "[]"); ok {
			b.member(list, v)
		} else if list, key, ok := strings.Cut(spec.EVE, "."); ok {
			b.row(row{list, it.reply, it.value}, key, v, spec.Pieces)
		} else {
			b.set(spec.EVE, v, spec.First)
		}
	}
	return b.out
}

// row names an object in a list of objects.
type row struct {
	list  string
	reply bool
	value uint32
}

type appBuilder struct {
	out  *alert.App
	rows map[row]int // index in its list
}

// at returns the place of a key, with what is there.
func (b *appBuilder) at(key string) *any {
	for i := range b.out.Fields {
		if b.out.Fields[i].Key == key {
			return &b.out.Fields[i].Value
		}
	}
	b.out.Fields = append(b.out.Fields, alert.KV{Key: key})
	return &b.out.Fields[len(b.out.Fields)-1].Value
}

// set sets a member: a later value is the answer's, and stands unless the first one is wanted.
func (b *appBuilder) set(key string, v any, first bool) {
	if at := b.at(key); *at == nil || !first {
		*at = v
	}
}

// member appends to a list of strings.
func (b *appBuilder) member(list string, v any) {
	at := b.at(list)
	have, _ := (*at).([]string)
	*at = append(have, fmt.Sprint(v))
}

// row sets a member of an object in a list. A further piece of a value has an object of its own.
func (b *appBuilder) row(r row, key string, v any, pieces bool) {
	at := b.at(r.list)
	have, _ := (*at).([][]alert.KV)
	i, ok := b.rows[r]
	if !ok {
		i = len(have)
		b.rows[r] = i
		have = append(have, nil)
	}
	if k := slices.IndexFunc(have[i], func(kv alert.KV) bool { return kv.Key == key }); pieces && k >= 0 {
		have = append(have, slices.Clone(have[i]))
		i = len(have) - 1
		b.rows[r] = i
		have[i][k].Value = v
	} else {
		have[i] = append(have[i], alert.KV{Key: key, Value: v})
	}
	*at = have
}
