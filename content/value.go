package content

import (
	"weir/dissect"
	"weir/wire"
)

// value is a value that is being looked into: as it came, and all that was found inside so far.
type value struct {
	next  *value
	proto *dissect.Protocol
	id    uint64
	tx    uint64
	dir   wire.Dir
	field dissect.Field
	view  uint8 // that it was shown in first
	value uint32
	root  *node
	took  int64
	gave  int64  // bytes that containers in it gave
	cost  int    // bytes that it is counted for
	boxes int    // containers that were begun
	used  uint64 // views that are in use, a bit each
	views uint8  // the first of them
	dots  bool   // it is a name, made of labels
	// resolved says that the dissector has made a view without escapes of it.
	resolved bool
}

const valueSize = 192 // bytes that an open value is counted for, beside its nodes

func (v *value) about(m *dissect.Message, p *dissect.Part) {
	v.proto, v.id, v.tx, v.dir = m.Protocol, m.ID, m.Tx, m.Dir
	v.field, v.view, v.value = p.Field, p.View, p.Value
	v.boxes, v.used, v.took, v.gave = 0, 0, 0, 0
	v.dots = labelled[m.Protocol.Base+int(p.Field)]
	// Views of the same value that a dissector made may be open at the same time: each has numbers of its own.
	v.views = dissect.ViewInside + p.View*viewsEach
}

// labelled has the fields that are names made of labels.
var labelled = func() []bool {
	out := make([]bool, len(dissect.FieldNames))
	for i, name := range dissect.FieldNames {
		switch name {
		case "dns.query", "dns.answer.name", "dns.answer":
			out[i] = true
		}
	}
	return out
}()

// resolved reports whether m has a further view of what p shows.
func resolved(m *dissect.Message, p *dissect.Part) bool {
	for i := range m.Parts {
		if q := &m.Parts[i]; q.View > p.View && q.Value == p.Value && q.Field == p.Field {
			return true
		}
	}
	return false
}

// viewsEach is how many views may come out of each one that a dissector makes.
const viewsEach = 40

func (st *State) find(m *dissect.Message, p *dissect.Part) *value {
	for v := st.open; v != nil; v = v.next {
		if v.value == p.Value && v.field == p.Field && v.view == p.View && v.id == m.ID && v.dir == m.Dir {
			return v
		}
	}
	return nil
}

func (o *Opener) begin(st *State, m *dissect.Message, p *dissect.Part) *value {
	if st.n >= maxOpen {
		oldest := st.open
		for oldest.next != nil {
			oldest = oldest.next
		}
		o.refuse("content.open_budget", "too many values were open at once: encodings in the oldest were not undone further", 0)
		o.end(st, oldest)
	}
	var v *value
	if n := len(o.values); n > 0 {
		v, o.values = o.values[n-1], o.values[:n-1]
	} else {
		v = &value{}
	}
	v.about(m, p)
	v.next, st.open = st.open, v
	st.n++
	return v
}

// more gives an open value its next part.
func (o *Opener) more(st *State, v *value, p *dissect.Part) {
	o.feed(v, p)
	if !p.More {
		o.end(st, v)
		return
	}
	cost := valueSize + v.root.size()
	st.size += cost - v.cost
	v.cost = cost
}

// feed looks into the next part of a value.
func (o *Opener) feed(v *value, p *dissect.Part) {
	if v.root == nil {
		v.root = o.node(v, 0)
		v.root.end = p.Off
	}
	if v.resolved {
		v.root.kinds &^= 1<<aEscape | 1<<aPercent
	}
	o.Count.Bytes += uint64(len(p.Bytes))
	v.took += int64(len(p.Bytes))
	o.push(v, v.root, piece{b: p.Bytes, off: p.Off, shifts: o.normal(p), more: p.More, begin: p.Begin})
}

// normal returns the shifts of a part, in groups.
func (o *Opener) normal(p *dissect.Part) []dissect.Shift {
	if p.View == dissect.ViewPlain || len(p.Shifts) == 0 {
		return nil
	}
	out := o.levels[0].norm[:0]
	for i := range p.Shifts {
		s := p.Shifts[i]
		if s.Out == 0 {
			s.In, s.Out = 1, 1
		}
		out = append(out, s)
		if i+1 == len(p.Shifts) {
			break
		}
		// The last byte before the next shift is what an escape stands for.
		next := &p.Shifts[i+1]
		if d := next.Delta - p.Shifts[i].Delta; p.Shifts[i].Out == 0 && d > 0 && next.At > s.At {
			at := next.At - 1
			if at == s.At {
				out = out[:len(out)-1]
			}
			out = append(out, dissect.Shift{At: at, Delta: s.Delta, In: int32(1 + d), Out: 1})
		}
	}
	o.levels[0].norm = out
	return out
}

// end ends a value, and forgets it.
func (o *Opener) end(st *State, v *value) {
	if v.root != nil {
		o.push(v, v.root, piece{off: v.root.end})
	}
	for at := &st.open; *at != nil; at = &(*at).next {
		if *at == v {
			*at = v.next
			st.n--
			st.size -= v.cost
			break
		}
	}
	o.release(v)
	*v = value{}
	if len(o.values) < maxFree {
		o.values = append(o.values, v)
	}
}

// release gives back all that v holds.
func (o *Opener) release(v *value) {
	if v.root != nil {
		o.free(v.root)
		v.root = nil
	}
	for i := range o.levels {
		if l := &o.levels[i]; cap(l.win)+cap(l.text) > maxKept {
			l.win, l.text = nil, nil
		}
	}
}

// show emits a piece of a view.
func (o *Opener) show(v *value, n *node, p *piece) {
	o.parts[0] = dissect.Part{Field: v.field, View: n.view, More: p.more, Value: v.value, Off: p.off, Bytes: p.b, Shifts: p.shifts}
	o.msg = dissect.Message{Protocol: v.proto, ID: v.id, Tx: v.tx, Dir: v.dir, Parts: o.parts[:]}
	o.emit(&o.msg)
}
