package daemon

import (
	"errors"

	"weir/enforce"
	"weir/policy"
)

// plan is what is to be done so that the gates are as they should be. Doing it takes the kernel's time, and nobody else waits for that: g.mu is not held meanwhile.
type plan struct {
	builds  []*build
	ends    []*gate
	changes []*gate   // of what becomes of packets that nobody judges
	clean   []*wanted // where an earlier daemon may have left something
}

// reconcile puts up gates that are wanted and takes away those that are not. One goroutine calls it.
func (g *gates) reconcile() {
	wants := g.wants()
	g.mu.Lock()
	p := g.plan(wants)
	g.quarantine(wants, func(w *wanted) bool { return g.quarantineOf(w) != nil })
	g.mu.Unlock()
	together(p.ends, g.lift)
	together(p.changes, g.setFailure)
	together(p.clean, g.clear)
	together(p.builds, func(b *build) { b.made, b.err = g.put(b) })
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, x := range p.ends {
		g.count(x)
	}
	for _, w := range p.clean {
		g.clean[w.way.inode] = true
	}
	clear(g.fails)
	clear(g.starts)
	for _, b := range p.builds {
		g.take(b)
	}
	for inode := range g.clean {
		if wants[inode] == nil {
			delete(g.clean, inode)
		}
	}
	for inode := range g.decided {
		if wants[inode] == nil {
			delete(g.decided, inode)
		}
	}
	for inode := range g.cut {
		if wants[inode] == nil {
			delete(g.cut, inode)
		}
	}
	for inode := range g.uncut {
		if wants[inode] == nil {
			delete(g.uncut, inode)
		}
	}
	g.tellWho()
	g.quarantine(wants, nil)
}

// plan says what is to be done. What is at hand it does. g.mu is held.
func (g *gates) plan(wants map[uint64]*wanted) (p plan) {
	for inode, x := range g.at {
		if wants[inode] == nil { // its namespace is gone, and the rules with it
			delete(g.at, inode)
			p.ends = append(p.ends, x)
		}
	}
	for inode, w := range wants {
		x := g.at[inode]
		yes, failure := g.protected(w)
		await := g.awaits(inode, w)
		switch {
		case (yes || await) && x == nil:
			p.builds = append(p.builds, &build{inode: inode, w: w, failure: failure, await: await, yes: yes})
			g.starts[inode] = yes
		case yes || await && x.held:
			x.know(w)
			if x.held && !await {
				g.release(x)
				g.d.log.Info("protected", "workload", x.name(), "failure", failure.String(), "waited", x.waited())
			}
			if failure != x.failure {
				x.failure = failure
				p.changes = append(p.changes, x)
			}
		case x != nil:
			x.know(w) // for what is held still
			delete(g.at, inode)
			p.ends = append(p.ends, x)
			if !x.held {
				g.d.log.Info("protected no more", "workload", x.name())
			}
		case !g.clean[inode] && g.d.spaces != nil:
			p.clean = append(p.clean, w)
		}
	}
	return p
}

// setFailure has a gate fail as it should.
func (g *gates) setFailure(x *gate) {
	x.tap.SetClosed(x.failure == policy.Closed)
	if err := x.guard.SetFailure(enforce.Failure(x.failure)); err != nil {
		g.d.log.Error("what becomes of packets that nobody judges is as before", "workload", x.name(), "problem", err)
	}
}

// clear removes what an earlier daemon may have left.
func (g *gates) clear(w *wanted) {
	if err := enforce.Remove(g.opener(w.way)); err != nil && !errors.Is(err, errMoved) {
		g.d.log.Warn("whether an earlier daemon left rules in a workload's network namespace is not known", "namespace", w.way.path, "problem", err)
	}
}

// tellWho publishes which namespaces have a gate. g.mu is held.
func (g *gates) tellWho() {
	who := map[string]bool{}
	for _, x := range g.at {
		who[x.who.Load().NetNS] = true
		who[x.way.path] = true
	}
	g.who.Store(&who)
}
