package daemon

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"weir/workload"
)

// ours
const (
	nameGather = 10 * time.Millisecond // between two passes: what happens at once is dealt with at once
	nameSettle = 2 * time.Second       // that the first names are waited for; the daemon is ready without them then
)

// naming says who is behind the watched interfaces, and at which addresses. It works beside the taps, in goroutines of its
// own: an interface is watched before it is named, and a runtime that hangs delays neither that nor other names. What it
// cannot tell yet it looks for again, less and less often: a namespace is there before its first process, its addresses
// come later, and a runtime may come last.
type naming struct {
	log     *slog.Logger
	finder  *workload.Finder
	publish func(*workload.Table)
	full    func(what string) // a limit was reached: what that leaves out; once for each
	askers  []*asker
	newsmen []*newsman
	polled  bool // no news of addresses come
	wake    chan struct{}
	now     chan struct{} // a pass cannot wait for others
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu       sync.Mutex      // guards what follows
	ifaces   map[int]seen    // by index
	moved    bool            // they have changed
	news     map[int]bool    // by namespace id: addresses have changed
	urgent   map[uint64]bool // by inode of the namespace: somebody waits for the name
	answers  []answer
	happened map[piece]bool                              // news of containers
	rush     time.Time                                   // until then somebody waits for a name
	named    map[int]known                               // by interface index, as published
	limits   []string                                    // that are reached now
	waiting  []chan<- bool                               // for the end of a pass
	asking   []chan<- bool                               // for the end of one after which no answer is due of those who were there at the start
	ways     func(map[int]way)                           // gets the ways into namespaces; nil: nobody goes there
	again    bool                                        // it has not got them yet
	others   func(id string, said *workload.Description) // gets answers of runtimes, too; nil: nobody

	ahead  map[string]foretold // what is known of containers that are not found yet, by id; the goroutine's own, as all that follows
	places map[int]*place      // by namespace id
	past   []workload.Entry    // of places that are gone, in order of their going: flows of theirs are yet to be told
	left   string              // what the finder left out
	told   map[string]bool     // limits
}

// seen is an interface, and since when it is as it is.
type seen struct {
	workload.Interface
	at time.Time
}

// known is what is known of the other end of an interface. It does not change.
type known struct {
	iface     workload.Interface
	who       *workload.Workload
	addresses []netip.Addr
	settled   bool // nothing more is to be expected of who it is
}

// startNaming begins to name what see tells it, for interfaces of the calling thread's network namespace. publish gets
// each new table of addresses, full each limit when it is first reached.
func startNaming(log *slog.Logger, runtimes []workload.Runtime, publish func(*workload.Table), full func(string)) (*naming, error) {
	finder, err := workload.NewFinder()
	if err != nil {
		return nil, err
	}
	n := &naming{log: log, finder: finder, publish: publish, full: full, wake: make(chan struct{}, 1), ifaces: map[int]seen{},
		news: map[int]bool{}, urgent: map[uint64]bool{}, named: map[int]known{}, happened: map[piece]bool{}, ahead: map[string]foretold{}, now: make(chan struct{}, 1), places: map[int]*place{}, told: map[string]bool{}}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	if news, err := workload.WatchAddresses(ctx); err != nil {
		n.polled = true
		log.Warn("addresses of workloads are polled: names in events come later", "problem", err)
	} else {
		n.wg.Go(func() { n.listen(news) })
	}
	for _, r := range runtimes {
		a := newAsker(r)
		m := &newsman{asker: a, kick: make(chan struct{}, 1)}
		a.tell, a.missed, a.there = n.answer, func() { n.happens(a, "") }, m.appears
		n.askers, n.newsmen = append(n.askers, a), append(n.newsmen, m)
		n.wg.Go(func() { a.run(ctx) })
		n.wg.Go(func() { n.follow(ctx, m) })
	}
	n.wg.Go(func() { n.run(ctx) })
	return n, nil
}

// close ends the naming and waits for its goroutines.
func (n *naming) close() {
	n.cancel()
	n.wg.Wait()
	n.finder.Close()
}

// see takes note of an interface that has come or changed, at a time; the zero time: it was there before anybody looked. It
// does not wait.
func (n *naming) see(i workload.Interface, at time.Time) {
	n.mu.Lock()
	n.ifaces[i.Index] = seen{i, at}
	n.moved = true
	n.mu.Unlock()
	n.stir()
}

