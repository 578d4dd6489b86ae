package enforce

import (
	"runtime"
	"sync"
	"time"

	"weir/engine"
)

// Pool holds what queues need to work: as many batches as may work at once. It watches that none waits for its verdict too long. All
// guards of a daemon share one.
type Pool struct {
	free chan *batch
	done chan struct{}

	awake *seats // for queues that are empty, and wait without sleeping

	mu     sync.Mutex
	guards map[*Guard]struct{}
}

// watchEvery is how often queues are looked at; a hang is seen at most so much later.
const watchEvery = 50 * time.Millisecond

// reportEvery is how often what was missed is told, in looks.
const reportEvery = 20

// NewPool returns a Pool for as many queues at work at once as there are lanes, which are for them alone: what is held never waits behind a ring's block. Close it after
// its guards.
func NewPool(lanes []*engine.Lane) *Pool {
	p := &Pool{free: make(chan *batch, len(lanes)), done: make(chan struct{}), awake: newSeats(runtime.GOMAXPROCS(0)), guards: map[*Guard]struct{}{}}
	for _, lane := range lanes {
		p.free <- newBatch(lane)
	}
	go p.watch()
	return p
}

// Close ends the watch.
func (p *Pool) Close() { close(p.done) }

// Each waits until every lane was free once, and calls fn with each: to know that all have moved on to new rules, or to free them.
func (p *Pool) Each(fn func(*engine.Lane)) {
	var all []*batch
	for range cap(p.free) {
		b := <-p.free
		fn(b.lane)
		all = append(all, b)
	}
	for _, b := range all {
		p.free <- b
	}
}

// try returns a free batch, or nil.
func (p *Pool) try() *batch {
	select {
	case b := <-p.free:
		return b
	default:
		return nil
	}
}

// wait waits for a free batch; nil: closed was closed before.
func (p *Pool) wait(closed <-chan struct{}) *batch {
	select {
	case b := <-p.free:
		return b
	case <-closed:
		return nil
	}
}

func (p *Pool) put(b *batch) { p.free <- b }

func (p *Pool) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
		for _, g := range p.list() {
			g.queue.late()
			if n%reportEvery == 0 {
				g.report()
			}
		}
	}
}

func (p *Pool) list() []*Guard {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*Guard, 0, len(p.guards))
	for g := range p.guards {
		list = append(list, g)
	}
	return list
}

func (p *Pool) add(g *Guard) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guards[g] = struct{}{}
}

func (p *Pool) remove(g *Guard) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.guards, g)
}

// Stuck returns for how long the work that is longest in hand of any queue is: for a watchdog.
func (p *Pool) Stuck() (longest time.Duration) {
	for _, g := range p.list() {
		longest = max(longest, g.queue.inHand())
	}
	return longest
}

// inHand returns for how long q has been at work.
func (q *queue) inHand() time.Duration {
	since := q.since.Load()
	if since == 0 {
		return 0
	}
	return time.Since(q.base) - time.Duration(max(since, -since))
}

// late lets go of the queue if its verdicts are late. Whoever judges goes on, for nothing; the queue is taken up again afterwards.
func (q *queue) late() {
	since := q.since.Load()
	if since <= 0 || time.Since(q.base)-time.Duration(since) < q.conf.Deadline {
		return
	}
	q.mu.Lock()
	s := q.sock
	hung := s != nil && q.since.CompareAndSwap(since, -since)
	if hung {
		q.sock = nil
		s.Close()
	}
	q.mu.Unlock()
	if hung {
		q.count.hangs.Add(1)
		q.tell(Event{Code: Hang})
	}
}
