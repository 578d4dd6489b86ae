package enforce

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"weir/broker"
)

// Guard enforces in one workload's namespace. Its methods may be called from any goroutine.
type Guard struct {
	conf  Config
	pool  *Pool
	queue *queue
	ended chan struct{} // closed when the queue is not served any more

	mu     sync.Mutex
	conn   *socket // for the rules; nil: they are not in yet, or closed
	rules  rules
	before uint64 // packets that the rules of others had sent to a queue of theirs
	told   Stats
	sizes  []linkSize // of interfaces, to be put back
}

// Start begins to enforce: the queue first, so that no packet is stopped for want of one, then the rules. What another daemon left in the namespace is replaced. A kernel
// that lacks what it takes is an error.
func Start(conf Config, pool *Pool) (*Guard, error) {
	if conf.Deadline == 0 {
		conf.Deadline = deadline
	}
	g := &Guard{conf: conf, pool: pool, ended: make(chan struct{})}
	conn, err := conf.Open.socket(broker.Netfilter)
	if err != nil {
		return nil, err
	}
	if g.queue, err = newQueue(&g.conf, pool, queueNumber); err != nil {
		conn.Close()
		return nil, err
	}
	pool.add(g) // it is watched from now on: conn stays this goroutine's until all is in place
	go func() {
		g.queue.run()
		close(g.ended)
	}()
	var (
		before uint64
		in     rules
		sizes  []linkSize
	)
	before, _, err = queued(conn)
	if err == nil {
		err = forgetAll(conn) // what others cleared
	}
	if err == nil {
		in, err = g.install(conn, markEpochA)
	}
	if err == nil {
		sizes, err = limitSizes(conf.Open, conn)
	}
	if err != nil {
		left, _ := longSizes(conf.Open, conn) // what stands in the table, of an earlier process too
		drop(conn, table)
		restoreSizes(conf.Open, left)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conn, g.before, g.rules, g.sizes = conn, before, in, sizes
	if err != nil {
		g.leave()
		return nil, err
	}
	return g, nil
}

// install puts the rules in.
func (g *Guard) install(conn *socket, clear uint32) (rules, error) {
	r, err := install(conn, g.conf.Failure, clear)
	if err == nil {
		g.queue.setClears(r.clear)
	}
	return r, err
}

// reinstall puts the rules in anew. mu is held.
func (g *Guard) reinstall(clear uint32) error {
	r, err := g.install(g.conn, clear)
	if err == nil {
		g.rules = r
	}
	return err
}

// arrived returns how many packets the queue got, or is known not to have got.
func (g *Guard) arrived() uint64 { return g.queue.count.packets.Load() + g.queue.count.missed.Load() }

// Close ends enforcement, and a Hold: the workload's traffic passes, and nothing is left in its namespace. No packet is lost by it.
func (g *Guard) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conn == nil {
		return nil
	}
	g.queue.release() // what waits is judged
	err := g.rules.lift(g.conn)
	if err == nil {
		g.drain()
	}
	err = errors.Join(err, forgetAll(g.conn), drop(g.conn, table), restoreSizes(g.conf.Open, g.sizes))
	g.leave()
	return err
}

// Leave ends the service of the queue, and leaves the rules: what Failure says holds until another Start, or Remove. For an upgrade.
func (g *Guard) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conn != nil {
		g.leave()
	}
}

// drainMost bounds the wait for the last verdicts.
const drainMost = time.Second

// drain waits until packets that the rules sent before they were lifted have their verdicts.
func (g *Guard) drain() {
	n, _, err := queued(g.conn)
	if err != nil || g.queue.holds() == nil {
		return
	}
	end := time.NewTimer(drainMost)
	defer end.Stop()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for int64(n-g.before-g.arrived()) > 0 || !g.queue.idle() {
		select {
		case <-end.C:
			return
		case <-look.C:
		}
	}
}

// leave stops the queue. mu is held.
func (g *Guard) leave() {
	g.pool.remove(g)
	g.queue.close()
	g.conn.Close()
	g.conn = nil
}

// Wait returns once the queue is not served any more, after Close or Leave. A Judge that does not return keeps it.
func (g *Guard) Wait() { <-g.ended }

// Stats returns what was counted since Start.
func (g *Guard) Stats() Stats { return g.queue.count.read() }

// Clears reports whether connections can be cleared here. Where the kernel does not track them, Clear is Pass.
func (g *Guard) Clears() bool { return uint32(g.queue.clears.Load()) != 0 }

// Rejudge brings connections that were cleared back to the queue: after the policy has changed. It takes effect at once for all packets.
func (g *Guard) Rejudge() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conn == nil || g.rules.clear == 0 {
		return nil
	}
	old := g.rules.clear
	if err := g.reinstall(markEpochA ^ markEpochB ^ old); err != nil {
		return err
	}
	if err := forget(g.conn, old); err != nil { // they would count as cleared at the next change
		g.queue.setClears(0)
		return fmt.Errorf("cleared connections cannot be forgotten, none is cleared from now on: %w", err)
	}
	return nil
}

// SetFailure changes what becomes of packets that nobody judges.
func (g *Guard) SetFailure(f Failure) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conn == nil || g.conf.Failure == f {
		return nil
	}
	if err := g.queue.setFailure(f); err != nil {
		return err
	}
	g.conf.Failure = f
	return g.reinstall(g.rules.clear)
}

// report tells what was missed, and puts rules back that somebody took out.
func (g *Guard) report() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conn == nil {
		return
	}
	sent, there, err := queued(g.conn)
	switch {
	case err != nil:
		g.queue.tell(Event{Code: Broken, Err: err})
	case there:
		g.miss(sent)
	default:
		g.before = -g.arrived() // the counter begins anew
		g.queue.tell(Event{Code: RulesCut, Err: errors.Join(g.reinstall(g.rules.clear), noteSizes(g.conn, g.sizes))})
	}
	s := g.Stats()
	if n := s.Missed - g.told.Missed; n > 0 {
		g.queue.tell(Event{Code: Overload, N: n})
	}
	if n := s.TooLong - g.told.TooLong; n > 0 {
		g.queue.tell(Event{Code: TooLong, N: n})
	}
	g.told = s
}

// looks is how often report looks for a moment when the queue is empty, a look every lookEvery.
const (
	looks     = 50
	lookEvery = 20 * time.Microsecond
)

// miss counts what the rules had sent to the queue and did not come: there was no room for it, or nobody took it. In a moment when the queue is empty that
// can be told from what is on its way; in one that never is, as much as may wait is taken for that.
func (g *Guard) miss(sent uint64) {
	waiting := int64(queueLen)
	g.queue.count.waiting.Store(uint64(min(max(int64(sent-g.before-g.arrived()), 0), waiting)))
	for range looks {
		if g.queue.idle() {
			waiting = 0
			break
		}
		time.Sleep(lookEvery)
	}
	if lost := int64(sent-g.before-g.arrived()) - waiting; lost > 0 {
		g.queue.count.missed.Add(uint64(lost))
	}
}