// forget takes note that an interface is gone. It does not wait.
func (n *naming) forget(index int) {
	n.mu.Lock()
	delete(n.ifaces, index)
	delete(n.named, index)
	n.moved = true
	n.mu.Unlock()
	n.stir()
}

// settle waits until what it was told so far is dealt with, as far as it can be at once; not for long.
func (n *naming) settle() {
	done := make(chan bool)
	n.mu.Lock()
	n.waiting = append(n.waiting, done)
	n.mu.Unlock()
	n.stir()
	select {
	case <-done:
	case <-time.After(nameSettle):
	}
}

// answered waits until runtimes have said what they know of the containers that were there at the start, or for so long.
func (n *naming) answered(most time.Duration) {
	done := make(chan bool)
	n.mu.Lock()
	n.asking = append(n.asking, done)
	n.mu.Unlock()
	n.stir()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// hurry has it looked for who is in a network namespace, by its inode, as soon as can be: somebody waits for that. It does not wait.
func (n *naming) hurry(inode uint64) {
	n.mu.Lock()
	n.urgent[inode] = true
	n.rush = time.Now().Add(holdMost)
	n.mu.Unlock()
	n.stirNow()
}

// known returns what is known of the other end of an interface; the zero value if nothing is.
func (n *naming) known(index int) known {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.named[index]
}

// of returns the workload behind an interface, an empty one if it is not known.
func (n *naming) of(index int) *workload.Workload {
	n.mu.Lock()
	defer n.mu.Unlock()
	if k, ok := n.named[index]; ok {
		return k.who
	}
	return &workload.Workload{}
}

// all returns what is known, in order of the interfaces' names.
func (n *naming) all() []known {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.SortedFunc(maps.Values(n.named), func(a, b known) int { return cmp.Compare(a.iface.Name, b.iface.Name) })
}

// problems says what keeps names from events.
func (n *naming) problems() (list []string) {
	n.mu.Lock()
	for _, what := range n.limits {
		list = append(list, "events do not name all workloads: "+what)
	}
	n.mu.Unlock()
	for _, a := range n.askers {
		if p := a.problem(); p != "" {
			list = append(list, "names of containers are missing: "+p)
		}
	}
	return list
}

// stir has the goroutine make a pass.
func (n *naming) stir() {
	select {
	case n.wake <- struct{}{}:
	default: // it will anyway
	}
}

// stirNow has the goroutine make a pass at once, also where it has just made one.
func (n *naming) stirNow() {
	select {
	case n.now <- struct{}{}:
	default:
	}
}

func (n *naming) listen(news <-chan int) {
	for id := range news {
		n.mu.Lock()
		n.news[id] = true
		n.mu.Unlock()
		n.stir()
	}
}

// answer takes an asker's answer.
func (n *naming) answer(a answer) {
	n.mu.Lock()
	if n.others != nil {
		n.others(a.id, a.said)
	}
	n.answers = append(n.answers, a)
	hurry := time.Now().Before(n.rush)
	n.mu.Unlock()
	if hurry {
		n.stirNow()
	}
	n.stir()
}

// wonder asks the runtimes for a container that is behind no interface. It does not wait; answer gets what they say.
func (n *naming) wonder(id, mark string) {
	for _, a := range n.askers {
		if a.runtime.MayKnow(mark) {
			a.want(id)
		}
	}
}

// share has runtimes' answers given to somebody else, too: fn must not block.
func (n *naming) share(fn func(id string, said *workload.Description)) {
	n.mu.Lock()
	n.others = fn
	n.mu.Unlock()
}

func (n *naming) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-n.wake:
		case <-n.now:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		next := n.pass(time.Now())
		timer.Reset(nameGather) // what comes meanwhile waits: one pass is for all of it
		select {
		case <-timer.C:
		case <-n.now:
			next = time.Now()
		case <-ctx.Done():
			return
		}
		timer.Reset(time.Until(next))
	}
}

