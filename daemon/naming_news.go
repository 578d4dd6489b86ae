package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"weir/workload"
)

// ours
const (
	newsFirst  = 100 * time.Millisecond // after a stream of news ended; doubled each time
	newsMost   = time.Minute            // up to this
	newsGood   = time.Minute            // a stream that lasted so long ended by chance
	newsAbsent = time.Second            // between two looks for a runtime that is not there
	newsLeave  = time.Minute            // so long after its last container was there one is left that asking would start

	newsAgain = 200 * time.Millisecond // after news a container is asked for once more: Docker tells of a new name before it answers with it

	newsKept  = 1024             // pieces of news that wait for a pass; more, and all places are asked for
	aheadMost = 1024             // containers that are described before they are found
	aheadKept = 30 * time.Second // so long
)

// newsman follows what one container runtime tells of its containers. What comes has the runtime asked at once; what does not come is
// found out as without it, a little later: places are asked for at their own pace.
type newsman struct {
	asker *asker
	kick  chan struct{} // it may be worth while to try now

	mu   sync.Mutex
	gone bool      // it was not there when it was looked for last
	want time.Time // when one of its containers was there last; of those that asking starts
	stop func()    // ends the stream; nil: there is none
}

// piece is one piece of news, or, without an id, that some were missed.
type piece struct {
	from *asker
	id   string
}

// foretold is what a runtime said of a container before that was found.
type foretold struct {
	said *workload.Description
	at   time.Time
}

// follow follows a runtime's news until ctx ends. A stream that ends or is refused is tried again, later each time.
func (n *naming) follow(ctx context.Context, m *newsman) {
	r := &m.asker.runtime
	wait, told := newsFirst, false
	for {
		if !m.wanted(time.Now()) {
			if !m.rest(ctx, newsAbsent) {
				return
			}
			continue
		}
		began := time.Now()
		inner, cancel := context.WithCancel(ctx)
		m.streams(cancel)
		err := r.Follow(inner, func() {
			n.happens(m.asker, "") // what was before is to be asked for
		}, func(id string) {
			if told {
				told = false
				n.log.Info("news of containers come again", "runtime", r.Name)
			}
			n.happens(m.asker, id)
		})
		left := inner.Err() != nil
		m.streams(nil)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case left: // nobody is there to hear of
			wait = newsFirst
			continue
		case errors.Is(err, workload.ErrAbsent):
			wait = newsFirst
			m.misses(true)
			if !m.rest(ctx, newsAbsent) {
				return
			}
			m.misses(false)
			continue
		}
		if time.Since(began) >= newsGood {
			wait = newsFirst
		}
		if !told {
			told = true
			n.log.Warn("no news of containers come: they are looked for instead, and their names may come later; it is tried again", "runtime", r.Name, "problem", err)
		}
		if !m.rest(ctx, wait) {
			return
		}
		wait = min(2*wait, newsMost)
	}
}

// rest waits for a while, less if it may be worth while to try now; it reports whether ctx goes on.
func (m *newsman) rest(ctx context.Context, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-m.kick:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// wanted reports whether the runtime is to be followed.
func (m *newsman) wanted(now time.Time) bool {
	if !m.asker.runtime.Starts() {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.want.IsZero() && now.Sub(m.want) < newsLeave
}

func (m *newsman) misses(gone bool) {
	m.mu.Lock()
	m.gone = gone
	m.mu.Unlock()
}

// appears is told that the runtime has answered a question.
func (m *newsman) appears() {
	m.mu.Lock()
	gone := m.gone
	m.mu.Unlock()
	if gone {
		m.hurry()
	}
}

func (m *newsman) streams(stop func()) {
	m.mu.Lock()
	m.stop = stop
	m.mu.Unlock()
}

// has is told whether one of the runtime's containers is there.
func (m *newsman) has(now time.Time, some bool) {
	m.mu.Lock()
	first := some && m.want.IsZero()
	switch {
	case some:
		m.want = now
	case !m.want.IsZero() && now.Sub(m.want) >= newsLeave:
		m.want = time.Time{}
		if m.stop != nil {
			m.stop()
		}
	}
	m.mu.Unlock()
	if first {
		m.hurry()
	}
}

func (m *newsman) hurry() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// happens takes note of a piece of news; "": some may have been missed. It does not wait.
func (n *naming) happens(a *asker, id string) {
	n.mu.Lock()
	if len(n.happened) >= newsKept {
		id = ""
	}
	n.happened[piece{a, id}] = true
	n.mu.Unlock()
	n.stir()
}

// presences tells whether containers are there of runtimes that asking starts.
func (n *naming) presences(now time.Time) {
	for _, m := range n.newsmen {
		if !m.asker.runtime.Starts() {
			continue
		}
		some := false
		for _, p := range n.places {
			some = some || p.found.ID != "" && m.asker.runtime.MayKnow(p.found.Mark)
		}
		m.has(now, some)
	}
}

// hears deals with a piece of news.
func (n *naming) hears(now time.Time, x piece) {
	if x.id == "" {
		for _, p := range n.places {
			if p.found.ID != "" && x.from.runtime.MayKnow(p.found.Mark) {
				p.ask.hurry(now)
			}
		}
		return
	}
	there := false
	for _, p := range n.places {
		switch p.found.ID {
		case x.id:
			p.ask.hurry(now)
			p.again = now.Add(newsAgain)
			there = true
		case "":
			p.look.hurry(now)
		}
	}
	if !there {
		x.from.hear(x.id)
	}
}

// heard takes a runtime's answer about a container that news were of: it is in a pod that is known, or not found yet.
func (n *naming) heard(now time.Time, a answer) {
	if a.said == nil {
		return
	}
	for _, p := range n.places {
		if a.said.Sandbox != "" && p.found.ID == a.said.Sandbox {
			p.ask.hurry(now)
			p.again = now.Add(newsAgain)
			return
		}
	}
	if a.said.Sandbox == "" && a.said.Name != "" && len(n.ahead) < aheadMost {
		n.ahead[a.id] = foretold{a.said, now}
	}
}

// recall returns what a runtime said of a container before it was found; nil: nothing.
func (n *naming) recall(id string) *workload.Description {
	said := n.ahead[id].said
	delete(n.ahead, id)
	return said
}

// forgetAhead forgets what nobody was found for.
func (n *naming) forgetAhead(now time.Time) {
	for id, a := range n.ahead {
		if now.Sub(a.at) > aheadKept {
			delete(n.ahead, id)
		}
	}
}
