package flow

import (
	"hash/maphash"

	"weir/budget"
	"weir/wire"
)

// Ours.
const (
	spareFlows = 64   // flows that have ended whose memory is kept for others
	fewFlows   = 4096 // places for flows that a table keeps whatever it needs
	muchRoom   = 8    // times as many places as flows: then there are made fewer
	evictMost  = 4096 // flows that Tick evicts at most, since others wait meanwhile
)

// Table holds the flows of one tap. It belongs to one goroutine. S is what its owner keeps with each flow; a new flow's
// is zero.
type Table[S any] struct {
	c     core
	index index
	seed  maphash.Seed
	flows []*Flow[S] // by number less 1; nil: the number is free
	free  []uint32   // numbers
	spare []*Flow[S] // memory of flows that have ended
	share *budget.Share
	queue [classes]queue
	made  uint64

	sinceBack int // packets since the clock was set back
	onEnd     func(f *Flow[S], last []Chunk, why Reason)
}

// New makes an empty table.
func New[S any](limits Limits, overlap Overlap, mode ChecksumMode) *Table[S] {
	t := &Table[S]{seed: maphash.MakeSeed()}
	t.c = core{limits: limits, overlap: overlap, mode: mode, now: noTime}
	t.Within(budget.Alone(int64(limits.Flows)), budget.Alone(int64(limits.HeldPerTable)))
	return t
}

// Within makes t share two budgets with other tables, that of flows and that of bytes held, in place of having Flows and HeldPerTable
// of its limits for itself, which hold beside them. It is called before the first Push; the shares remain their owner's to close.
func (t *Table[S]) Within(flows, held *budget.Share) {
	t.share = flows
	t.c.pool.within(held, t.c.limits.HeldPerTable)
}

// OnEnd sets what is called when a flow ends, by Push, Tick or Close: once per flow, before its memory is used again.
// last is what was still held behind holes, told as gaps and data, and the End of each direction that had none; it is
// borrowed until end returns. end must call none of the table's methods but Join and Counters.
func (t *Table[S]) OnEnd(end func(f *Flow[S], last []Chunk, why Reason)) { t.onEnd = end }

// Push takes a packet. It returns its flow and what can be told of it now, in order: chunks, and the data in them, are
// borrowed until the next Push, Tick or Close. A packet without addresses (IP is 0) has no flow. Other than TCP, each
// datagram with a payload is one Chunk; fragments have none: see Defrag.
func (t *Table[S]) Push(p *wire.Packet) (*Flow[S], []Chunk) {
	if p.IP == 0 {
		return nil, nil
	}
	c := &t.c
	now := p.Frame.Time
	c.begin(now)
	hash := t.hash(&p.Key)
	n := t.find(&p.Key, hash)
	if n == 0 {
		n = t.open(p, hash)
	} else if f := t.at(n); now-f.Last > int64(IdleClosing) && now-f.Last > int64(timeout[f.kind()]) { // none is shorter
		t.end(n, f.idle())
		n = t.open(p, hash)
	}
	f := t.at(n)
	d := f.Dir(p)
	f.count(d, p)
	switch o := c.packet(&f.Info, d, p); o {
	case beginning, reopened:
		f.uncount(d, p)
		n = t.again(n, p, hash, o)
		f = t.at(n)
	}
	f.Last = max(f.Last, now)
	t.touch(f, n)
	t.sinceBack++
	return f, c.out
}

// again ends flow n and begins another one between the same ends with p; if the handshake was seen already, with that.
func (t *Table[S]) again(n uint32, p *wire.Packet, hash uint32, o outcome) uint32 {
	c := &t.c
	f := t.at(n)
	d := f.Dir(p)
	var shake [2]offer
	if o == reopened {
		x := f.x
		shake[0] = x.alts[x.find(d, p.TCP.Seq)]
		if i := x.find(d.Other(), p.TCP.Ack); i >= 0 {
			shake[1] = x.alts[i]
		}
	}
	t.end(n, Ended)
	n = t.open(p, hash)
	f = t.at(n)
	if o == reopened {
		f.AInitiates = p.FromA == (shake[0].tcp.Flags&wire.ACK == 0)
		d = f.Dir(p)
		c.adopt(&f.Info, d, &shake[0].tcp, nil)
		if shake[1].tcp.Flags != 0 {
			c.adopt(&f.Info, d.Other(), &shake[1].tcp, nil)
			f.Dirs[d.Other()].Packets++ // its SYN was counted for the flow before
		}
	}
	f.count(d, p)
	c.packet(&f.Info, d, p)
	return n
}

// Tick ends the flows whose time is over at now, ns since the epoch. It costs nothing when none is due. A flow ends at
// most a sixteenth of its timeout late. If other tables need what t has beyond its part of a budget, it ends flows for that too.
func (t *Table[S]) Tick(now int64) {
	if t.setBack(now) {
		t.goBack(now)
	}
	t.c.begin(now)
	now = t.c.now
	for i := range t.queue {
		q := &t.queue[i]
		after := timeout[i] + timeout[i]/early
		for q.head != 0 {
			f := t.at(q.head)
			if f.place.queued.since(now) <= after {
				break
			}
			t.end(q.head, f.idle())
		}
	}
	t.c.pool.share.Settle()
	t.share.Settle()
	for n := 0; t.share.Over() && n < evictMost && t.evict(); {
		n++
	}
	if len(t.flows) > fewFlows && t.c.n.Active < len(t.flows)/muchRoom {
		t.renumber()
	}
}

