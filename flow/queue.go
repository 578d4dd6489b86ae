package flow

import (
	"time"

	"weir/wire"
)

// class is a class of flows that time out alike and are worth the same. The least valuable come first: they are evicted first, so that a
// flood of packets that nobody answers does not push out conversations.
type class uint8

const (
	closing   class = iota // it is over; late segments still belong to it
	opening                // TCP without a whole handshake
	lone                   // not TCP, and one end only has sent
	datagrams              // not TCP, and both have
	bare                   // TCP that has carried nothing, or of which one end only was seen
	open                   // TCP that has carried something
	classes
)

var timeout = [classes]time.Duration{
	closing: IdleClosing, opening: IdleOpening, lone: IdleOther, datagrams: IdleOther, bare: IdleTCP, open: IdleTCP,
}

const (
	// early is the part of its timeout that a flow's packets may be younger than its place in the queue, so that most
	// packets need not move it.
	early = 16
	// guarded is the part of the table that each class keeps when others need room: handshakes and queries that have just begun
	// must have time to be answered.
	guarded = 16
)

// queue lists the flows of one class, the one idle longest first.
type queue struct {
	head, tail uint32
	n          int
}

// place is where a flow is in its queue.
type place struct {
	next, prev uint32 // numbers of flows
	queued     moment // of the packet that put it there
}

// moment is a time in units of 2^27 ns, about an eighth of a second, modulo 2^32 of them, which are 18 years.
type moment uint32

const momentBits = 27

func at(now int64) moment { return moment(uint64(now) >> momentBits) }

// since returns how much later now is.
func (m moment) since(now int64) time.Duration { return time.Duration(int32(at(now)-m)) << momentBits }

// kind returns the class of f.
func (f *Info) kind() class {
	both := f.Dirs[0].Packets > 0 && f.Dirs[1].Packets > 0
	switch {
	case f.Key.Proto != wire.ProtoTCP && both:
		return datagrams
	case f.Key.Proto != wire.ProtoTCP:
		return lone
	case f.State == StateNew:
		return opening
	case f.State == StateClosed, (f.side[0].bits|f.side[1].bits)&reset != 0:
		return closing
	case both && f.Dirs[0].Payload|f.Dirs[1].Payload != 0:
		return open
	}
	return bare
}

// touch moves f, which has number n, to where its latest packet puts it.
func (t *Table[S]) touch(f *Flow[S], n uint32) {
	k := f.class
	if k != open || f.State != StateEstablished || (f.side[0].bits|f.side[1].bits)&reset != 0 { // else it is open still
		k = f.kind()
	}
	if k == f.class && f.place.queued.since(f.Last) < timeout[k]/early {
		return
	}
	t.dequeue(f)
	t.enqueue(f, n)
}

func (t *Table[S]) enqueue(f *Flow[S], n uint32) {
	k := f.kind()
	q, p := &t.queue[k], &f.place
	f.class, p.queued, p.next, p.prev = k, at(f.Last), 0, q.tail
	if q.tail != 0 {
		t.at(q.tail).place.next = n
	} else {
		q.head = n
	}
	q.tail = n
	q.n++
}

func (t *Table[S]) dequeue(f *Flow[S]) {
	p := &f.place
	q := &t.queue[f.class]
	if p.prev != 0 {
		t.at(p.prev).place.next = p.next
	} else {
		q.head = p.next
	}
	if p.next != 0 {
		t.at(p.next).place.prev = p.prev
	} else {
		q.tail = p.prev
	}
	q.n--
}

// evict ends the flow idle longest of the least valuable class that fills more than what is guarded of it. False: there is none.
func (t *Table[S]) evict() bool {
	for i := range t.queue {
		if q := &t.queue[i]; q.n > t.c.n.Active/guarded {
			t.end(q.head, Evicted)
			return true
		}
	}
	return false
}
