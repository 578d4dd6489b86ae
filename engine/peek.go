package engine

import "weir/wire"

// peek inspects bytes that are kept until it is known what they are, as raw ones, where their packets are held: to whom they go they may be all that he
// needs. head is all that is kept. Once it is known what they are they are inspected as that, too.
func (l *Lane) peek(a *app, dir wire.Dir, head []byte) {
	if !l.t.inline() || l.closing {
		return
	}
	l.raw(a, dir, head, true)
	a.peeked[dir] = len(head)
}

// unpeeked returns those of bytes that nobody understands which were not inspected already.
func (a *app) unpeeked(dir wire.Dir, data []byte) []byte {
	if a.work == nil || a.peeked[dir] == 0 {
		return data
	}
	n := min(a.peeked[dir], len(data))
	a.peeked[dir] -= n
	return data[n:]
}

// understood ends the raw message of a direction whose bytes turned out to be a protocol's.
func (l *Lane) understood(a *app, dir wire.Dir) {
	if a.peeked[dir] > 0 {
		a.peeked[dir] = 0
		l.rawEnd(a, dir)
	}
}
