package daemon

import (
	"fmt"
	"sync"
	"time"

	"weir/capture"
	"weir/enforce"
	"weir/engine"
	"weir/policy"
)

// gatesTogether is how many namespaces are dealt with at a time, ours: the kernel makes whoever changes rules wait, and there may be hundreds.
const gatesTogether = 16

// together calls fn for each of a list, for some at a time, and returns when all are done.
func together[T any](list []T, fn func(T)) {
	var wg sync.WaitGroup
	room := make(chan struct{}, gatesTogether)
	for _, x := range list {
		room <- struct{}{}
		wg.Go(func() {
			fn(x)
			<-room
		})
	}
	wg.Wait()
}

// build is a gate that is to be put up.
type build struct {
	inode   uint64
	w       *wanted
	failure policy.Failure
	yes     bool // it is protected, as far as is known
	await   bool // its packets are held until it is known who it is

	made *gate
	err  error
}

// put puts up the gate of a workload.
func (g *gates) put(b *build) (*gate, error) {
	if g.d.spaces == nil {
		return nil, errNoWay
	}
	x := &gate{way: b.w.way, failure: b.failure, held: b.await, since: time.Now().UTC()}
	x.know(b.w)
	conf := enforce.Config{
		Open: g.opener(b.w.way), Failure: enforce.Failure(b.failure), Unreachable: true,
		Tell: func(ev enforce.Event) { g.tell(x, ev) },
	}
	x.tap = enforce.Inline(g.engine, engine.TapConfig{Interfaces: func() []capture.Interface { return *x.list.Load() }, Own: x.own}, &conf)
	if b.await {
		conf.Hold, conf.Waits = holdMost, func() { g.waits(b.inode, x) }
	}
	var err error
	x.guard, err = enforce.Start(conf, g.pool)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.name(), err)
	}
	return x, nil
}

// take takes note of a gate that was put up, or could not be. g.mu is held.
func (g *gates) take(b *build) {
	if b.err != nil {
		if b.yes {
			g.failed(b.inode, b.w, b.err)
		}
		return
	}
	g.at[b.inode], g.clean[b.inode] = b.made, true
	if g.blind[b.w.way.path] {
		delete(g.blind, b.w.way.path)
		g.d.mu.Lock()
		delete(g.d.blind, "protect:"+b.w.way.path)
		g.d.mu.Unlock()
	}
	if !b.await {
		g.d.log.Info("protected", "workload", b.made.name(), "failure", b.failure.String())
	}
}