// Trim lets go of memory that is kept for reuse: packets are few.
func (t *Table[S]) Trim() {
	t.c.pool.empty()
	t.spare = nil
}

// renumber gives the flows the lowest numbers, so that many places that a flood has needed need not be kept.
func (t *Table[S]) renumber() {
	old := t.flows
	t.flows = make([]*Flow[S], 0, t.c.n.Active+fewFlows)
	t.free, t.index = nil, index{}
	for i := range t.queue {
		q := &t.queue[i]
		n, prev := q.head, uint32(0)
		for q.head = 0; n != 0; {
			f := old[n-1]
			n = f.place.next
			t.flows = append(t.flows, f)
			self := uint32(len(t.flows))
			f.place.prev, f.place.next = prev, 0
			if prev != 0 {
				t.at(prev).place.next = self
			} else {
				q.head = self
			}
			t.index.add(t.hash(&f.Key), self)
			prev = self
		}
		q.tail = prev
	}
}

// Close ends all flows. The table is empty afterwards, and can be used again.
func (t *Table[S]) Close() {
	t.c.begin(t.c.now)
	for i := range t.queue {
		for t.queue[i].head != 0 {
			t.end(t.queue[i].head, Drained)
		}
	}
	t.c.begin(t.c.now)
	t.flows, t.free, t.spare, t.index = nil, nil, nil, index{}
	t.c.pool.empty()
}

// Counters returns the table's counters; they change with every call of its methods.
func (t *Table[S]) Counters() *Counters {
	t.c.n.Held = t.c.pool.held
	return &t.c.n
}

// Range calls yield with every flow until it returns false. The order is none; yield must call none of the table's
// methods.
func (t *Table[S]) Range(yield func(*Flow[S]) bool) {
	for i := range t.queue {
		for n := t.queue[i].head; n != 0; {
			f := t.at(n)
			n = f.place.next
			if !yield(f) {
				return
			}
		}
	}
}

// Find returns the flow with a key, nil if there is none.
func (t *Table[S]) Find(k *wire.Key) *Flow[S] {
	if n := t.find(k, t.hash(k)); n != 0 {
		return t.at(n)
	}
	return nil
}

func (t *Table[S]) hash(k *wire.Key) uint32 { return uint32(maphash.Comparable(t.seed, *k)) }

func (t *Table[S]) at(n uint32) *Flow[S] { return t.flows[n-1] }

// find returns the number of the flow with a key, 0 if there is none.
func (t *Table[S]) find(k *wire.Key, hash uint32) uint32 {
	x := &t.index
	if len(x.slots) == 0 {
		return 0
	}
	for i := x.first(hash); ; i = x.next(i) {
		s := x.slots[i]
		if s.flow == 0 || s.hash == hash && t.at(s.flow).Key == *k {
			return s.flow
		}
	}
}

// open makes a flow that begins with p, and returns its number.
func (t *Table[S]) open(p *wire.Packet, hash uint32) uint32 {
	for t.c.n.Active >= t.c.limits.Flows || !t.share.Fits(1) {
		if !t.evict() {
			break
		}
	}
	f, n := t.make()
	t.made++
	f.Info = Info{
		Key: p.Key, ID: identify(&p.Key, p.Frame.Time, t.made), Start: p.Frame.Time, Last: p.Frame.Time,
		AInitiates: p.FromA == initiates(p), NVLAN: p.NVLAN, VLAN: p.VLAN,
	}
	t.index.add(hash, n)
	t.share.Use(1)
	t.c.n.Flows++
	t.c.n.Active++
	t.enqueue(f, n)
	return n
}

// make returns a flow and its number.
func (t *Table[S]) make() (f *Flow[S], number uint32) {
	if n := len(t.spare); n > 0 {
		f, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		f = new(Flow[S])
	}
	if n := len(t.free); n > 0 {
		number, t.free = t.free[n-1], t.free[:n-1]
		t.flows[number-1] = f
		return f, number
	}
	t.flows = append(t.flows, f)
	return f, uint32(len(t.flows))
}

// end ends flow n.
func (t *Table[S]) end(n uint32, why Reason) {
	c := &t.c
	f := t.at(n)
	if why == Evicted {
		c.n.Evicted++
	}
	out := c.out
	c.out = c.last[:0]
	c.finishAll(&f.Info)
	if t.onEnd != nil {
		t.onEnd(f, c.out, why)
	}
	c.drop(&f.Info)
	clear(c.out)
	c.last, c.out = c.out, out
	t.dequeue(f)
	t.index.remove(t.hash(&f.Key), n)
	t.flows[n-1] = nil
	t.free = append(t.free, n)
	t.share.Use(-1)
	c.n.Active--
	*f = Flow[S]{}
	if len(t.spare) < spareFlows {
		t.spare = append(t.spare, f)
	}
}
