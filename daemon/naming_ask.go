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
	askFirst = time.Second // after a runtime that is there gave no answer; doubled each time
	askMost  = time.Minute // up to this
)

// asker asks one container runtime, one question at a time.
type asker struct {
	runtime workload.Runtime
	wake    chan struct{}

	mu     sync.Mutex
	queue  []string        // ids of containers
	queued map[string]bool // the same, and the one that is being asked for
	failed string          // what kept it from answering the last time
	at     time.Time       // when that was
}

// answer is what a runtime says of a container; nil: nothing.
type answer struct {
	id     string
	said   *workload.Description
	absent bool // there is no such runtime
}

func newAsker(r workload.Runtime) *asker {
	return &asker{runtime: r, wake: make(chan struct{}, 1), queued: map[string]bool{}}
}

// want has it ask for a container. It does not wait.
func (a *asker) want(id string) {
	a.mu.Lock()
	if !a.queued[id] {
		a.queued[id] = true
		a.queue = append(a.queue, id)
	}
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// problem says what keeps the runtime from answering; what nobody has met with for a while is none.
func (a *asker) problem() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.at) > 2*max(askMost, nameMost) {
		return ""
	}
	return a.failed
}

// run asks until ctx ends. After a question that was not answered it waits, and forgets the others: they are put again.
func (a *asker) run(ctx context.Context, tell func(answer)) {
	wait := time.Duration(0)
	for {
		id, ok := a.next()
		if !ok {
			select {
			case <-a.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		said, err := a.runtime.Describe(ctx, id)
		if ctx.Err() != nil {
			return
		}
		if err == nil || errors.Is(err, workload.ErrAbsent) {
			wait = 0
			a.done(id)
			tell(answer{id, said, err != nil})
			continue
		}
		wait = min(max(2*wait, askFirst), askMost)
		a.drop(err.Error())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (a *asker) next() (id string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		return "", false
	}
	id, a.queue = a.queue[0], a.queue[1:]
	return id, true
}

func (a *asker) done(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.queued, id)
	a.failed = ""
}

// drop forgets all questions.
func (a *asker) drop(failed string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = nil
	clear(a.queued)
	a.failed, a.at = failed, time.Now()
}
