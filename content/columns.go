package content

import (
	"bytes"

	"weir/dissect"
)

// ours
const (
	maxColumns = 64      // columns of a table that are told by their names
	maxCells   = 8 << 10 // bytes of a row that comes in pieces; longer ones are not taken apart
)

// table is a result of a database that is coming: what of its columns have a name that says what stands in them. Each of its rows is shown once
// more, those cells each behind the name of their column, so that the name is near to all of them and not to the first few alone.
type table struct {
	id    uint64
	dir   uint8
	n     int // columns so far
	rows  bool
	cols  []column
	row   []byte // that comes in pieces
	value uint32
	long  bool // it is too long
}

type column struct {
	index int
	name  string
}

const tableSize = 128 // bytes that a table is counted for, beside what it keeps

func (t *table) size() int {
	if t == nil {
		return 0
	}
	s := tableSize + cap(t.row)
	for i := range t.cols {
		s += 24 + len(t.cols[i].name)
	}
	return s
}

// column takes the name of a column.
func (o *Opener) column(st *State, m *dissect.Message, p *dissect.Part) {
	t := st.table
	if t == nil || t.id != m.ID || t.dir != uint8(m.Dir) || t.rows { // of another result
		if t == nil {
			t = &table{}
		} else {
			st.size -= t.size()
		}
		*t = table{id: m.ID, dir: uint8(m.Dir), cols: t.cols[:0], row: t.row[:0]}
		st.table = t
		st.size += t.size()
	}
	if p.Off == 0 && !p.More && len(t.cols) < maxColumns && o.speaks(p.Bytes) {
		t.cols = append(t.cols, column{t.n, string(p.Bytes)})
		st.size += 24 + len(p.Bytes)
	}
	t.n++
}

// speaks reports whether a column's name says what stands in it.
func (o *Opener) speaks(name []byte) bool {
	return o.Speaks != nil && len(name) > 0 && len(name) <= maxColumnName && o.Speaks(name)
}

// cells takes a row, or a piece of one.
func (o *Opener) cells(st *State, m *dissect.Message, p *dissect.Part) {
	t := st.table
	if t == nil || t.id != m.ID || t.dir != uint8(m.Dir) {
		return
	}
	t.rows = true
	if len(t.cols) == 0 || p.View != dissect.ViewPlain {
		return
	}
	if p.Off == 0 {
		t.row, t.long, t.value = t.row[:0], false, p.Value
		if !p.More {
			o.showCells(m, p, t, p.Bytes)
			return
		}
	}
	if t.value != p.Value || t.long || int64(len(t.row)) != p.Off || len(t.row)+len(p.Bytes) > maxCells {
		t.long = true
		return
	}
	had := cap(t.row)
	t.row = append(t.row, p.Bytes...)
	st.size += cap(t.row) - had
	if !p.More {
		o.showCells(m, p, t, t.row)
	}
}

// showCells shows those of a row that have such a name, a line each.
func (o *Opener) showCells(m *dissect.Message, p *dissect.Part, t *table, row []byte) {
	l := &o.levels[0]
	l.text, l.lead = l.text[:0], l.lead[:0]
	at, index := 0, 0
	for _, c := range t.cols {
		for ; index < c.index && at <= len(row); index++ {
			n := bytes.IndexByte(row[at:], '\t')
			if n < 0 {
				at = len(row) + 1
				break
			}
			at += n + 1
		}
		if at > len(row) {
			break
		}
		cell := row[at:]
		if n := bytes.IndexByte(cell, '\t'); n >= 0 {
			cell = cell[:n]
		}
		if len(cell) == 0 {
			continue
		}
		l.text, l.lead = appendCell(l.text, l.lead, c.name, cell, int64(at))
	}
	if len(l.text) == 0 {
		return
	}
	o.Count.Opened++
	o.parts[0] = dissect.Part{Field: p.Field, View: dissect.ViewInside + viewsEach - 1, Value: p.Value, Bytes: l.text, Shifts: l.lead}
	o.msg = dissect.Message{Protocol: m.Protocol, ID: m.ID, Tx: m.Tx, Dir: m.Dir, Parts: o.parts[:]}
	o.emit(&o.msg)
}

// appendCell appends a cell that stands at an offset of its value behind its column's name.
func appendCell(text []byte, shifts []dissect.Shift, name string, cell []byte, at int64) ([]byte, []dissect.Shift) {
	shifts = append(shifts, dissect.Shift{At: int64(len(text)), Delta: placeless, Out: -1})
	text = append(append(text, name...), '=')
	shifts = append(shifts, dissect.Shift{At: int64(len(text)), Delta: at - int64(len(text)), In: 1, Out: 1})
	return append(append(text, cell...), '\n'), shifts
}
