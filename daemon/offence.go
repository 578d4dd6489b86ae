package daemon

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"weir/alert"
)

// ours
const (
	maxOffences  = 64               // that wait; of further ones the next alert of their workload will do
	refusedAgain = 10 * time.Minute // that a workload is not cut off though a rule wants it is told so often
)

// offended takes note of a workload that a rule wants cut off. It does not wait: it is called from the packet path.
func (d *Daemon) offended(o *alert.Offender) {
	g := d.gates.Load()
	if g == nil {
		return
	}
	select {
	case g.offences <- o:
	default:
	}
}

// isolate puts a workload into quarantine, once, as a rule wants.
func (g *gates) isolate(o *alert.Offender) {
	names := o.Names()
	if len(names) == 0 {
		return
	}
	name := names[0]
	w := g.offender(o)
	g.mu.Lock()
	byRules := 0
	for _, q := range g.quarantines {
		if q.Name == name || w != nil && w.named(q.Name) {
			g.mu.Unlock()
			return
		}
		if q.Rule != "" {
			byRules++
		}
	}
	g.mu.Unlock()
	most := g.d.conf.Quarantine.Most
	var err error
	switch {
	case w == nil:
		err = errors.New("it is no workload whose network namespace is known")
	case hostSpace(w.way.inode):
		err = errors.New("it is the host itself, which is never cut off")
	case byRules >= most:
		err = fmt.Errorf("%d workloads are in quarantine by rules, which is as many as may be ([quarantine] most)", byRules)
	default:
		allow := slices.Concat(g.d.conf.Quarantine.Allow, o.Allow)
		slices.Sort(allow)
		_, err = g.Quarantine(Quarantine{Name: name, Allow: slices.Compact(allow), Rule: o.Rule})
	}
	if err != nil {
		g.refuse(name, o.Rule, err)
	}
}

// refuse tells that a workload is not cut off though a rule wants it.
func (g *gates) refuse(name, rule string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if at, told := g.refused[name]; told && now.Sub(at) < refusedAgain {
		return
	}
	if len(g.refused) >= maxQuarantines {
		clear(g.refused)
	}
	g.refused[name] = now
	g.d.log.Error("a workload is not in quarantine, though a rule wants it", "workload", name, "rule", rule, "problem", err)
	g.d.tell(name, "enforce.not_protected", "quarantine by rule "+rule+": "+err.Error())
}

// offender finds the workload of an alert; nil: it is not there, or nobody knows its network namespace.
func (g *gates) offender(o *alert.Offender) *wanted {
	for _, w := range g.wants() {
		if o.ID != "" && w.who.ID == o.ID || o.ID == "" && w.named(o.Names()[0]) {
			return w
		}
	}
	for _, w := range g.wants() { // of a pod the event may name another container than the namespace is known by
		if w.named(o.Names()[0]) {
			return w
		}
	}
	return nil
}

// hostSpace reports whether a network namespace is the host's, or Weir's own.
func hostSpace(inode uint64) bool {
	for _, path := range []string{"/proc/self/ns/net", "/proc/1/ns/net"} {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil && st.Ino == inode {
			return true
		}
	}
	return false
}
