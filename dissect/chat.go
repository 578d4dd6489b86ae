package dissect

import (
	"bytes"

	"weir/wire"
)

// chat is what dissectors of commands and answers have in common: a message in hand of each direction.
type chat struct {
	p      *Protocol
	env    *Env
	unit   [2]unit
	lastID uint64
	lastTx uint64
	closed [2]bool
}

// message returns the teller of the message in hand of dir, a new one of exchange tx if there is none.
func (d *chat) message(dir wire.Dir, tx uint64, emit func(*Message)) *teller {
	u := &d.unit[dir]
	if u.id == 0 {
		d.lastID++
		*u = unit{id: d.lastID, tx: tx}
	}
	return d.env.teller(d.p, dir, u, emit)
}

// over ends the message in hand of dir; tx says that its exchange is complete.
func (d *chat) over(dir wire.Dir, tx bool, emit func(*Message)) {
	u := &d.unit[dir]
	if u.id != 0 {
		d.env.teller(d.p, dir, u, emit).flush(true, tx)
		*u = unit{}
	}
}

// upgrade ends the message in hand of dir, and with it the protocol.
func (d *chat) upgrade(dir wire.Dir, emit func(*Message)) {
	u := &d.unit[dir]
	d.env.teller(d.p, dir, u, emit).upgrade(true)
	*u = unit{}
}

// flush emits what was collected of dir: it does not outlive a call.
func (d *chat) flush(dir wire.Dir, emit func(*Message)) {
	if u := &d.unit[dir]; u.id != 0 {
		d.env.teller(d.p, dir, u, emit).flush(false, false)
	}
}

// unanswered ends an exchange whose answer did not come.
func (d *chat) unanswered(dir wire.Dir, tx uint64, emit func(*Message)) {
	d.message(dir, tx, emit)
	d.over(dir, true, emit)
}

// lines gives take what comes of dir line by line, without its end, and empty ones not at all; take reports whether the protocol ends there. What
// is no text at the beginning of a flow is bad: taken says that it has begun.
func (d *chat) lines(dir wire.Dir, data []byte, taken *bool, bad error, emit func(*Message),
	take func(dir wire.Dir, line []byte, emit func(*Message)) (up bool)) (pr Progress, err error) {
	for pr.Used < len(data) {
		n, _ := cutLine(data[pr.Used:], maxChatLine, d.closed[dir])
		if n == 0 {
			return pr, nil
		}
		line := bytes.TrimRight(data[pr.Used:pr.Used+n], "\r\n")
		if !*taken && !isText(line) {
			return pr, bad
		}
		*taken = true
		pr.Used += n
		if len(line) > 0 && take(dir, line, emit) {
			return pr, nil
		}
	}
	return pr, nil
}

// next returns the number of a new exchange.
func (d *chat) next() uint64 {
	d.lastTx++
	return d.lastTx
}

// tlsWait is what is remembered of a client that has asked for TLS, as by STARTTLS, until the server has answered.
type tlsWait struct {
	waits  bool // what follows is TLS if the server agrees
	warned bool
}

// behindTLS deals with what the client says while w waits, first being its first byte: TLS ends the protocol (up), or is held until the server has
// agreed if that was seen to speak; anything else is held until it has answered or the client has
// closed its side, and told by note.
func (d *chat) behindTLS(w *tlsWait, first byte, tx uint64, greeted bool, note Note, emit func(*Message)) (up, hold bool) {
	last := d.closed[wire.ToServer]
	switch {
	case first == recordShake && greeted && !last:
		return false, true
	case first == recordShake:
		d.message(wire.ToServer, tx, emit)
		d.upgrade(wire.ToServer, emit)
		return true, false
	case !w.warned:
		w.warned = true
		d.message(wire.ToServer, tx, emit).note(note)
		d.over(wire.ToServer, false, emit)
	}
	w.waits = !last
	return false, !last
}

// ours
const (
	maxChatLine    = 8 << 10 // bytes of a command or answer; a longer line is taken in pieces
	maxChatPending = 64      // commands that wait for their answer; of more, answers are exchanges of their own
)

// asked is a command that waits for its answer.
type asked[K any] struct {
	kind K
	tx   uint64
}

// queue are the commands of a flow that wait for their answers, the oldest first.
type queue[K any] struct{ list []asked[K] }

func (q *queue[K]) push(kind K, tx uint64) bool {
	if len(q.list) >= maxChatPending {
		return false
	}
	q.list = append(q.list, asked[K]{kind, tx})
	return true
}

// front returns the oldest, nil if there is none.
func (q *queue[K]) front() *asked[K] {
	if len(q.list) == 0 {
		return nil
	}
	return &q.list[0]
}

func (q *queue[K]) pop() { q.list = q.list[:copy(q.list, q.list[1:])] }
