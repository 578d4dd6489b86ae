package flow

import (
	"hash/maphash"
	"time"

	"weir/wire"
)

// Ours.
const slab = 128 // flows that are made at once: more than 32 KiB, so that the allocator rounds up to pages and not to its classes

// Table holds the flows of one tap. It belongs to one goroutine. S is what its owner keeps with each flow; a new flow's
// is zero.
type Table[S any] struct {
	c     core
	index index
	seed  maphash.Seed
	slabs []*[slab]Flow[S]
	free  []uint32
	queue [timeouts]queue
	made  uint64
	onEnd func(f *Flow[S], last []Chunk, why Reason)
}

// New makes an empty table.
func New[S any](limits Limits, overlap Overlap, mode ChecksumMode) *Table[S] {
	t := &Table[S]{seed: maphash.MakeSeed()}
	t.c = core{limits: limits, overlap: overlap, mode: mode, now: noTime}
	t.c.pool.most = limits.HeldPerTable / poolShare
	return t
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
	f := t.find(&p.Key, hash)
	if f == nil {
		f = t.open(p, hash)
	} else if _, after := f.timeout(); time.Duration(now-f.Last) > after {
		t.end(f, f.idle())
		f = t.open(p, hash)
	}
	d := f.Dir(p)
	f.count(d, p)
	switch o := c.packet(&f.Info, d, p); o {
	case beginning, reopened:
		f.uncount(d, p)
		f = t.again(f, p, hash, o)
	}
	f.Last = max(f.Last, now)
	t.touch(f)
	return f, c.out
}

// again ends f and begins another flow between the same ends with p; if the handshake was seen already, with that.
func (t *Table[S]) again(f *Flow[S], p *wire.Packet, hash uint32, o outcome) *Flow[S] {
	c := &t.c
	d := f.Dir(p)
	var shake [2]offer
	if o == reopened {
		x := f.x
		shake[0] = x.alts[x.find(d, p.TCP.Seq)]
		if i := x.find(d.Other(), p.TCP.Ack); i >= 0 {
			shake[1] = x.alts[i]
		}
	}
	t.end(f, Ended)
	f = t.open(p, hash)
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
	return f
}

// Tick ends the flows whose time is over at now, ns since the epoch. It costs nothing when none is due. A flow ends at
// most a sixteenth of its timeout late.
func (t *Table[S]) Tick(now int64) {
	t.c.begin(now)
	now = t.c.now
	for i := range t.queue {
		q := &t.queue[i]
		after := timeout[i] + timeout[i]/early
		for q.head != 0 {
			f := t.at(q.head)
			if time.Duration(now-f.place.queued) <= after {
				break
			}
			t.end(f, f.idle())
		}
	}
	if t.c.n.Active == 0 && len(t.slabs) > 1 {
		t.slabs, t.free, t.index = nil, nil, index{}
	}
}

// Close ends all flows. The table is empty afterwards, and can be used again.
func (t *Table[S]) Close() {
	t.c.begin(t.c.now)
	for i := range t.queue {
		for t.queue[i].head != 0 {
			t.end(t.at(t.queue[i].head), Drained)
		}
	}
	t.c.begin(t.c.now)
	t.slabs, t.free, t.index = nil, nil, index{}
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
func (t *Table[S]) Find(k *wire.Key) *Flow[S] { return t.find(k, t.hash(k)) }

func (t *Table[S]) hash(k *wire.Key) uint32 { return uint32(maphash.Comparable(t.seed, *k)) }

func (t *Table[S]) at(n uint32) *Flow[S] { return &t.slabs[(n-1)/slab][(n-1)%slab] }

func (t *Table[S]) find(k *wire.Key, hash uint32) *Flow[S] {
	x := &t.index
	if len(x.slots) == 0 {
		return nil
	}
	for i := x.first(hash); ; i = x.next(i) {
		s := x.slots[i]
		if s.flow == 0 {
			return nil
		}
		if s.hash == hash {
			if f := t.at(s.flow); f.Key == *k {
				return f
			}
		}
	}
}

// open makes a flow that begins with p.
func (t *Table[S]) open(p *wire.Packet, hash uint32) *Flow[S] {
	if t.c.n.Active >= t.c.limits.Flows {
		t.evict()
	}
	n := t.slot()
	f := t.at(n)
	t.made++
	*f = Flow[S]{Info: Info{
		Key: p.Key, ID: identify(&p.Key, p.Frame.Time, t.made), Start: p.Frame.Time, Last: p.Frame.Time,
		AInitiates: p.FromA == initiates(p), NVLAN: p.NVLAN, VLAN: p.VLAN,
		place: place{self: n, hash: hash},
	}}
	t.index.add(hash, n)
	t.c.n.Flows++
	t.c.n.Active++
	t.enqueue(f)
	return f
}

// slot returns the number of an unused flow.
func (t *Table[S]) slot() uint32 {
	if len(t.free) == 0 {
		base := uint32(len(t.slabs) * slab)
		t.slabs = append(t.slabs, new([slab]Flow[S]))
		for i := uint32(slab); i > 0; i-- {
			t.free = append(t.free, base+i)
		}
	}
	n := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	return n
}

// end ends f.
func (t *Table[S]) end(f *Flow[S], why Reason) {
	c := &t.c
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
	t.index.remove(f.place.hash, f.place.self)
	t.free = append(t.free, f.place.self)
	c.n.Active--
	*f = Flow[S]{}
}
