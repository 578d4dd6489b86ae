package flow

import (
	"time"
)

// class is a class of flows that time out alike.
type class uint8

const (
	opening class = iota
	open
	closing
	datagrams
	others
	timeouts
)

var timeout = [timeouts]time.Duration{IdleOpening, IdleTCP, IdleClosing, IdleUDP, IdleOther}

// early is the part of its timeout that a flow's packets may be younger than its place in the queue, so that most
// packets need not move it.
const early = 16

// queue lists the flows of one class, the one idle longest first.
type queue struct {
	head, tail uint32
	n          int
}

// place is where a flow is in the index and the queues.
type place struct {
	self, next, prev uint32
	hash             uint32
	queued           int64 // time of the packet that put it there, ns
}

// touch moves f to where its latest packet puts it.
func (t *Table[S]) touch(f *Flow[S]) {
	k, after := f.timeout()
	if k == f.class && time.Duration(f.Last-f.place.queued) < after/early {
		return
	}
	t.dequeue(f)
	t.enqueue(f)
}

func (t *Table[S]) enqueue(f *Flow[S]) {
	k, _ := f.timeout()
	q, p := &t.queue[k], &f.place
	f.class, p.queued, p.next, p.prev = k, f.Last, 0, q.tail
	if q.tail != 0 {
		t.at(q.tail).place.next = p.self
	} else {
		q.head = p.self
	}
	q.tail = p.self
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

// evict ends the flow idle longest; of a class that fills more than half of the table, so that a flood pushes out
// itself.
func (t *Table[S]) evict() {
	var old *Flow[S]
	for i := range t.queue {
		q := &t.queue[i]
		if q.n == 0 {
			continue
		}
		f := t.at(q.head)
		if 2*q.n > t.c.n.Active {
			old = f
			break
		}
		if old == nil || f.place.queued < old.place.queued {
			old = f
		}
	}
	if old != nil {
		t.end(old, Evicted)
	}
}
