package daemon

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"weir/workload"
)

// ours
const (
	askFirst = time.Second // after a runtime that is there gave no answer; doubled each time
	askMost  = time.Minute // up to this

	hearMost  = 256                   // containers that news were of and that wait to be asked for; more, and all places are asked for
	hearBurst = 100                   // of them that are asked for at once
	hearEvery = 50 * time.Millisecond // and one more so often in the long run: a runtime that has much to tell is not kept busy with questions
)

// asker asks one container runtime, one question at a time.
type asker struct {
	runtime workload.Runtime
	wake    chan struct{}
	tell    func(answer)
	missed  func() // there was too much news
	there   func() // the runtime has answered

	mu     sync.Mutex
	queue  []string        // ids of containers that somebody has found
	heard  []string        // of those that there was news of; they come after the others
	queued map[string]bool // both
	over   bool            // there were more
	left   float64         // questions about news that may be put now
	at     time.Time       // when that was reckoned
	failed string          // what kept it from answering the last time
	failAt time.Time       // when that was
}

// answer is what a runtime says of a container; nil: nothing.
type answer struct {
	from   *asker
	id     string
	said   *workload.Description
	absent bool // there is no such runtime
	news   bool // nobody asked but for news
}

func newAsker(r workload.Runtime) *asker {
	return &asker{runtime: r, wake: make(chan struct{}, 1), queued: map[string]bool{}, left: hearBurst, at: time.Now()}
}

// want has it ask for a container. It does not wait.
func (a *asker) want(id string) {
	a.mu.Lock()
	if i := slices.Index(a.heard, id); i >= 0 { // it waits no longer behind others that nobody has found
		a.heard = slices.Delete(a.heard, i, i+1)
		a.queue = append(a.queue, id)
	} else if !a.queued[id] {
		a.queued[id] = true
		a.queue = append(a.queue, id)
	}
	a.mu.Unlock()
	a.stir()
}

// hear has it ask for a container that there is news of, as soon as nobody else waits for an answer. It does not wait.
func (a *asker) hear(id string) {
	a.mu.Lock()
	switch {
	case a.queued[id]:
	case len(a.heard) >= hearMost:
		a.over = true
	default:
		a.queued[id] = true
		a.heard = append(a.heard, id)
	}
	a.mu.Unlock()
	a.stir()
}

func (a *asker) stir() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// problem says what keeps the runtime from answering; what nobody has met with for a while is none.
func (a *asker) problem() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.failAt) > 2*max(askMost, nameMost) {
		return ""
	}
	return a.failed
}

// run asks until ctx ends. After a question that was not answered it waits, and forgets the others: they are put again.
func (a *asker) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	wait := time.Duration(0)
	for {
		id, news, after := a.next(time.Now())
		if id == "" {
			timer.Reset(after)
			select {
			case <-a.wake:
			case <-timer.C:
			case <-ctx.Done():
				return
			}
			continue
		}
		said, err := a.runtime.Describe(ctx, id)
		if ctx.Err() != nil {
			return
		}
		if err == nil || errors.Is(err, workload.ErrAbsent) {
			wait = 0
			a.answered(err == nil)
			a.tell(answer{a, id, said, err != nil, news})
			continue
		}
		wait = min(max(2*wait, askFirst), askMost)
		a.drop(err.Error())
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// next returns the next question, whether it is one about news, and, where there is none now, when there may be one.
func (a *asker) next(now time.Time) (id string, news bool, after time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) > 0 {
		id, a.queue = a.queue[0], a.queue[1:]
		delete(a.queued, id)
		return id, false, 0
	}
	a.left = min(a.left+float64(now.Sub(a.at))/float64(hearEvery), hearBurst)
	a.at = now
	switch {
	case len(a.heard) == 0:
		if a.over {
			a.over = false
			a.missed()
		}
		return "", false, time.Hour
	case a.left < 1:
		return "", false, hearEvery
	}
	a.left--
	id, a.heard = a.heard[0], a.heard[1:]
	delete(a.queued, id)
	return id, true, 0
}

func (a *asker) answered(there bool) {
	a.mu.Lock()
	a.failed = ""
	a.mu.Unlock()
	if there {
		a.there()
	}
}

// drop forgets all questions.
func (a *asker) drop(failed string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue, a.heard = nil, nil
	clear(a.queued)
	a.failed, a.failAt = failed, time.Now()
}
