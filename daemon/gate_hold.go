package daemon

import (
	"fmt"
	"time"
)

// holdMost is how long the first packet of a workload of which nobody knows yet who it is waits for the answer; then what is known decides, ours. A second is when TCP would
// send it once more.
const holdMost = time.Second

// awaits reports whether who is in a network namespace may yet turn out to be somebody whose packets are judged, or be named in a rule: until that is known they
// are held.
func (g *gates) awaits(inode uint64, w *wanted) bool {
	p := g.policy.Load()
	if p == nil || !p.Protects() || w.settled {
		return false
	}
	as, decided := g.decided[inode]
	return !decided || as != w.who.ID
}

// waits is told that the first packet of such a workload waits.
func (g *gates) waits(inode uint64, x *gate) {
	x.first.Store(time.Now().UnixNano())
	g.d.naming.hurry(inode)
	time.AfterFunc(holdMost, func() { // by itself the guard goes on then
		g.mu.Lock()
		if x.held && g.at[inode] == x {
			g.decided[inode] = x.who.Load().ID
			why := fmt.Sprintf("nobody said within %s who is in %s: its first packets are judged by what is known", holdMost, x.way.path)
			g.d.log.Warn("unnamed", "workload", x.name(), "problem", why)
			g.d.tell(x.name(), "enforce.unnamed", why)
		}
		g.mu.Unlock()
		g.stir()
	})
}

// settle has nobody held who is there now: for a policy that comes when workloads are at work.
func (g *gates) settle() {
	wants := g.wants()
	g.mu.Lock()
	defer g.mu.Unlock()
	for inode, w := range wants {
		if g.at[inode] == nil && !w.settled {
			g.decided[inode] = w.who.ID
		}
	}
}

// release has a gate judge. g.mu is held.
func (g *gates) release(x *gate) {
	x.held = false
	x.guard.Release()
}

// waited is how long the first packet of a workload has been held; 0: none was.
func (x *gate) waited() time.Duration {
	at := x.first.Load()
	if at == 0 {
		return 0
	}
	return time.Since(time.Unix(0, at))
}
