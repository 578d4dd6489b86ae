package dissect

import (
	"bytes"
	"strconv"

	"weir/wire"
)

// unit is a message that a dissector has under way, possibly over several calls. The zero unit is none.
type unit struct {
	id, tx uint64
	with   uint64 // Message.With
	values uint32 // value numbers given
}

// teller collects what a dissector tells of one unit at a time. It belongs to the Scratch: what is collected is flushed before the call of the
// Dissector ends.
//
//	t := d.env.teller(d.p, dir, &d.unit, emit)
//	t.add(ftpCommand, verb)
//	t.flush(true, false)
type teller struct {
	p     *Protocol
	want  Wants
	emit  func(*Message)
	u     *unit
	msg   Message
	parts []Part
	notes []Note
	flows []Expectation
	text  []byte // bytes of the parts collected that are no part of the input
	at    int    // where in text the last part begins, if join may go on with it; else -1
	spare []byte // text before the last flush: a value may have been written before it and be added behind it
}

// maxTold is how many parts are collected before they are emitted.
const maxTold = 64

// teller returns the Scratch's teller for messages of p, with u in hand.
func (e *Env) teller(p *Protocol, dir wire.Dir, u *unit, emit func(*Message)) *teller {
	s := e.scratch()
	if s.tell == nil {
		s.tell = &teller{parts: make([]Part, 0, maxTold), notes: make([]Note, 0, 8)}
	}
	t := s.tell
	t.p, t.want, t.u, t.emit, t.at = p, e.Want, u, emit, -1
	t.msg.Dir = dir
	return t
}

// wants reports whether somebody asks for f.
func (t *teller) wants(f Field) bool { return t.want.Has(t.p, f) }

// add collects a value that is whole; b is borrowed until the flush.
func (t *teller) add(f Field, b []byte) {
	if t.wants(f) {
		t.u.values++
		t.part(Part{Field: f, Value: t.u.values, Bytes: b})
	}
}

// addString collects a value that is no part of the input.
func (t *teller) addString(f Field, s string) {
	if t.wants(f) {
		t.add(f, t.write(func(b []byte) []byte { return append(b, s...) }))
	}
}

// addWritten collects a value that was read from text, as JSON, if it is written there as it is: with escapes, it could show what was found in
// text and is masked there.
func (t *teller) addWritten(f Field, text []byte, s string) {
	if i := bytes.Index(text, []byte(s)); s != "" && i >= 0 {
		t.add(f, text[i:i+len(s)])
	}
}

// number collects a number.
func (t *teller) number(f Field, n int64) {
	if t.wants(f) {
		t.add(f, t.write(func(b []byte) []byte { return strconv.AppendInt(b, n, 10) }))
	}
}

// row collects a member of the value v, as value has numbered it: an object of a list in the event.
func (t *teller) row(f Field, v uint32, b []byte) {
	if t.wants(f) {
		t.part(Part{Field: f, Value: v, Bytes: b})
	}
}

// rowNumber collects a number that is a member of the value v.
func (t *teller) rowNumber(f Field, v uint32, n int64) {
	if t.wants(f) {
		t.row(f, v, t.write(func(b []byte) []byte { return strconv.AppendInt(b, n, 10) }))
	}
}

// write returns what fn appends to the text; it is valid until the flush.
func (t *teller) write(fn func([]byte) []byte) []byte {
	at := len(t.text)
	t.text = fn(t.text) // parts may still borrow from the one before
	return t.text[at:len(t.text):len(t.text)]
}

// value returns the number of a value that comes in several parts: each is given to part with it.
func (t *teller) value() uint32 {
	t.u.values++
	return t.u.values
}

// part collects a part of a value as it is. Whether it is asked for is for the caller to know.
func (t *teller) part(p Part) {
	if len(t.parts) == maxTold {
		t.flush(false, false)
	}
	t.parts = append(t.parts, p)
}

// run collects the next piece of a value that comes in many: one that adjoins the last in memory makes that longer. off is its offset in the value.
func (t *teller) run(f Field, value uint32, off int64, b []byte) {
	if n := len(t.parts); n > 0 && len(b) > 0 {
		last := &t.parts[n-1]
		if k := len(last.Bytes); last.Field == f && last.Value == value && k > 0 && cap(last.Bytes) >= k+len(b) && &last.Bytes[:k+1][k] == &b[0] {
			last.Bytes = last.Bytes[:k+len(b)]
			return
		}
	}
	t.part(Part{Field: f, Value: value, Off: off, Bytes: b, More: true})
}

// note collects a violation. A dissector tells each kind once per message.
func (t *teller) note(n Note) { t.notes = append(t.notes, n) }

// expect announces a flow.
func (t *teller) expect(e Expectation) { t.flows = append(t.flows, e) }

// flush emits what is collected; end says that the message is complete, tx that its exchange is.
func (t *teller) flush(end, tx bool) {
	if !end && !tx && len(t.parts) == 0 && len(t.notes) == 0 && len(t.flows) == 0 {
		return
	}
	t.msg = Message{Protocol: t.p, ID: t.u.id, Tx: t.u.tx, With: t.u.with, Dir: t.msg.Dir, Parts: t.parts, Notes: t.notes, Expect: t.flows, End: end, TxEnd: tx}
	t.send()
}

// upgrade ends the message, behind which the flow carries another protocol.
func (t *teller) upgrade(tx bool) {
	t.msg = Message{Protocol: t.p, ID: t.u.id, Tx: t.u.tx, Dir: t.msg.Dir, Parts: t.parts, Notes: t.notes, Expect: t.flows, End: true, TxEnd: tx, Upgrade: true}
	t.send()
}

func (t *teller) send() {
	dir := t.msg.Dir
	t.emit(&t.msg)
	t.msg = Message{Dir: dir}
	clear(t.parts)
	t.at = -1
	t.parts, t.notes, t.flows = t.parts[:0], t.notes[:0], t.flows[:0]
	if cap(t.text) > maxScratch {
		t.text = nil
	}
	t.text, t.spare = t.spare[:0], t.text
}