// pass deals with all that has happened and all that is due, and returns when the next thing will be.
func (n *naming) pass(now time.Time) (next time.Time) {
	n.mu.Lock()
	moved, news, answers, waiting, urgent, happened := n.moved, n.news, n.answers, n.waiting, n.urgent, n.happened
	n.moved, n.news, n.answers, n.waiting, n.urgent, n.happened = false, map[int]bool{}, nil, nil, map[uint64]bool{}, map[piece]bool{}
	ifaces := n.ifaces
	if moved {
		ifaces = maps.Clone(ifaces)
	}
	entered, changed := n.ways != nil, n.again
	n.again = false
	n.mu.Unlock()
	if moved { // whoever it leads to may be known already
		n.sync(now, ifaces)
		changed = true
	}
	changed = n.outlive(now) || changed
	for id := range news {
		n.hear(now, id)
	}
	for _, p := range n.places {
		if urgent[p.found.Space] && p.found.Space != 0 {
			p.look.hurry(now)
			p.ask.hurry(now)
			p.read.hurry(now)
		}
	}
	for x := range happened {
		n.hears(now, x)
	}
	for _, a := range answers {
		n.take(now, a)
		if a.news {
			n.heard(now, a)
		}
	}
	n.forgetAhead(now)
	if entered {
		n.leave(now)
	}
	changed = n.look(now) || changed
	n.presences(now)
	next = now.Add(nameEvery)
	if entered && len(n.places) > 0 {
		next = now.Add(leaveEvery)
	}
	for _, p := range n.places {
		if p.read.due(now) {
			n.read(now, p)
		}
		if p.found.ID != "" && (p.ask.due(now) || !p.again.IsZero() && !now.Before(p.again)) {
			n.ask(now, p)
		}
		next = earliest(next, p.look.at, p.read.at)
		if p.found.ID != "" {
			next = earliest(next, p.ask.at)
			if !p.again.IsZero() {
				next = earliest(next, p.again)
			}
		}
		changed = changed || p.changed
	}
	if changed {
		n.tell()
	}
	for _, w := range waiting {
		close(w)
	}
	n.tellAnswered()
	return next
}

func earliest(t time.Time, others ...time.Time) time.Time {
	for _, o := range others {
		if o.Before(t) {
			t = o
		}
	}
	return t
}

// sync makes the places those behind the interfaces. What is known of a place is looked at again when its interface has changed.
func (n *naming) sync(now time.Time, ifaces map[int]seen) {
	there := map[int]seen{}
	for _, i := range ifaces {
		if first, ok := there[i.NSID]; i.NSID >= 0 && (!ok || i.Index < first.Index) {
			there[i.NSID] = i
		}
	}
	for id, p := range n.places {
		// An id is used again for another namespace: the interface must be the same one.
		if _, ok := there[id]; !ok || ifaces[p.iface.Index].NSID != id {
			delete(n.places, id)
			n.past = append(n.past, p.entries(now.UnixNano())...)
		}
	}
	for id, i := range there {
		p := n.places[id]
		if p == nil {
			p = &place{who: &workload.Workload{}, since: i.at, gone: map[netip.Addr]int64{}}
			n.places[id] = p
		}
		if p.iface != i.Interface {
			p.iface = i.Interface
			p.changed = true
			p.look.hurry(now)
			p.read.hurry(p.readable(now, 0))
		}
	}
}

// outlive forgets what is past for long, and reports whether something is.
func (n *naming) outlive(now time.Time) (forgot bool) {
	old := now.Add(-pastKept).UnixNano()
	kept := slices.DeleteFunc(n.past, func(e workload.Entry) bool { return e.Until < old })
	kept = slices.Delete(kept, 0, max(0, len(kept)-pastMost))
	forgot = len(kept) < len(n.past)
	n.past = kept
	for _, p := range n.places {
		for a, until := range p.gone {
			if until < old {
				delete(p.gone, a)
				forgot = true
			}
		}
	}
	return forgot
}

// tell publishes what is known.
func (n *naming) tell() {
	entries := make([]workload.Entry, 0, len(n.places)+len(n.past))
	cut := false
	for _, p := range n.places {
		p.changed = false
		cut = cut || p.cut
		entries = append(entries, p.entries(0)...)
	}
	for _, e := range slices.Backward(n.past) {
		entries = append(entries, e)
	}
	table := workload.NewTable(entries)
	n.publish(table)
	limits := []string{}
	if n.left != "" {
		limits = append(limits, n.left)
	}
	if cut {
		limits = append(limits, "some have more addresses than are taken of one")
	}
	if table.Left() > 0 {
		limits = append(limits, fmt.Sprintf("only %d addresses are kept", table.Len()))
	}
	n.mu.Lock()
	clear(n.named)
	for index, i := range n.ifaces {
		if p := n.places[i.NSID]; p != nil {
			n.named[index] = known{i.Interface, p.who, p.addresses, p.settled()}
		}
	}
	n.limits = limits
	lead, ways := n.ways, n.leads()
	n.mu.Unlock()
	if lead != nil {
		lead(ways)
	}
	for _, what := range limits {
		if !n.told[what] {
			n.told[what] = true
			n.full(what)
		}
	}
}
